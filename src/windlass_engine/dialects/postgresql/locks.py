"""The deployer lock and the question who keeps whom waiting.

The lock is a session-level advisory lock: PostgreSQL keeps those per database, so one constant pair of numbers does
for all.  It is tried and polled with no transaction open, or CREATE INDEX CONCURRENTLY would wait for its own deployer.
"""

from __future__ import annotations

import hashlib
from typing import Optional

from ..answers import Blocker
from ..link import Link

#: "wind" and "lass" as two 32-bit numbers.
LOCK_KEY = (0x77696E64, 0x6C617373)
_SESSION = """
SELECT a.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, ''), coalesce(a.state, ''),
  coalesce(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - coalesce(a.xact_start, a.backend_start)), 0)::float8,
  pg_catalog.left(pg_catalog.regexp_replace(coalesce(a.query, ''), '\\s+', ' ', 'g'), 100)
FROM pg_catalog.pg_stat_activity a
"""


def try_lock(link: Link) -> bool:
    """Try to take the deployer lock of this database, without waiting."""
    return bool(link.query(f"SELECT pg_catalog.pg_try_advisory_lock({LOCK_KEY[0]}, {LOCK_KEY[1]})")[0][0])


def unlock(link: Link) -> None:
    """Give the deployer lock back."""
    link.query(f"SELECT pg_catalog.pg_advisory_unlock({LOCK_KEY[0]}, {LOCK_KEY[1]})")


def try_job_lock(link: Link, name: str) -> bool:
    """Try to take a maintenance job's lock, without waiting; the key is a hash of its name."""
    key = int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:4], "big", signed=True)
    return bool(link.query(f"SELECT pg_catalog.pg_try_advisory_lock({LOCK_KEY[0]}, {key})")[0][0])


def lock_holder(link: Link) -> Optional[Blocker]:
    """Return who holds the deployer lock, or None."""
    rows = link.query(
        f"{_SESSION} JOIN pg_catalog.pg_locks l ON l.pid = a.pid AND l.locktype = 'advisory' AND l.granted "
        f"AND l.classid = {LOCK_KEY[0]} AND l.objid = {LOCK_KEY[1]} AND l.objsubid = 2 "
        "AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"
    )
    return Blocker(*rows[0]) if rows else None


def blockers(link: Link, pid: int) -> tuple[Blocker, ...]:
    """Return the sessions that keep backend ``pid`` waiting, the oldest transaction first."""
    rows = link.query(f"{_SESSION} WHERE a.pid = ANY(pg_catalog.pg_blocking_pids({pid:d})) ORDER BY 5 DESC")
    return tuple(Blocker(*row) for row in rows)


def old_transactions(link: Link, seconds: float) -> tuple[Blocker, ...]:
    """Return transactions of this database that are older than ``seconds``: an online build waits for each of them."""
    rows = link.query(
        f"{_SESSION} WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid() "
        f"AND a.xact_start < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => {seconds:f}) "
        "ORDER BY 5 DESC"
    )
    return tuple(Blocker(*row) for row in rows)
