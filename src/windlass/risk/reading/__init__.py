"""What statements do, as their engine's parser sees them: a reader for each grammar."""

from __future__ import annotations

from collections.abc import Mapping

from windlass.risk.action import Action, Read


def read(grammar: str, sql: str) -> tuple[Action, ...]:
    """Return what a statement does; ``grammar`` is the dialect's own word for its language."""
    return tuple(_readers()[grammar](sql)) if grammar in _readers() else (Action("opaque", note="is not read"),)


def _readers() -> Mapping[str, Read]:
    """Return the readers; the parsers are imported when something is to be read."""
    from windlass.risk.reading import mysql, postgresql, tsql

    return {"postgresql": postgresql.read, "mysql": mysql.read, "tsql": tsql.read}
