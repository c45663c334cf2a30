"""What a session costs while it works: its metadata locks where the server tells them, and the redo log written."""

from __future__ import annotations

from typing import Optional

from ..answers import Gauge, HeldLock, Volumes
from ..link import Link, ServerError

#: Whom a metadata lock keeps waiting.
_BLOCKS = {
    "EXCLUSIVE": "reads and writes",
    "SHARED_NO_READ_WRITE": "reads and writes",
    "SHARED_NO_WRITE": "writes",
}
#: How far the log goes (MariaDB, MySQL), or what of it is in the file already where a server does not say that.
_LOG_MARKS = ("innodb_lsn_current", "innodb_redo_log_current_lsn", "innodb_os_log_written")
_LOG = f"SHOW GLOBAL STATUS WHERE LOWER(Variable_name) IN {_LOG_MARKS}"
_OURS = "NOT LIKE 'windlass\\_%'"
# MySQL tells by itself; MariaDB does where the plugin metadata_lock_info is installed.
_LOCKS = (
    f"""
SELECT l.OBJECT_NAME, l.LOCK_TYPE, l.LOCK_STATUS = 'GRANTED' FROM performance_schema.metadata_locks l
JOIN performance_schema.threads t ON t.THREAD_ID = l.OWNER_THREAD_ID
WHERE t.PROCESSLIST_ID = {{pid:d}} AND l.OBJECT_TYPE = 'TABLE' AND l.OBJECT_SCHEMA = DATABASE()
  AND l.OBJECT_NAME {_OURS} AND @@performance_schema = 1
""",
    f"""
SELECT TABLE_NAME, REPLACE(LOCK_MODE, 'MDL_', ''), 1 FROM information_schema.METADATA_LOCK_INFO
WHERE THREAD_ID = {{pid:d}} AND TABLE_SCHEMA = DATABASE() AND TABLE_NAME {_OURS}
""",
)
_TABLES = f"""
SELECT TABLE_NAME, COALESCE(DATA_LENGTH, 0) + COALESCE(INDEX_LENGTH, 0) FROM information_schema.TABLES
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' AND TABLE_NAME {_OURS}
"""


def gauge(link: Link, pid: int) -> Gauge:
    """Look once; ``locks`` is None where the server does not tell them."""
    told = {str(name).lower(): int(value) for name, value in link.query(_LOG)}
    return Gauge(next((told[mark] for mark in _LOG_MARKS if mark in told), None), _locks(link, pid))


def volumes(link: Link) -> Volumes:
    """Return the bytes of each table with its indexes; the server does not tell those of temporary files."""
    return Volumes({str(name): int(size) for name, size in link.query(_TABLES)}, None)


def _locks(link: Link, pid: int) -> Optional[tuple[HeldLock, ...]]:
    for query in _LOCKS:
        try:
            rows = link.query(query.format(pid=pid))
        except ServerError:
            continue  # there is no such table here, or the login may not read it
        if rows or "performance_schema" not in query:
            return tuple(HeldLock(str(t), str(mode), _BLOCKS.get(str(mode), ""), bool(g)) for t, mode, g in rows)
    return None
