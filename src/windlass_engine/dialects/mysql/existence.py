"""Questions to the catalogue: what is there, and what is it made of."""

from __future__ import annotations

from typing import Any, Optional

from ..link import Link
from .text import literal, quoted

Name = tuple[Optional[str], str]


def _schema(name: Name) -> str:
    return literal(name[0]) if name[0] is not None else "DATABASE()"


def _rows(link: Link, view: str, condition: str, columns: str = "1") -> list[tuple[Any, ...]]:
    return link.query(f"SELECT {columns} FROM information_schema.{view} WHERE {condition}")


def table(link: Link, name: Name) -> bool:
    """Return whether a table, view or sequence is there."""
    return bool(_rows(link, "TABLES", f"table_schema = {_schema(name)} AND table_name = {literal(name[1])}"))


def view(link: Link, name: Name) -> bool:
    """Return whether a view is there."""
    return bool(_rows(link, "VIEWS", f"table_schema = {_schema(name)} AND table_name = {literal(name[1])}"))


def routine(link: Link, kind: str, name: Name) -> bool:
    """Return whether a PROCEDURE or FUNCTION is there."""
    where = f"routine_schema = {_schema(name)} AND routine_name = {literal(name[1])} AND routine_type = '{kind}'"
    return bool(_rows(link, "ROUTINES", where))


def trigger(link: Link, name: Name) -> bool:
    """Return whether a trigger is there."""
    return bool(_rows(link, "TRIGGERS", f"trigger_schema = {_schema(name)} AND trigger_name = {literal(name[1])}"))


def event(link: Link, name: Name) -> bool:
    """Return whether an event is there."""
    return bool(_rows(link, "EVENTS", f"event_schema = {_schema(name)} AND event_name = {literal(name[1])}"))


def schema(link: Link, name: str) -> bool:
    """Return whether a database is there."""
    return bool(_rows(link, "SCHEMATA", f"schema_name = {literal(name)}"))


def column(link: Link, of: Name, name: str) -> bool:
    """Return whether a table has a column."""
    where = f"table_schema = {_schema(of)} AND table_name = {literal(of[1])} AND column_name = {literal(name)}"
    return bool(_rows(link, "COLUMNS", where))


def constraint(link: Link, of: Name, name: str) -> bool:
    """Return whether a table has a foreign key, check or unique constraint of that name."""
    where = f"table_schema = {_schema(of)} AND table_name = {literal(of[1])} AND constraint_name = {literal(name)}"
    return bool(_rows(link, "TABLE_CONSTRAINTS", where))


def index(link: Link, of: Name, name: str) -> Optional[tuple[bool, tuple[str, ...]]]:
    """Return (unique, columns in lower case, each with its prefix length) of an index, or None where there is none."""
    where = f"table_schema = {_schema(of)} AND table_name = {literal(of[1])} AND index_name = {literal(name)}"
    columns = "non_unique, LOWER(COALESCE(column_name, '')), sub_part"
    rows = _rows(link, "STATISTICS", f"{where} ORDER BY seq_in_index", columns)
    if not rows:
        return None
    parts = tuple(f"{column}({length})" if length else str(column) for _, column, length in rows)
    return not int(rows[0][0]), parts


def rows(link: Link, name: Name) -> bool:
    """Return whether a table holds a row."""
    full = ".".join(quoted(part) for part in name if part is not None)
    return bool(link.query(f"SELECT 1 FROM {full} LIMIT 1"))
