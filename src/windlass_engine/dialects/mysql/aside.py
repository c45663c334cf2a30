"""The table ``windlass_aside`` of a database that stands beside another: one being restored, restored, or kept.

It says how far that is, and holds the code (views, routines, triggers, events) that belongs to the database but does
not stand in it: beside the original it could reach into it.
"""

from __future__ import annotations

import json
from typing import Any, Optional

from ..link import Link
from .text import literal, quoted

TABLE = "windlass_aside"
#: Keys of the table.
STATE, CODE, EXCHANGE = "state", "code", "exchange"
#: What :data:`STATE` says.
UNFINISHED, RESTORED, KEPT = "unfinished", "restored", "kept"


def make(link: Link, database: str, state: str) -> None:
    """Make the table where it is missing, and note the state.  Raise ServerError."""
    link.run(
        f"CREATE TABLE IF NOT EXISTS {_named(database)} (name VARCHAR(32) NOT NULL PRIMARY KEY, value LONGTEXT) "
        "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Windlass: beside the original'"
    )
    put(link, database, STATE, state)


def put(link: Link, database: str, name: str, value: Any) -> None:
    """Keep a value, which is safe when this returns.  Raise ServerError."""
    link.run(f"REPLACE INTO {_named(database)} VALUES ({literal(name)}, {literal(json.dumps(value))})")


def get(link: Link, database: str, name: str) -> Any:
    """Return a value, or None.  Raise ServerError."""
    if not stands(link, database):
        return None
    rows = link.query(f"SELECT value FROM {_named(database)} WHERE name = {literal(name)}")
    return json.loads(rows[0][0]) if rows else None


def remove(link: Link, database: str, name: str) -> None:
    """Forget a value.  Raise ServerError."""
    link.run(f"DELETE FROM {_named(database)} WHERE name = {literal(name)}")


def stands(link: Link, database: str) -> bool:
    """Return whether a database has the table."""
    return database in places(link, database)


def places(link: Link, database: Optional[str] = None) -> list[str]:
    """Return the databases that have the table, or the one asked for."""
    only = f" AND table_schema = {literal(database)}" if database is not None else ""
    rows = link.query(
        f"SELECT table_schema FROM information_schema.TABLES WHERE table_name = {literal(TABLE)}{only} ORDER BY 1"
    )
    return [str(name) for (name,) in rows]


def _named(database: str) -> str:
    return f"{quoted(database)}.{TABLE}"
