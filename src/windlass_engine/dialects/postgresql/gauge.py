"""What a session costs while it works: the locks that it holds, and how much log the server writes."""

from __future__ import annotations

from ..answers import Gauge, HeldLock, Volumes
from ..link import Link

#: Whom a table lock keeps waiting (PostgreSQL's table of conflicting lock modes).
_BLOCKS = {
    "AccessExclusiveLock": "reads and writes",
    "ExclusiveLock": "writes",
    "ShareRowExclusiveLock": "writes",
    "ShareLock": "writes",
}
# The first row is the server's, the others are the session's table locks; a table that the session itself has made
# is not seen from outside, and nobody waits for it.
_GAUGE = """
SELECT '', '', true, pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::int8
UNION ALL
SELECT n.nspname || '.' || c.relname, l.mode, l.granted, 0
FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_class c ON c.oid = l.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE l.pid = {pid:d} AND l.locktype = 'relation' AND c.relkind IN ('r', 'p', 'm')
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  AND n.nspname NOT IN ('windlass', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
"""
_TABLES = """
SELECT n.nspname || '.' || c.relname, pg_catalog.pg_total_relation_size(c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('windlass', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
"""
_TEMPORARY = "SELECT temp_bytes FROM pg_catalog.pg_stat_database WHERE datname = pg_catalog.current_database()"


def gauge(link: Link, pid: int) -> Gauge:
    """Look once, in one round trip."""
    first, *held = link.query(_GAUGE.format(pid=pid))
    locks = tuple(HeldLock(table, mode, _BLOCKS.get(mode, ""), granted) for table, mode, granted, _ in held)
    return Gauge(int(first[3]), locks)


def volumes(link: Link) -> Volumes:
    """Return the bytes of each table with its indexes, and those of temporary files so far."""
    return Volumes({name: int(size) for name, size in link.query(_TABLES)}, int(link.query(_TEMPORARY)[0][0] or 0))
