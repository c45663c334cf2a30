"""What a session costs while it works: its metadata locks where the server tells them, redo log and temporary files."""

from __future__ import annotations

from typing import Optional

from ..answers import Gauge, HeldLock, Volumes
from ..link import Link, ServerError
from . import trying

#: Whom a metadata lock keeps waiting.
_BLOCKS = {
    "EXCLUSIVE": "reads and writes",
    "SHARED_NO_READ_WRITE": "reads and writes",
    "SHARED_NO_WRITE": "writes",
}
#: How far the log goes (MariaDB, MySQL), or what of it is in the file already where a server does not say that.
_LOG_MARKS = ("innodb_lsn_current", "innodb_redo_log_current_lsn", "innodb_os_log_written")
_LOG = f"SHOW GLOBAL STATUS WHERE LOWER(Variable_name) IN {_LOG_MARKS}"
# What sorts and rebuilds wrote into temporary files; nothing where the server does not count it.
_TEMPORARY = """
SELECT SUM(f.SUM_NUMBER_OF_BYTES_WRITE) FROM performance_schema.file_summary_by_event_name f
JOIN performance_schema.setup_instruments i ON i.NAME = f.EVENT_NAME
WHERE f.EVENT_NAME IN ('wait/io/file/innodb/innodb_temp_file', 'wait/io/file/sql/io_cache') AND i.ENABLED = 'YES'
"""
_OURS = "NOT LIKE 'windlass\\_%'"
# What the server itself makes while it alters a table; nobody can wait for it.
_PASSING = "NOT LIKE '#sql%'"
# MySQL tells by itself; MariaDB does where the plugin metadata_lock_info is installed.  The first row says whether
# anything is told: while it is read, there is at least the lock of the reader.
_LOCKS = (
    f"""
SELECT '', '', EXISTS (SELECT 1 FROM performance_schema.metadata_locks)
UNION ALL
SELECT l.OBJECT_NAME, l.LOCK_TYPE, l.LOCK_STATUS = 'GRANTED' FROM performance_schema.metadata_locks l
JOIN performance_schema.threads t ON t.THREAD_ID = l.OWNER_THREAD_ID
WHERE t.PROCESSLIST_ID = {{pid:d}} AND l.OBJECT_TYPE = 'TABLE' AND l.OBJECT_SCHEMA = DATABASE()
  AND l.OBJECT_NAME {_OURS} AND l.OBJECT_NAME {_PASSING}
""",
    f"""
SELECT '', '', 1
UNION ALL
SELECT TABLE_NAME, REPLACE(LOCK_MODE, 'MDL_', ''), 1 FROM information_schema.METADATA_LOCK_INFO
WHERE THREAD_ID = {{pid:d}} AND TABLE_SCHEMA = DATABASE() AND TABLE_NAME <> '' AND TABLE_NAME {_OURS}
  AND TABLE_NAME {_PASSING}
""",
)
#: What is not known without them, and how to have them.
_TRIED = (
    "the server does not tell its table locks: reads and writes of the table in work were tried at each look instead; "
    "to know which locks they met: INSTALL SONAME 'metadata_lock_info'"
)
_UNKNOWN = {
    True: "MariaDB does not tell its table locks; let it: INSTALL SONAME 'metadata_lock_info'",
    False: "MySQL does not tell its table locks: performance_schema is off, or this login may not read it",
}
_TABLES = f"""
SELECT TABLE_NAME, COALESCE(DATA_LENGTH, 0) + COALESCE(INDEX_LENGTH, 0), COALESCE(INDEX_LENGTH, 0)
FROM information_schema.TABLES
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' AND TABLE_NAME {_OURS}
"""


def gauge(link: Link, pid: int, is_mariadb: bool) -> Gauge:
    """Look once; ``locks`` is None where the server does not tell them and they cannot be tried."""
    marks = {str(name).lower(): int(value) for name, value in link.query(_LOG)}
    log_bytes = next((marks[mark] for mark in _LOG_MARKS if mark in marks), None)
    temporary, told = _temporary(link), _locks(link, pid)
    if told is not None:
        return Gauge(log_bytes, told, temporary=temporary)
    tried = trying.locks(link, pid) if is_mariadb and pid else None
    return Gauge(log_bytes, tried, _UNKNOWN[is_mariadb] if tried is None else _TRIED, temporary)


def volumes(link: Link, is_mariadb: bool) -> Volumes:
    """Return the bytes of each table with its indexes; those of temporary files are told by each look.

    They are InnoDB's statistics, which follow a change in the background; MySQL would tell those of yesterday.
    """
    if not is_mariadb:
        link.run("SET SESSION information_schema_stats_expiry = 0")
    rows = [(str(name), int(size), int(indexes)) for name, size, indexes in link.query(_TABLES)]
    return Volumes({name: size for name, size, _ in rows}, None, {name: indexes for name, _, indexes in rows})


def _temporary(link: Link) -> Optional[int]:
    """Return the bytes that went into temporary files so far; None where the server does not count them."""
    try:
        [(written,)] = link.query(_TEMPORARY)
    except ServerError as error:
        if error.lost:
            raise
        return None
    return None if written is None else int(written)


def _locks(link: Link, pid: int) -> Optional[tuple[HeldLock, ...]]:
    """Return the locks that the server tells of, None where it does not."""
    for query in _LOCKS:
        try:
            (_, _, told), *rows = link.query(query.format(pid=pid))
        except ServerError as error:
            if error.lost:
                raise
            continue  # there is no such table here, or the login may not read it
        if told:
            return tuple(HeldLock(str(t), str(mode), _BLOCKS.get(str(mode), ""), bool(g)) for t, mode, g in rows)
    return None
