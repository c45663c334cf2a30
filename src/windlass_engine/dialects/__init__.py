"""The engines that Windlass speaks to, by the name that ``system.yml`` uses."""

from __future__ import annotations

from ..errors import WindlassError
from .base import Dialect
from .mssql import SQLServer
from .mysql import MySQL
from .postgresql import PostgreSQL

_DIALECTS: dict[str, type[Dialect]] = {"postgresql": PostgreSQL, "mysql": MySQL, "mssql": SQLServer}
_SCHEMES = {
    "postgresql": "postgresql", "postgres": "postgresql", "mysql": "mysql", "mariadb": "mysql", "mssql": "mssql",
    "sqlserver": "mssql",
}  # fmt: skip


def names() -> tuple[str, ...]:
    """Return the engines known."""
    return tuple(_DIALECTS)


def get(engine: str) -> Dialect:
    """Return the dialect of an engine.  Raise WindlassError (project_invalid) for an unknown one."""
    if engine not in _DIALECTS:
        raise WindlassError(
            "project_invalid", f"unknown engine {engine!r}", hint=f"write one of: {', '.join(_DIALECTS)}"
        )
    return _DIALECTS[engine]()


def for_url(url: str) -> Dialect:
    """Return the dialect that a database URL names by its scheme.  Raise WindlassError (inventory_invalid)."""
    scheme = url.partition("://")[0].lower()
    if scheme not in _SCHEMES:
        raise WindlassError(
            "inventory_invalid",
            f"unknown database URL scheme {scheme[:20]!r}" if "://" in url else "a database URL has no scheme",
            hint="write postgresql://, mysql:// or mssql://, then user@host:port/database",
        )
    return get(_SCHEMES[scheme])
