"""The deployer lock and the question who keeps whom waiting.

The lock is an application lock of the session in this database: it ends with the session.  A login without VIEW SERVER
STATE sees neither locks nor other sessions, so the holder also leaves a note in a table of the journal; the note counts
only while the lock is held.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Optional

from ..answers import Blocker
from ..link import Link, ServerError
from .journal_sql import HOLDER
from .own import Own
from .text import literal

NO_SUCH_OBJECT = 208
DEPLOYER = "windlass deployer"
_SESSION = """
SELECT DISTINCT s.session_id, COALESCE(s.program_name, N''), COALESCE(s.login_name, N''),
  COALESCE(r.status, s.status, N'') + COALESCE(N' ' + r.command, N''),
  CAST(COALESCE((SELECT MAX(DATEDIFF_BIG(millisecond, a.transaction_begin_time, GETDATE()))
    FROM sys.dm_tran_session_transactions t
    JOIN sys.dm_tran_active_transactions a ON a.transaction_id = t.transaction_id
    WHERE t.session_id = s.session_id), DATEDIFF_BIG(millisecond, s.last_request_start_time, GETDATE())) AS bigint),
  COALESCE((SELECT TOP (1) LEFT(x.text, 400) FROM sys.dm_exec_connections c
    CROSS APPLY sys.dm_exec_sql_text(c.most_recent_sql_handle) x WHERE c.session_id = s.session_id), N'')
FROM sys.dm_exec_sessions s LEFT JOIN sys.dm_exec_requests r ON r.session_id = s.session_id
"""
_BLOCKERS = """
WHERE s.session_id IN (
  SELECT w.blocking_session_id FROM sys.dm_exec_requests w WHERE w.session_id = {pid:d} AND w.blocking_session_id > 0
  UNION SELECT w.blocking_session_id FROM sys.dm_os_waiting_tasks w
  WHERE w.session_id = {pid:d} AND w.blocking_session_id > 0 AND w.blocking_session_id <> w.session_id)
"""
#: The server shows the principal's number, the first 32 characters of the name, and a hash.
_HOLDS = f"""
WHERE s.session_id IN (
  SELECT l.request_session_id FROM sys.dm_tran_locks l
  WHERE l.resource_type = 'APPLICATION' AND l.resource_database_id = DB_ID() AND l.request_status LIKE 'GRANT%'
    AND CHARINDEX(N':[{DEPLOYER}]:', l.resource_description) > 0)
"""
_PROGRESS = """
SELECT COALESCE(r.command, N''), CAST(r.percent_complete * 10 AS int) FROM sys.dm_exec_requests r
WHERE r.session_id = {pid:d} AND r.percent_complete > 0
"""


def try_lock(link: Link) -> bool:
    """Try to take the deployer lock of this database, without waiting."""
    if not take(link, DEPLOYER):
        return False
    _leave_note(link)
    return True


def unlock(link: Link) -> None:
    """Give the deployer lock back."""
    link.run(
        Own(
            f"EXEC sys.sp_releaseapplock @Resource = {literal(DEPLOYER)}, @LockOwner = N'Session', "
            "@DbPrincipal = N'public'"
        )
    )


def try_job_lock(link: Link, name: str) -> bool:
    """Try to take a maintenance job's lock, without waiting."""
    return take(link, f"windlass job {name}"[:255])


def lock_holder(link: Link) -> Optional[Blocker]:
    """Return who holds the deployer lock, or None."""
    try:
        found = _sessions(link, _HOLDS)
        return found[0] if found else None
    except ServerError as error:
        if error.lost:
            raise
    return _noted(link)


def blockers(link: Link, pid: int) -> tuple[Blocker, ...]:
    """Return the sessions that keep session ``pid`` waiting, the oldest transaction first."""
    try:
        found = _sessions(link, _BLOCKERS.format(pid=pid))
    except ServerError as error:
        if error.lost:
            raise
        return ()
    return tuple(sorted(found, key=lambda blocker: -blocker.age_s))


def progress(link: Link, pid: int) -> Optional[tuple[str, int, int]]:
    """Return (command, done, total) in thousandths of what the server itself measures, or None."""
    try:
        rows = link.query(Own(_PROGRESS.format(pid=pid)))
    except ServerError as error:
        if error.lost:
            raise
        return None
    return (str(rows[0][0]), int(rows[0][1]), 1000) if rows else None


def take(link: Link, name: str) -> bool:
    """Try to take an application lock of this database for this session."""
    answer = link.query(
        Own(
            "DECLARE @windlass_taken int; "
            f"EXEC @windlass_taken = sys.sp_getapplock @Resource = {literal(name)}, @LockMode = N'Exclusive', "
            "@LockOwner = N'Session', @LockTimeout = 0, @DbPrincipal = N'public'; SELECT @windlass_taken"
        )
    )
    return int(answer[0][0]) >= 0


def _leave_note(link: Link) -> None:
    """Say who holds the lock; a login that may not write is refused later, with a reason."""
    note = Own(
        "DELETE FROM windlass.holder; INSERT INTO windlass.holder (session_id, application, since) "
        f"VALUES (@@SPID, {literal(str(getattr(link, 'application', ''))[:500])}, SYSUTCDATETIME())"
    )
    try:
        link.run(note)
    except ServerError as error:
        if error.lost:
            raise
        if error.number == NO_SUCH_OBJECT:
            with suppress(ServerError):
                link.run([*HOLDER, note])


def _noted(link: Link) -> Optional[Blocker]:
    """Return the holder as far as a login sees it that may see no other session."""
    free = link.query(Own(f"SELECT APPLOCK_TEST(N'public', {literal(DEPLOYER)}, N'Exclusive', N'Session')"))
    if int(free[0][0]) == 1:
        return None
    rows: list[tuple[Any, ...]] = []
    with suppress(ServerError):
        rows = link.query(
            Own(
                "SELECT session_id, application, DATEDIFF_BIG(millisecond, since, SYSUTCDATETIME()) "
                "FROM windlass.holder"
            )
        )
    pid, application, age_ms = rows[0] if rows else (0, "", 0)
    return Blocker(int(pid), str(application), "", "", int(age_ms) / 1000, "")


def _sessions(link: Link, where: str) -> list[Blocker]:
    """Return sessions as the server sees them.  Raise ServerError, so for a login that may not."""
    return [
        Blocker(int(pid), str(name), str(user), str(state), int(age_ms) / 1000, " ".join(str(text).split())[:100])
        for pid, name, user, state, age_ms, text in link.query(Own(_SESSION + where))
    ]
