"""How the server will do a schema change, out of its edition and the columns that stand.

SQL Server has no plan for ALTER TABLE.  What it does follows from its documented rules: a longer varying text, or a
column that may be empty, is a word in the catalogue; a shorter one or NOT NULL is held against each row; any other type
is written anew.  A new NOT NULL column with a constant default is a word in the catalogue on some editions only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

from ...model import StatementFacts, TableFacts
from ..link import Link
from . import measures
from .catalogue import type_text
from .changes import Change, in_batch
from .own import Own
from .probing import full
from .text import literal

CATALOGUE, READS, WRITES, ONLINE = (
    "changes the catalogue only",
    "reads every row, all wait",
    "writes every row, all wait",
    "builds while others work",
)
#: Enterprise, Developer and Evaluation, Azure SQL Database, Azure SQL Managed Instance.
_WHOLE = (3, 5, 8)
_EDITION = Own("SELECT CAST(SERVERPROPERTY('EngineEdition') AS int)")
_COLUMNS = """
SELECT w.name, c.name, y.name, CAST(c.max_length AS int), CAST(c.precision AS int), CAST(c.scale AS int),
  CAST(c.is_nullable AS int)
FROM ({names}) w JOIN sys.columns c ON c.object_id = w.id JOIN sys.types y ON y.user_type_id = c.user_type_id
"""
#: What keeps a column from being dropped: indexes and keys, defaults, checks, foreign keys, statistics of somebody.
_HOLDERS = """
SELECT N'index ' + x.name FROM sys.index_columns k
JOIN sys.indexes x ON x.object_id = k.object_id AND x.index_id = k.index_id
WHERE k.object_id = OBJECT_ID({table}) AND COL_NAME(k.object_id, k.column_id) = {column}
UNION
SELECT N'default ' + d.name FROM sys.default_constraints d
WHERE d.parent_object_id = OBJECT_ID({table}) AND COL_NAME(d.parent_object_id, d.parent_column_id) = {column}
UNION
SELECT N'check ' + k.name FROM sys.check_constraints k
WHERE k.parent_object_id = OBJECT_ID({table}) AND CHARINDEX(QUOTENAME({column}), k.definition) > 0
UNION
SELECT N'foreign key ' + OBJECT_NAME(f.constraint_object_id) FROM sys.foreign_key_columns f
WHERE f.parent_object_id = OBJECT_ID({table}) AND COL_NAME(f.parent_object_id, f.parent_column_id) = {column}
UNION
SELECT N'computed column ' + m.name FROM sys.computed_columns m
WHERE m.object_id = OBJECT_ID({table}) AND CHARINDEX(QUOTENAME({column}), m.definition) > 0
"""
_VARYING = re.compile(r"(n?varchar|varbinary)\((\d+)\)")
_ALIKE = {"integer": "int", "dec": "decimal", "numeric": "decimal"}
_UNSAID = {"varchar": "(1)", "nvarchar": "(1)", "varbinary": "(1)", "char": "(1)", "nchar": "(1)", "binary": "(1)",
           "decimal": "(18,0)", "datetime2": "(7)", "datetimeoffset": "(7)", "time": "(7)"}  # fmt: skip


class _Column(NamedTuple):
    kind: str
    nullable: bool


def weigh(link: Link, statements: Sequence[str]) -> list[tuple[StatementFacts, ...]]:
    """Return what is known of each statement's changes of tables that stand.  Raise ServerError."""
    changes = [tuple(in_batch(sql)) for sql in statements]
    names = sorted({change.table for found in changes for change in found})
    if not names:
        return [()] * len(statements)
    weigher = _Weigher(link, names)
    return [tuple(weigher.facts(found)) for found in changes]


class _Weigher:
    """Knows the edition, and the tables as they stand."""

    def __init__(self, link: Link, names: Sequence[tuple[str, ...]]) -> None:
        """Look once."""
        self._link = link
        self._whole = int(link.query(_EDITION)[0][0]) in _WHOLE
        self._sizes = measures.tables(link, names)
        wanted = measures.wanted(names)
        self._columns: dict[tuple[str, str], _Column] = {}
        for table, column, kind, length, precision, scale, nullable in link.query(Own(_COLUMNS.format(names=wanted))):
            told = type_text(str(kind), int(length), int(precision), int(scale))
            self._columns[str(table), str(column).lower()] = _Column(normal(told), bool(nullable))

    def facts(self, changes: Sequence[Change]) -> Iterator[StatementFacts]:
        """Yield what is known of the changes of one statement."""
        for change in changes:
            name = ".".join(change.table)
            table = self._sizes.get(name)
            if table is None:
                continue
            way, note = self._way(change)
            if way or note:
                yield _fact(name, change, way, note, table)

    def _way(self, change: Change) -> tuple[str, str]:
        """Return the way and a note, both empty where neither is known."""
        if change.online and not self._whole:
            return "", "this edition refuses ONLINE = ON"
        if change.kind == "drop":
            return "", self._held(change)
        if change.kind == "add":
            return (CATALOGUE if self._whole else WRITES), ""
        standing = self._columns.get((".".join(change.table), change.subject.lower()))
        if change.online:
            return ONLINE, ""
        return (altered(standing, normal(change.type), change.nullable), "") if standing else ("", "")

    def _held(self, change: Change) -> str:
        words = {"table": full(change.table), "column": literal(change.subject)}
        holders = [str(name) for (name,) in self._link.query(Own(_HOLDERS.format(**words)))]
        return f"stands on it today, and has to go first: {', '.join(holders)}" if holders else ""


def altered(standing: _Column, kind: str, nullable: Optional[bool]) -> str:
    """Return how a column is given another type, or another word on being empty."""
    tighter = standing.nullable and nullable is False
    if standing.kind == kind:
        return READS if tighter else CATALOGUE
    before, after = _VARYING.fullmatch(standing.kind), _VARYING.fullmatch(kind)
    if before and after and before[1] == after[1]:
        return READS if tighter or int(after[2]) < int(before[2]) else CATALOGUE
    return WRITES


def normal(kind: str) -> str:
    """Return a type in the catalogue's words."""
    text = re.sub(r"\s+", "", kind.lower())
    name, mark, rest = text.partition("(")
    name = _ALIKE.get(name, name)
    if name == "decimal" and mark and "," not in rest:
        rest = f"{rest.rstrip(')')},0)"
    return f"{name}({rest}" if mark else name + _UNSAID.get(name, "")


def _fact(name: str, change: Change, way: str, note: str, table: TableFacts) -> StatementFacts:
    return StatementFacts(name, way, table.rows, table.bytes, note, change.subject)
