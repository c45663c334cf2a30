"""What SQL Server's catalogue tells about the rows that a statement would fail on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Optional

from ...model import Probe
from ..answers import Search
from ..link import Link
from .own import Own
from .text import literal, quoted

_LENGTH = re.compile(r"(?i)^(n?varchar|n?char|varbinary|binary)\s*\((\d+|max)\)$")
#: Types whose values the server itself can try to make, without an error for the one that it cannot.
_TRIED = re.compile(
    r"(?i)^(?:bit|tinyint|smallint|int|integer|bigint|decimal|dec|numeric|money|smallmoney|float|real|date|time|datetime|"
    r"datetime2|smalldatetime|datetimeoffset|uniqueidentifier|xml)(?:\s*\([\d\s,]+\))?$"
)
_KEYS = """
SELECT c.name FROM sys.indexes x JOIN sys.index_columns k ON k.object_id = x.object_id AND k.index_id = x.index_id
JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE x.is_primary_key = 1 AND x.object_id = OBJECT_ID({table}) ORDER BY k.key_ordinal
"""
_CHECK = """
SELECT k.definition FROM sys.check_constraints k WHERE k.parent_object_id = OBJECT_ID({table}) AND k.name = {name}
"""
_FOREIGN = """
SELECT OBJECT_SCHEMA_NAME(f.referenced_object_id), OBJECT_NAME(f.referenced_object_id),
  COL_NAME(c.parent_object_id, c.parent_column_id), COL_NAME(c.referenced_object_id, c.referenced_column_id)
FROM sys.foreign_keys f JOIN sys.foreign_key_columns c ON c.constraint_object_id = f.object_id
WHERE f.parent_object_id = OBJECT_ID({table}) AND f.name = {name} ORDER BY c.constraint_column_id
"""


def full(name: Sequence[str]) -> str:
    """Return a table's name in its parts as the constant that OBJECT_ID takes."""
    return literal(".".join(map(quoted, name)))


def key_columns(link: Link, table: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of the primary key.  Raise ServerError."""
    return tuple(str(name) for (name,) in link.query(Own(_KEYS.format(table=full(table)))))


def columns_stand(link: Link, table: tuple[str, ...], columns: Sequence[str]) -> bool:
    """Return whether a table has these columns.  Raise ServerError."""
    conditions = [f"COL_LENGTH({full(table)}, {literal(column)}) IS NOT NULL" for column in columns]
    conditions.append(f"OBJECT_ID({full(table)}) IS NOT NULL")
    return bool(link.query(Own(f"SELECT 1 WHERE {' AND '.join(conditions)}")))


def unfit(probe: Probe) -> Search:
    """Return how to find the values that a new type cannot hold; blanks at the end of a text do not count."""
    column, kind = quoted(probe.columns[0]), " ".join(probe.type.split())
    length = _LENGTH.match(kind)
    if length and length[2].lower() == "max":
        return Search("1 = 0")
    if length:
        family, most = length[1].lower(), int(length[2])
        if family.endswith("binary"):
            return Search(f"DATALENGTH({column}) > {most}")
        wide = family.startswith("n")
        text = f"RTRIM(CONVERT({'nvarchar' if wide else 'varchar'}(max), {column}))"
        return Search(f"DATALENGTH({text}) > {most * (2 if wide else 1)}")
    if _TRIED.match(kind):
        return Search(f"{column} IS NOT NULL AND TRY_CONVERT({kind}, {column}) IS NULL")
    return Search(unknown=f"how a value becomes one of {kind} is only known to the server")


def unvalidated(link: Link, probe: Probe) -> Optional[Probe]:
    """Return the search that a standing constraint amounts to, None where there is none.  Raise ServerError."""
    named = {"table": full(probe.table), "name": literal(probe.columns[0])}
    keys: list[tuple[Any, ...]] = link.query(Own(_FOREIGN.format(**named)))
    if keys:
        own, theirs = (tuple(str(row[at]) for row in keys) for at in (2, 3))
        other = (str(keys[0][0]), str(keys[0][1]))
        return replace(probe, kind="orphans", columns=own, other=other, other_columns=theirs)
    checks = link.query(Own(_CHECK.format(**named)))
    return replace(probe, kind="violations", columns=(), condition=str(checks[0][0])) if checks else None
