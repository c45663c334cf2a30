"""What statements do, as their engine's parser sees them: a reader for each grammar."""

from __future__ import annotations

from windlass.risk.action import Action, Read


def read(grammar: str, sql: str) -> tuple[Action, ...]:
    """Return what a statement does; ``grammar`` is the dialect's own word for its language."""
    reader = _reader(grammar)
    return tuple(reader(sql)) if reader else (Action("opaque", note="is not read"),)


def _reader(grammar: str) -> Read | None:
    """Return a grammar's reader; only its own parser is imported."""
    if grammar == "postgresql":
        from windlass.risk.reading import postgresql

        return postgresql.read
    if grammar == "mysql":
        from windlass.risk.reading import mysql

        return mysql.read
    if grammar == "tsql":
        from windlass.risk.reading import tsql

        return tsql.read
    return None
