"""A look at a SQL Server for whatever would stop or hurt a deployment.  Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

from ...finding import Finding, failure, good, skipped, warning
from ..answers import Facts
from ..link import Link, ServerError
from . import facts
from .own import Own

#: SQL Server 2017, the first with STRING_AGG and the oldest that Microsoft still mends.
OLDEST = 140_000
OLD_TRANSACTION_S = 600
FULL_LOG_PERCENT = 80
_RIGHTS = ("CREATE TABLE", "CREATE VIEW", "CREATE PROCEDURE", "CREATE FUNCTION", "CREATE SCHEMA", "ALTER ANY SCHEMA")
_GRANTED = Own(
    "SELECT {} , COALESCE(HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE'), 0)".format(
        ", ".join(f"COALESCE(HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', '{right}'), 0)" for right in _RIGHTS)
    )
)
_OPTIONS = Own("""
SELECT CAST(d.delayed_durability_desc AS nvarchar(60)), d.is_auto_close_on, CAST(d.state_desc AS nvarchar(60)),
  CAST(d.log_reuse_wait_desc AS nvarchar(60))
FROM sys.databases d WHERE d.database_id = DB_ID()
""")
_OLD = Own(f"""
SELECT COUNT(*), COALESCE(MAX(DATEDIFF(second, a.transaction_begin_time, GETDATE())), 0)
FROM sys.dm_tran_session_transactions t
JOIN sys.dm_tran_active_transactions a ON a.transaction_id = t.transaction_id
JOIN sys.dm_exec_sessions s ON s.session_id = t.session_id
WHERE s.database_id = DB_ID() AND a.transaction_begin_time < DATEADD(second, -{OLD_TRANSACTION_S}, GETDATE())
""")
_LOG = Own("SELECT CAST(used_log_space_in_percent AS float) FROM sys.dm_db_log_space_usage")


def examine(link: Link) -> Iterator[Finding]:
    """Look at version, rights, old transactions, the log and settings."""
    seen = facts.read(link)
    yield _version(seen)
    yield _writable(seen)
    yield from _rights(link)
    yield from _options(link)
    yield _asked(link, "old transactions", _old_transactions)
    yield _asked(link, "transaction log", _log)
    yield good("session settings", "ANSI settings, QUOTED_IDENTIFIER and XACT_ABORT on, before every batch")


def _version(seen: Facts) -> Finding:
    needed = "SQL Server 2017 (14.0) or newer"
    if seen.server_version < OLDEST:
        return failure("version", f"SQL Server {seen.server_version_text}", needed, "upgrade the server")
    return good("version", f"SQL Server {seen.server_version_text}", needed)


def _writable(seen: Facts) -> Finding:
    if seen.read_only:
        mend = "put the primary's address into the inventory, or ALTER DATABASE … SET READ_WRITE"
        return failure("read-only", "the database is read-only", "a database that may be changed", mend)
    return good("read-only", "no")


def _rights(link: Link) -> Iterator[Finding]:
    *granted, sees_all = (bool(value) for value in link.query(_GRANTED)[0])
    lacking = [right for right, given in zip(_RIGHTS, granted) if not given]
    if lacking:
        mend = "ALTER ROLE db_owner ADD MEMBER the deploying user, or GRANT these"
        yield failure("rights", f"lacks {', '.join(lacking)}", ", ".join(_RIGHTS), mend)
    else:
        yield good("rights", "all that migrations need")
    if not sees_all:
        mend = "GRANT VIEW SERVER STATE to the deploying login"
        yield warning("view of sessions", "blocking sessions cannot be named", "VIEW SERVER STATE", mend)


def _options(link: Link) -> Iterator[Finding]:
    durability, auto_close, state, waits_for = link.query(_OPTIONS)[0]
    needed = "DISABLED or ALLOWED: a crash of the server may else lose what was committed last"
    if str(durability) == "FORCED":
        mend = "ALTER DATABASE … SET DELAYED_DURABILITY = ALLOWED, at least during deployments"
        yield warning("durable commits", "DELAYED_DURABILITY is FORCED", needed, mend)
    else:
        yield good("durable commits", f"DELAYED_DURABILITY is {durability}", needed)
    if auto_close:
        yield warning("auto close", "AUTO_CLOSE is on", "off", "ALTER DATABASE … SET AUTO_CLOSE OFF")
    if str(state) != "ONLINE":
        yield failure("state", str(state), "ONLINE", "bring the database online")
    if str(waits_for) not in ("NOTHING", "CHECKPOINT", "LOG_BACKUP", "ACTIVE_TRANSACTION", "OLDEST_PAGE"):
        mend = "see sys.databases.log_reuse_wait_desc in SQL Server's documentation"
        yield warning("log reuse", f"the log cannot be reused: {waits_for}", "nothing that stands in its way", mend)


def _asked(link: Link, name: str, look: Callable[[Link], Finding]) -> Finding:
    """Return what a look finds that needs a right of its own."""
    try:
        return look(link)
    except ServerError as error:
        if error.lost:
            raise
        return skipped(name, f"the server does not tell: {error.message}")


def _old_transactions(link: Link) -> Finding:
    count, oldest = (int(value) for value in link.query(_OLD)[0])
    if count:
        mend = "end them before a deployment: an ALTER waits for every one that holds its table"
        found = f"{count}, the oldest {oldest} s"
        return warning("old transactions", found, f"none over {OLD_TRANSACTION_S} s", mend)
    return good("old transactions", f"none over {OLD_TRANSACTION_S} s")


def _log(link: Link) -> Finding:
    used = float(link.query(_LOG)[0][0])
    needed = f"at most {FULL_LOG_PERCENT} % used: a schema change is logged whole"
    if used > FULL_LOG_PERCENT:
        return warning("transaction log", f"{used:.0f} % used", needed, "back the log up, or let it grow")
    return good("transaction log", f"{used:.0f} % used", needed)
