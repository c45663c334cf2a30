"""What an exchange of two databases is going to do, written down before anything is touched, or why it cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...model import Wire
from .. import backups
from ..link import Link
from . import aside, code, contents, driver, surroundings
from .text import literal

_FOREIGN = """
SELECT DISTINCT CONCAT(constraint_schema, '.', table_name), CONCAT(unique_constraint_schema, '.', referenced_table_name)
FROM information_schema.REFERENTIAL_CONSTRAINTS
WHERE unique_constraint_schema IN ({names}) AND constraint_schema <> unique_constraint_schema"""


def planned(admin: Link, name: str, incoming: str, kept: str) -> Wire:
    """Return all that the exchange has to know, as it is before anything is touched."""
    exists = is_there(admin, name)
    if not aside.stands(admin, incoming):
        aside.make(admin, incoming, aside.RESTORED)
    stored: Any = aside.get(admin, incoming, aside.CODE)
    new = stored or {
        "pieces": [piece.to_wire() for piece in surroundings.code_of(admin, incoming, "restore_failed")],
        "named": incoming,
    }
    into_copy = aside.stands(admin, name)
    if into_copy:
        new = {**new, "pieces": [each for each in new["pieces"] if not _is_strange(each, new["named"], name)]}
    new = {**new, **_described(admin, incoming, new["pieces"])}
    old: Wire = {"pieces": [], "triggered": [], "tables": []}
    if exists:
        pieces = [piece.to_wire() for piece in surroundings.code_of(admin, name, "restore_failed")]
        defaults = surroundings.own_defaults(admin, name)
        old = {"pieces": pieces, "defaults": defaults, "named": name, **_described(admin, name, pieces)}
    kept = kept if exists else ""
    parts = {"name": name, "incoming": incoming, "kept": kept, "into_copy": into_copy}
    return {**parts, "phase": "planned", "old": old, "new": new}


def _described(admin: Link, database: str, pieces: Sequence[Wire]) -> Wire:
    """Return a database's tables, those with triggers, and its settings."""
    triggered = sorted({str(piece["table"]) for piece in pieces if piece["kind"] == "TRIGGER"})
    tables = [table.name for table in contents.tables(admin, database)]
    return {"tables": tables, "triggered": triggered, "settings": surroundings.settings(admin, database)}


def _is_strange(piece: Wire, named: str, name: str) -> bool:
    """Return whether a piece names the schema ``named`` that it comes from, and would stand in another."""
    return named != name and code.names(str(piece["sql"]), named)


def require_possible(admin: Link, name: str, incoming: str) -> None:
    """Refuse what cannot be exchanged, before anything is touched."""
    if not is_there(admin, incoming):
        raise backups.refusal(f"there is no database {incoming!r}")
    if incoming == name:
        raise backups.refusal(f"{incoming!r} is the database itself")
    state = str(aside.get(admin, incoming, aside.STATE) or "")
    if state == aside.UNFINISHED:
        raise backups.refusal(f"{incoming!r} was never restored to its end; drop it and restore again")
    if state.startswith(backups.PARTIAL):
        raise backups.refusal(f"{incoming!r} holds the rows of some tables only")
    stored: Any = aside.get(admin, incoming, aside.CODE)
    named = stored["named"] if stored else incoming
    pieces = (
        [code.Piece.from_wire(each) for each in stored["pieces"]]
        if stored
        else surroundings.code_of(admin, incoming, "restore_failed")
    )
    strange = [piece.label for piece in pieces if _is_strange(piece.to_wire(), named, name)]
    # In a database that is a copy itself, as in a drill, such code goes on waiting.
    if strange and not aside.stands(admin, name):
        raise backups.refusal(f"{', '.join(strange[:5])} of {incoming!r} names the schema {named!r}, and not {name!r}")
    old = surroundings.code_of(admin, name, "restore_failed") if is_there(admin, name) else []
    is_mariadb = admin.server_version >= driver.MARIADB
    others = surroundings.forbidden_definers(admin, code.definers([*old, *pieces]), is_mariadb)
    if others:
        raise backups.refusal(f"the login may not make code that runs as {', '.join(others)} (GRANT SET USER to it)")
    leading = leading_here(admin, name, incoming)
    if leading:
        listed = ", ".join(leading[:5])
        raise backups.refusal(f"foreign keys of other databases lead to these: {listed}; drop them first")


def leading_here(admin: Link, *databases: str) -> list[str]:
    """Return the foreign keys of other databases that lead to tables of these, as texts.  Raise ServerError."""
    rows = admin.query(_FOREIGN.format(names=", ".join(map(literal, databases))))
    return [f"{table} to {to}" for table, to in rows]


def is_there(admin: Link, name: str) -> bool:
    """Return whether a database is there.  Raise ServerError."""
    return bool(admin.query(f"SELECT 1 FROM information_schema.SCHEMATA WHERE schema_name = {literal(name)}"))
