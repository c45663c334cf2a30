"""The engines that Windlass speaks to, by the name that ``system.yml`` uses."""

from __future__ import annotations

from ..errors import WindlassError
from .base import Dialect

_NAMES = ("postgresql", "mysql", "mssql")
_SCHEMES = {
    "postgresql": "postgresql", "postgres": "postgresql", "mysql": "mysql", "mariadb": "mysql", "mssql": "mssql",
    "sqlserver": "mssql",
}  # fmt: skip


def names() -> tuple[str, ...]:
    """Return the engines known."""
    return _NAMES


def get(engine: str) -> Dialect:
    """Return the dialect of an engine.  Raise WindlassError (project_invalid) for an unknown one.

    Its package is imported here: most runs speak to one engine, and the other two would be half of their start.
    """
    if engine == "postgresql":
        from .postgresql import PostgreSQL

        return PostgreSQL()
    if engine == "mysql":
        from .mysql import MySQL

        return MySQL()
    if engine == "mssql":
        from .mssql import SQLServer

        return SQLServer()
    hint = f"write one of: {', '.join(_NAMES)}"
    raise WindlassError("project_invalid", f"unknown engine {engine!r}", hint=hint)


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
