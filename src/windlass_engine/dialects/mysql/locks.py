"""The deployer lock and the question who keeps whom waiting.

GET_LOCK is server-wide, so its name holds the database's.  It belongs to the session and ends with it.  A session has
no name that others can see, so the holder leaves a note in a table of the journal; the note counts only while its
connection holds the lock.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Optional

from ..answers import Blocker
from ..link import Link, ServerError
from .text import literal

NO_SUCH_TABLE = 1146
#: A name has 64 characters at most.  MySQL's newest servers have no SHA1 and no MD5 any more.
_HASHED = "CONCAT('windlass ', LEFT(SHA2({}, 256), 40))"
_NAME = _HASHED.format("DATABASE()")
_NOTES = (
    "CREATE TABLE IF NOT EXISTS windlass_holder (id INT PRIMARY KEY, connection BIGINT UNSIGNED NOT NULL, "
    "application VARCHAR(500) NOT NULL, since DATETIME(3) NOT NULL) "
    "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Windlass: who deploys'"
)
_SESSION = """
SELECT p.id, p.user, COALESCE(NULLIF(p.state, ''), p.command, ''), COALESCE(p.time, 0),
  LEFT(COALESCE(p.info, ''), 200), COALESCE(p.host, '')
FROM information_schema.PROCESSLIST p
"""
#: Seconds since a transaction began; the server notes that in its own time zone.
_AGE = "TIMESTAMPDIFF(MICROSECOND, t.trx_started, CONVERT_TZ(UTC_TIMESTAMP(6), '+00:00', 'SYSTEM')) / 1000000"
_ROW_BLOCKERS_MARIADB = """
SELECT DISTINCT b.trx_mysql_thread_id FROM information_schema.INNODB_LOCK_WAITS w
JOIN information_schema.INNODB_TRX r ON r.trx_id = w.requesting_trx_id
JOIN information_schema.INNODB_TRX b ON b.trx_id = w.blocking_trx_id
WHERE r.trx_mysql_thread_id = {pid:d}
"""
_ROW_BLOCKERS_MYSQL = """
SELECT DISTINCT b.trx_mysql_thread_id FROM performance_schema.data_lock_waits w
JOIN information_schema.INNODB_TRX r ON r.trx_id = w.requesting_engine_transaction_id
JOIN information_schema.INNODB_TRX b ON b.trx_id = w.blocking_engine_transaction_id
WHERE r.trx_mysql_thread_id = {pid:d}
"""
_METADATA_BLOCKERS = """
SELECT DISTINCT h.processlist_id FROM performance_schema.threads t
JOIN performance_schema.metadata_locks w ON w.owner_thread_id = t.thread_id AND w.lock_status = 'PENDING'
JOIN performance_schema.metadata_locks g ON g.object_type = w.object_type AND g.object_schema <=> w.object_schema
  AND g.object_name <=> w.object_name AND g.lock_status = 'GRANTED' AND g.owner_thread_id <> w.owner_thread_id
JOIN performance_schema.threads h ON h.thread_id = g.owner_thread_id
WHERE t.processlist_id = {pid:d} AND h.processlist_id IS NOT NULL
"""
#: MariaDB's plugin lists what is granted, not what is waited for: the tables that the waiting statement names count.
_PLUGIN_BLOCKERS = """
SELECT DISTINCT l.thread_id FROM information_schema.METADATA_LOCK_INFO l
JOIN information_schema.PROCESSLIST p ON p.id = {pid:d}
WHERE l.thread_id <> {pid:d} AND l.lock_type = 'Table metadata lock' AND l.table_schema = DATABASE()
  AND LOCATE(l.table_name, p.info) > 0
"""
#: Where nobody tells: the transactions that were open before the wait began.
_OLDER_TRANSACTIONS = f"""
SELECT t.trx_mysql_thread_id FROM information_schema.INNODB_TRX t
JOIN information_schema.PROCESSLIST p ON p.id = {{pid:d}}
WHERE t.trx_mysql_thread_id NOT IN ({{pid:d}}, 0, CONNECTION_ID()) AND {_AGE} >= p.time_ms / 1000
"""


def try_lock(link: Link) -> bool:
    """Try to take the deployer lock of this database, without waiting."""
    if link.query(f"SELECT GET_LOCK({_NAME}, 0)")[0][0] != 1:
        return False
    _leave_note(link)
    return True


def unlock(link: Link) -> None:
    """Give the deployer lock back."""
    link.query(f"SELECT RELEASE_LOCK({_NAME})")


def name_of(database: str) -> str:
    """Return the expression for the name of a database's deployer lock, for a session that is in none."""
    return _HASHED.format(literal(database))


def try_job_lock(link: Link, name: str) -> bool:
    """Try to take a maintenance job's lock, without waiting."""
    job = _HASHED.format(f"CONCAT(DATABASE(), ' ', {literal(name)})")
    return bool(link.query(f"SELECT GET_LOCK({job}, 0)")[0][0] == 1)


def lock_holder(link: Link) -> Optional[Blocker]:
    """Return who holds the deployer lock, or None."""
    holder = link.query(f"SELECT IS_USED_LOCK({_NAME})")[0][0]
    if holder is None:
        return None
    found = _sessions(link, [int(holder)])
    session = found[0] if found else Blocker(int(holder), "", "", "", 0.0, "")
    note = _note(link, int(holder))
    if note is None:
        return session
    return Blocker(session.pid, str(note[0]), session.user, session.state, float(note[1]), session.query)


def blockers(link: Link, pid: int, is_mariadb: bool) -> tuple[Blocker, ...]:
    """Return the sessions that keep session ``pid`` waiting, the oldest transaction first."""
    state = link.query(f"SELECT COALESCE(state, '') FROM information_schema.PROCESSLIST WHERE id = {pid:d}")
    if not state:
        return ()
    if "metadata lock" in str(state[0][0]):
        queries = [_METADATA_BLOCKERS, _PLUGIN_BLOCKERS, _OLDER_TRANSACTIONS]
    else:
        queries = [_ROW_BLOCKERS_MARIADB if is_mariadb else _ROW_BLOCKERS_MYSQL]
    for query in queries:
        found = _answer(link, query.format(pid=pid))
        if found:
            return tuple(sorted(_sessions(link, found), key=lambda blocker: -blocker.age_s))
    return ()


def _leave_note(link: Link) -> None:
    """Say who holds the lock; a login that may not write is refused later, with a reason."""
    row = f"(1, CONNECTION_ID(), {literal(str(getattr(link, 'application', ''))[:500])}, UTC_TIMESTAMP(3))"
    note = f"REPLACE INTO windlass_holder (id, connection, application, since) VALUES {row}"
    try:
        link.run(note)
    except ServerError as error:
        if error.lost:
            raise
        if error.number == NO_SUCH_TABLE:
            with suppress(ServerError):
                link.run([_NOTES, note])


def _note(link: Link, holder: int) -> Optional[tuple[Any, ...]]:
    """Return (application, seconds) that the holder noted, where it did."""
    query = (
        "SELECT application, TIMESTAMPDIFF(MICROSECOND, since, UTC_TIMESTAMP(6)) / 1000000 FROM windlass_holder "
        f"WHERE connection = {holder:d}"
    )
    try:
        rows = link.query(query)
    except ServerError as error:
        if error.lost:
            raise
        return None
    return rows[0] if rows else None


def _answer(link: Link, query: str) -> list[int]:
    """Return the sessions that a source names; one that is switched off or forbidden names none."""
    try:
        return [int(row[0]) for row in link.query(query)]
    except ServerError as error:
        if error.lost:
            raise
        return []


def _sessions(link: Link, ids: list[int]) -> list[Blocker]:
    """Return sessions as far as this login may see them."""
    listed = ", ".join(str(number) for number in ids)
    rows = link.query(f"{_SESSION} WHERE p.id IN ({listed})")
    names = _names(link, listed)
    ages = _ages(link, listed)
    return [
        Blocker(
            int(pid),
            names.get(int(pid)) or str(host),
            str(user),
            str(state),
            ages.get(int(pid), float(age)),
            " ".join(str(query).split())[:100],
        )
        for pid, user, state, age, query, host in rows
    ]


def _names(link: Link, listed: str) -> dict[int, str]:
    """Return the names that sessions gave themselves, where the server keeps them."""
    query = (
        "SELECT processlist_id, attr_value FROM performance_schema.session_connect_attrs "
        f"WHERE attr_name = 'program_name' AND processlist_id IN ({listed})"
    )
    try:
        return {int(pid): str(name) for pid, name in link.query(query)}
    except ServerError as error:
        if error.lost:
            raise
        return {}


def _ages(link: Link, listed: str) -> dict[int, float]:
    """Return the ages of open transactions in seconds."""
    query = (
        f"SELECT t.trx_mysql_thread_id, {_AGE} FROM information_schema.INNODB_TRX t "
        f"WHERE t.trx_mysql_thread_id IN ({listed})"
    )
    try:
        return {int(pid): float(age) for pid, age in link.query(query)}
    except ServerError as error:
        if error.lost:
            raise
        return {}


def progress(link: Link, pid: int) -> Optional[tuple[str, int, int]]:
    """Return (phase, done, total) of MariaDB's own progress report in thousandths, or None."""
    query = (
        "SELECT state, stage, max_stage, progress FROM information_schema.PROCESSLIST "
        f"WHERE id = {pid:d} AND max_stage > 0"
    )
    rows = link.query(query)
    if not rows:
        return None
    state, stage, stages, percent = rows[0]
    return f"{state} ({stage}/{stages})", int(float(percent) * 10), 1000
