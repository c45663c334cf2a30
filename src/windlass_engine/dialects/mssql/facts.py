"""One look at a SQL Server, and the search for a pooler in between."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Callable

from .. import poolers
from ..answers import Facts
from ..link import Link
from .own import Own

_FACTS = Own("""
SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), DB_NAME(), SUSER_SNAME(),
  CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS nvarchar(128)),
  COALESCE(HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'CREATE SCHEMA'), 0), @@SPID,
  (SELECT COALESCE(SUM(CAST(f.size AS bigint)), 0) * 8192 FROM sys.database_files f WHERE f.type = 0),
  DATEDIFF_BIG(microsecond, CONVERT(datetime2(6), '1970-01-01T00:00:00', 126), SYSUTCDATETIME())
""")
_PID = Own("SELECT @@SPID")


def read(link: Link) -> Facts:
    """Look at the server once."""
    version, database, user, updateability, may_create, pid, size, microseconds = link.query(_FACTS)[0]
    clock = datetime(1970, 1, 1) + timedelta(microseconds=int(microseconds))
    return Facts(
        link.server_version,
        str(version),
        str(database),
        str(user),
        str(updateability) == "READ_ONLY",
        bool(may_create),
        int(pid),
        int(size),
        f"{clock.isoformat(timespec='microseconds')}Z",
    )


def pooler(connect: Callable[[], Link], link: Link) -> str:
    """Return how a pooler was found, or an empty string: it may give each transaction another server session."""
    return poolers.found(connect, link, _PID, Own("BEGIN TRANSACTION", opens=True))
