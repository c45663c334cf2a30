"""Names, types and expressions of PostgreSQL's parse tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from windlass.risk.action import Name
from windlass_engine.model import Probe


def relation(node: Any) -> Name:
    """Return a relation's name in its parts."""
    return (node.schemaname, node.relname) if node.schemaname else (node.relname,)


def last(item: Any) -> str:
    """Return the last part of a name, however the parser gives it."""
    if isinstance(item, str):
        return item
    if isinstance(item, (list, tuple)):
        return last(item[-1])
    for field in ("sval", "relname", "objname", "names"):
        found = getattr(item, field, None)
        if found is not None:
            return last(found)
    return ""


def kind_of(number: Any) -> str:
    """Return an object's kind: ``table``, ``index``, ``function`` and so on."""
    from pglast import enums

    return str(enums.ObjectType(number).name).removeprefix("OBJECT_").lower()


def text(node: Any) -> str:
    """Return a tree as SQL."""
    from pglast.stream import RawStream

    return str(RawStream()(node))


def quoted(name: str) -> str:
    """Return a quoted name."""
    return '"' + name.replace('"', '""') + '"'


def columns_in(node: Any) -> tuple[str, ...]:
    """Return the columns that an expression reads."""
    found = (last(item.fields) for item in _nodes(node) if type(item).__name__ == "ColumnRef")
    return tuple(dict.fromkeys(name for name in found if name))


def functions_in(node: Any) -> Iterator[str]:
    """Return the names of the functions that an expression calls."""
    return (last(item.funcname) for item in _nodes(node) if type(item).__name__ == "FuncCall")


def _nodes(node: Any) -> Iterator[Any]:
    """Yield a tree's nodes."""
    if isinstance(node, (list, tuple)):
        for item in node:
            yield from _nodes(item)
    elif hasattr(node, "__slots__") and type(node).__module__.startswith("pglast"):
        yield node
        for field in node:
            yield from _nodes(getattr(node, field))


def index_parts(node: Any) -> tuple[str, ...]:
    """Return what an index's keys are, as SQL."""
    return tuple(quoted(item.name) if item.name else f"({text(item.expr)})" for item in node.indexParams)


def index_probe(table: Name, parts: tuple[str, ...], node: Any) -> Probe:
    """Return the search for rows that a unique index refuses."""
    condition = text(node.whereClause) if node.whereClause else ""
    columns = tuple(item.name for item in node.indexParams if item.name)
    columns += columns_in([*(item.expr for item in node.indexParams), node.whereClause])
    equal = bool(node.nulls_not_distinct)
    return Probe("duplicates", table, columns, expressions=parts, condition=condition, nulls_equal=equal)
