"""What a session costs while it works: the locks that it holds, who waits for it, and how much log is written."""

from __future__ import annotations

from ..answers import Gauge, HeldLock, Volumes, Wait
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
# Whoever stands in front in the queue for a lock counts as holding it.  A wait for a row is one for the transaction
# that changed it: the table is that of the row's own lock.  The server notes the texts a moment before it looks who
# waits: a session that was not at work then would tell an older statement's, or none; the next look sees it whole.
_WAITS = """
SELECT a.pid, h.pid, COALESCE(n.nspname || '.' || c.relname, ''),
  pg_catalog.left(pg_catalog.regexp_replace(a.query, '\\s+', ' ', 'g'), 200)
FROM pg_catalog.pg_stat_activity a
CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(a.pid)) AS h (pid)
LEFT JOIN LATERAL (
  SELECT l.relation FROM pg_catalog.pg_locks l
  WHERE l.pid = a.pid AND l.relation IS NOT NULL AND (NOT l.granted OR l.locktype = 'tuple')
  ORDER BY l.granted LIMIT 1
) w ON true
LEFT JOIN pg_catalog.pg_class c ON c.oid = w.relation
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE a.datname = pg_catalog.current_database() AND a.wait_event_type = 'Lock' AND a.state = 'active'
"""
# The first row is the database's temporary files.  Indexes are measured once: many relations are many files.
_VOLUMES = """
SELECT '', temp_bytes, 0 FROM pg_catalog.pg_stat_database WHERE datname = pg_catalog.current_database()
UNION ALL
SELECT s.name, s.own + s.indexes, s.indexes
FROM (
  SELECT n.nspname || '.' || c.relname AS name, pg_catalog.pg_table_size(c.oid) AS own,
    pg_catalog.pg_indexes_size(c.oid) AS indexes
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'm')
    AND n.nspname NOT IN ('windlass', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
  OFFSET 0
) s
"""


def gauge(link: Link, pid: int) -> Gauge:
    """Look once, in one round trip."""
    first, *held = link.query(_GAUGE.format(pid=pid))
    locks = tuple(HeldLock(table, mode, _BLOCKS.get(mode, ""), granted) for table, mode, granted, _ in held)
    return Gauge(int(first[3]), locks)


def waits(link: Link) -> tuple[Wait, ...]:
    """Return who waits for whom, in one round trip."""
    return tuple(Wait(int(waiter), int(holder), table, sql) for waiter, holder, table, sql in link.query(_WAITS))


def volumes(link: Link) -> Volumes:
    """Return the bytes of each table with its indexes, and those of temporary files so far.

    A table that goes while it is looked at has no size.
    """
    first, *rows = link.query(_VOLUMES)
    known = [(name, int(size), int(indexes)) for name, size, indexes in rows if size is not None]
    return Volumes(
        {name: size for name, size, _ in known}, int(first[1] or 0), {name: indexes for name, _, indexes in known}
    )
