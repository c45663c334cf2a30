"""Other databases of the same server.

While one is worked on, a session holds an application lock of its name in tempdb: any login may ask for that.
"""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ..link import Link
from .own import Own
from .text import literal, quoted

_TAKE = (
    "EXEC @windlass_taken = tempdb.sys.sp_getapplock @Resource = {name}, @LockMode = N'Exclusive', "
    "@LockOwner = N'Session', @LockTimeout = 0, @DbPrincipal = N'public'"
)
_GIVE = "EXEC tempdb.sys.sp_releaseapplock @Resource = {name}, @LockOwner = N'Session', @DbPrincipal = N'public'"


def url_of(url: str, name: str) -> str:
    """Return a URL with another database in it."""
    return urlunsplit(urlsplit(url)._replace(path="/" + quote(name, safe="")))


def name_of(url: str) -> str:
    """Return the name of the database in a URL."""
    return unquote(urlsplit(url).path[1:])


def make(name: str) -> tuple[str, ...]:
    """Return what keeps a name for as long as this session lives, and makes an empty database of the same collation."""
    create = (
        "DECLARE @windlass_make nvarchar(max) = "
        f"{literal(f'CREATE DATABASE {quoted(name)} COLLATE ')} "
        "+ CONVERT(nvarchar(128), DATABASEPROPERTYEX(DB_NAME(), 'Collation')); EXEC sys.sp_executesql @windlass_make"
    )
    return (
        Own(f"DECLARE @windlass_taken int; {_TAKE.format(name=literal(name))}"),
        Own(create),
        Own(f"ALTER DATABASE {quoted(name)} SET RECOVERY SIMPLE"),
    )


def drop(name: str) -> str:
    """Return what drops a database with its sessions; one whose restore broke off can only be dropped."""
    return Own(
        f"IF DB_ID({literal(name)}) IS NOT NULL BEGIN "
        f"IF DATABASEPROPERTYEX({literal(name)}, N'Status') = N'ONLINE' "
        f"ALTER DATABASE {quoted(name)} SET SINGLE_USER WITH ROLLBACK IMMEDIATE; DROP DATABASE {quoted(name)}; END"
    )


def unkept(link: Link, prefix: str) -> tuple[str, ...]:
    """Return the databases of this login whose names begin so and that no session holds a lock for."""
    rows = link.query(
        Own(
            f"SELECT name FROM sys.databases WHERE LEFT(name, {len(prefix):d}) = {literal(prefix)} "
            "AND owner_sid = SUSER_SID()"
        )
    )
    return tuple(str(name) for (name,) in rows if _is_free(link, str(name)))


def _is_free(link: Link, name: str) -> bool:
    """Return whether nobody holds the lock of a name."""
    told = literal(name)
    answer = link.query(
        Own(
            f"DECLARE @windlass_taken int; {_TAKE.format(name=told)}; "
            f"IF @windlass_taken >= 0 {_GIVE.format(name=told)}; SELECT @windlass_taken"
        )
    )
    return int(answer[0][0]) >= 0
