"""What a down script takes away: the script runs in a transaction that is taken back.

Tables and columns are told apart by their numbers in the catalogue, so renaming one is no loss.  Of rows the server
does not tell who changed them: a batch that updates or deletes may change every table that it names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from ...model import Loss, Losses, Script
from ...project.directives import BATCH_MARK
from ..archives import COUNTED_BYTES
from ..link import Link, ServerError
from . import tokens
from .own import Own
from .reader import Reader
from .text import literal, quoted

#: Lock timeout and deadlock: waiting and trying again helps.  51222 is ours, for what was written in between.
LOCK_FAILURES = (1222, 1205, 51222)
#: The word that careful down scripts ask for: here nothing can be lost, and what would be is the question.
_OPENING = Own(
    "SET LOCK_TIMEOUT 2000; EXEC sys.sp_set_session_context N'windlass.allow_data_loss', N'yes'; BEGIN TRANSACTION",
    opens=True,
)
_TABLES = Own("""
SELECT t.object_id, SCHEMA_NAME(t.schema_id), t.name, c.column_id, c.name, c.user_type_id, CAST(c.max_length AS int),
  CAST(c.precision AS int), CAST(c.scale AS int), CAST(c.is_computed AS int),
  CASE WHEN c.default_object_id <> 0 OR c.is_identity = 1 THEN 1 ELSE 0 END,
  COALESCE((SELECT CAST(k.key_ordinal AS int) FROM sys.index_columns k
    JOIN sys.indexes x ON x.object_id = k.object_id AND x.index_id = k.index_id AND x.is_primary_key = 1
    WHERE k.object_id = c.object_id AND k.column_id = c.column_id), 0)
FROM sys.tables t JOIN sys.columns c ON c.object_id = t.object_id
WHERE t.is_ms_shipped = 0 AND SCHEMA_NAME(t.schema_id) NOT IN (N'windlass', N'windlass_archive')
ORDER BY t.object_id, c.column_id
""")
_SIZE = """
SELECT COALESCE(SUM(a.total_pages), 0) * 8192,
  (SELECT COALESCE(SUM(r.rows), 0) FROM sys.partitions r WHERE r.object_id = OBJECT_ID({name}) AND r.index_id IN (0, 1))
FROM sys.partitions p JOIN sys.allocation_units a
  ON a.container_id = CASE WHEN a.type IN (1, 3) THEN p.hobt_id ELSE p.partition_id END
WHERE p.object_id = OBJECT_ID({name}) AND p.index_id IN (0, 1)
"""
_CHANGING = re.compile(r"(?i)\b(?<!on )(?:update(?!\s+statistics)|delete|merge|truncate)\b")
#: Procedures of the server that take no row away; the texts of the first are looked at like the batch itself.
_HARMLESS = frozenset(
    ["SP_EXECUTESQL", "SP_RENAME", "SP_SET_SESSION_CONTEXT", "SP_ADDEXTENDEDPROPERTY", "SP_DROPEXTENDEDPROPERTY",
     "SP_UPDATEEXTENDEDPROPERTY", "SP_REFRESHVIEW", "SP_REFRESHSQLMODULE", "SP_RECOMPILE", "SP_BINDEFAULT",
     "SP_UNBINDEFAULT", "SP_ADDROLEMEMBER", "SP_DROPROLEMEMBER", "SP_UPDATESTATS"]
)  # fmt: skip


class _Column(NamedTuple):
    number: int
    name: str
    type: tuple[int, ...]
    computed: bool
    has_default: bool
    key: int


class _Table(NamedTuple):
    name: str
    bare: str
    columns: tuple[_Column, ...]

    @property
    def own(self) -> tuple[_Column, ...]:
        """Return the columns that are not computed from others."""
        return tuple(column for column in self.columns if not column.computed)

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the columns of the primary key."""
        return tuple(c.name for c in sorted(self.columns, key=lambda c: c.key) if c.key)


def find(link: Link, downs: Sequence[Script]) -> Losses:
    """Run scripts in order, say what each takes away, and take everything back.  Raise ServerError."""
    found: list[list[Loss]] = []
    failure = ""
    try:
        link.run(_OPENING)
        first = before = _tables(link)
        for down in downs:
            changed = _changed(down, before)
            failure = _run(link, down)
            if failure:
                break
            after = _tables(link)
            found.append(list(_difference(before, after, changed)))
            before = after
    finally:
        with suppress(ServerError):
            link.run("ROLLBACK")
    stood = {table.name for table in first.values()}
    weighed = [tuple(_weighed(link, loss) for loss in losses if loss.table in stood) for losses in found]
    return Losses((*weighed, *[()] * (len(downs) - len(weighed))), failure)


def _tables(link: Link) -> dict[int, _Table]:
    """Return the tables that stand, by their numbers."""
    columns: dict[int, list[_Column]] = {}
    names: dict[int, tuple[str, str]] = {}
    for row in link.query(_TABLES):
        names[int(row[0])] = (f"{quoted(str(row[1]))}.{quoted(str(row[2]))}", str(row[2]))
        columns.setdefault(int(row[0]), []).append(_column(row[3:]))
    return {number: _Table(*name, tuple(columns[number])) for number, name in names.items()}


def _column(row: Sequence[Any]) -> _Column:
    number, name, kind, length, precision, scale, computed, has_default, key = row
    shape = (int(kind), int(length), int(precision), int(scale))
    return _Column(int(number), str(name), shape, bool(computed), bool(has_default), int(key))


def _run(link: Link, down: Script) -> str:
    """Run what can be in a transaction; the rest takes no rows away.  Return the failure; raise for a lost lock."""
    for statement in down.statements:
        sql = down.sql(statement).replace(BATCH_MARK, " ")
        if tokens.needs_no_transaction(sql):
            continue
        try:
            link.run(sql)
        except ServerError as error:
            if error.lost or error.number in LOCK_FAILURES:
                raise
            return f"{down.path}:{statement.line}: {error.message}"
    return ""


def _changed(down: Script, tables: Mapping[int, _Table]) -> set[int]:
    """Return the tables whose rows a script may change.  Raise ServerError where nobody can tell."""
    found: set[int] = set()
    for statement in down.statements:
        sql = down.sql(statement)
        words = Reader(sql)
        if tokens.is_routine(words):
            continue
        _refuse_calls(words)
        said = [item.word if item.kind == "string" else item.name for item in words.items]
        text = " ".join(item.word for item in words.items)
        if _CHANGING.search(text):
            spoken = {part.lower() for word in said for part in re.findall(r"[\w#$@]+", word)}
            whole = {word.lower() for word in said}
            found |= {n for n, table in tables.items() if table.bare.lower() in spoken | whole}
    return found


def _refuse_calls(words: Reader) -> None:
    """Refuse the call of a procedure: what it does is not in the script.  Raise ServerError."""
    for at in range(-1 if tokens.is_bare_call(words) else 0, len(words.items)):
        words.at = at
        if at >= 0 and (words.peek() not in ("EXEC", "EXECUTE") or words.peek(1) in ("AS", "(")):
            continue
        called = words.part(at + 1, len(words.items))
        if called.peek(1) == "=" and called.peek().startswith("@"):
            called.at = 2
        name = called.name() or ""
        while called.take("."):
            name = called.name() or ""
        if name.upper() not in _HARMLESS:
            raise ServerError(f"it calls {name or 'a procedure'}, which does not say what rows it changes")


def _difference(before: dict[int, _Table], after: dict[int, _Table], changed: set[int]) -> Iterator[Loss]:
    """Yield what stood before and does not stand after."""
    for number, table in before.items():
        own = tuple(column.name for column in table.own)
        if number not in after:
            yield Loss("table", table.name, own, table.keys)
            continue
        gone = _gone(table, after[number])
        if gone:
            # Without a key a value says nothing: then the whole row is kept.
            kept = tuple(column.name for column in gone) if table.keys else own
            sparse = not any(column.has_default for column in gone) and bool(table.keys)
            yield Loss("columns", table.name, kept, table.keys, sparse)
        if number in changed:
            yield Loss("rows", table.name, own, table.keys)


def _gone(table: _Table, now: _Table) -> list[_Column]:
    """Return the columns that are dropped, or of another type afterwards."""
    types = {column.number: column.type for column in now.columns}
    return [column for column in table.own if types.get(column.number) != column.type]


def _weighed(link: Link, loss: Loss) -> Loss:
    """Return a loss with its size."""
    whole, estimate = 0, 0
    with suppress(ServerError):  # without a right to see it, all is counted
        whole, estimate = (int(value) for value in link.query(Own(_SIZE.format(name=literal(loss.table))))[0])
    about = whole > COUNTED_BYTES
    count = Own(f"SELECT COUNT_BIG(*) FROM {loss.table} t{where(filled(loss))}")
    rows = estimate if about else int(link.query(count)[0][0])
    return replace(loss, rows=rows, bytes=whole if rows else 0, about=about)


def filled(loss: Loss) -> str:
    """Return the condition that leaves out rows which lose nothing, or an empty string."""
    if not loss.sparse:
        return ""
    return "(" + " OR ".join(f"t.{quoted(column)} IS NOT NULL" for column in loss.columns) + ")"


def where(*conditions: str) -> str:
    """Return a WHERE of the conditions that are not empty, or an empty string."""
    found = " AND ".join(filter(None, conditions))
    return f" WHERE {found}" if found else ""
