"""What a down script takes away, asked of the server: the script runs in a transaction that is taken back.

Tables and columns are told apart by their numbers in the catalogue, so renaming one is no loss.  Rows that a script
changes are seen in the transaction's own counters, whatever function or DO block did it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ...model import Loss, Losses, Script
from ...project.directives import BATCH_MARK
from ..archives import COUNTED_BYTES
from ..link import Link, ServerError
from . import splitter, tokens
from .text import literal, quoted

#: lock_not_available and deadlock_detected: waiting and trying again helps.
LOCK_FAILURES = ("55P03", "40P01")
#: The word that careful down scripts ask for: here nothing can be lost, and what would be is the question.
_OPENING = ("BEGIN", "SET LOCAL lock_timeout = '2s'", "SET LOCAL windlass.allow_data_loss = on")
_TABLES = """
SELECT c.oid::int8, quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind::text, c.relfilenode::int8,
  CASE WHEN c.relispartition THEN (SELECT i.inhparent::int8 FROM pg_inherits i WHERE i.inhrelid = c.oid) ELSE 0 END,
  (SELECT coalesce(json_agg(json_build_array(a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
       a.attgenerated <> '', a.atthasdef OR a.attidentity <> '') ORDER BY a.attnum), '[]')
     FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  (SELECT coalesce(json_agg(a.attname ORDER BY k.place), '[]')
     FROM pg_index x, unnest(x.indkey::int2[]) WITH ORDINALITY k (attnum, place), pg_attribute a
    WHERE x.indrelid = c.oid AND x.indisprimary AND a.attrelid = c.oid AND a.attnum = k.attnum),
  coalesce(pg_stat_get_xact_tuples_updated(c.oid) + pg_stat_get_xact_tuples_deleted(c.oid), 0)::int8
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
  AND n.nspname NOT IN ('information_schema', 'windlass', 'windlass_archive')
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""


#: (bytes, estimated rows, columns) of a table with its partitions.
_SIZE = """
SELECT coalesce(sum(pg_table_size(c.oid)), 0)::int8, coalesce(sum(greatest(c.reltuples, 0)), 0)::int8,
  (SELECT count(*) FROM pg_attribute a
   WHERE a.attrelid = {name}::regclass AND a.attnum > 0 AND NOT a.attisdropped)::int4
FROM pg_class c
WHERE c.oid = {name}::regclass OR c.oid IN (SELECT relid FROM pg_partition_tree({name}::regclass))
"""


class _Column(NamedTuple):
    number: int
    name: str
    type: str
    generated: bool
    has_default: bool


class _Table(NamedTuple):
    oid: int
    name: str
    kind: str
    storage: int
    parent: int
    columns: tuple[_Column, ...]
    keys: tuple[str, ...]
    changed: int

    @property
    def own(self) -> tuple[_Column, ...]:
        """Return the columns that are not computed from others."""
        return tuple(column for column in self.columns if not column.generated)


def find(link: Link, downs: Sequence[Script]) -> Losses:
    """Run scripts in order, say what each takes away, and take everything back.  Raise ServerError.

    A statement that fails is passed over: here the one before it may only be missing (CONCURRENTLY and its like).
    """
    try:
        link.run(_OPENING)
        first = before = _tables(link)
        found: list[list[Loss]] = []
        failures: list[str] = []
        untried: list[str] = []
        for down in downs:
            failures += _run(link, down, untried)
            after = _tables(link)
            found.append(list(_difference(before, after)))
            before = after
    finally:
        link.run("ROLLBACK")
    stood = {table.name for table in first.values()}
    weighed = tuple(tuple(_weighed(link, loss) for loss in losses if loss.table in stood) for losses in found)
    return Losses(weighed, failures[0] if failures else "", untried[0] if untried else "")


def _tables(link: Link) -> dict[int, _Table]:
    rows = link.query(_TABLES)
    return {row[0]: _table(row) for row in rows}


def _table(row: Sequence[Any]) -> _Table:
    oid, name, kind, storage, parent, columns, keys, changed = row
    return _Table(oid, name, kind, storage, parent, tuple(_Column(*column) for column in columns), tuple(keys), changed)


def _run(link: Link, down: Script, untried: list[str]) -> list[str]:
    """Run what can be in a transaction; the rest takes no rows away, and is noted as ``untried``.

    Return the failures; raise for a lost lock.
    """
    failures = []
    for statement in down.statements:
        sql = down.sql(statement).replace(BATCH_MARK, " ")
        if statement.copy_data:
            link.copy_in(*splitter.copy_parts(sql))
        elif not tokens.needs_no_transaction(sql):
            try:
                link.run(["SAVEPOINT tried", sql, "RELEASE SAVEPOINT tried"])
            except ServerError as error:
                if error.lost or error.state in LOCK_FAILURES:
                    raise
                link.run("ROLLBACK TO SAVEPOINT tried")
                failures.append(f"{down.path}:{statement.line}: {error.message}")
        else:
            untried.append(f"{down.path}:{statement.line} cannot be in a transaction")
    return failures


def _difference(before: dict[int, _Table], after: dict[int, _Table]) -> Iterator[Loss]:
    """Yield what stood before and does not stand after."""
    for oid, table in before.items():
        if oid not in after:
            if table.parent in after or table.parent not in before:  # else its rows go with the parent's
                yield Loss("table", table.name, tuple(column.name for column in table.own), table.keys)
            continue
        now = after[oid]
        gone = _gone(table, now)
        if gone and not table.parent:
            # Without a key a value says nothing: then the whole row is kept.
            kept = gone if table.keys else table.own
            sparse = not any(column.has_default for column in gone) and bool(table.keys)
            yield Loss("columns", table.name, tuple(column.name for column in kept), table.keys, sparse)
        rewritten = now.storage != table.storage and table.kind == "r" and not gone
        if now.changed > table.changed or rewritten:
            yield Loss("rows", table.name, tuple(column.name for column in table.own))


def _gone(table: _Table, now: _Table) -> list[_Column]:
    """Return the columns that are dropped, or of another type afterwards."""
    types = {column.number: column.type for column in now.columns}
    return [column for column in table.own if types.get(column.number) != column.type]


def _weighed(link: Link, loss: Loss) -> Loss:
    """Return a loss with its size; of rows that only may change nothing is known yet."""
    if loss.kind == "rows":
        return loss
    whole, estimate, width = link.query(_SIZE.format(name=literal(loss.table)))[0]
    about = whole > COUNTED_BYTES
    rows = estimate if about else int(link.query(f"SELECT count(*) FROM {loss.table} t{where(filled(loss))}")[0][0])
    share = min(1.0, (len(loss.columns) + len(loss.keys)) / max(width, 1))
    return replace(loss, rows=int(rows), bytes=int(whole * share) if rows else 0, about=about)


def filled(loss: Loss) -> str:
    """Return the condition that leaves out rows which lose nothing, or an empty string."""
    if not loss.sparse:
        return ""
    return "(" + " OR ".join(f"t.{quoted(column)} IS NOT NULL" for column in loss.columns) + ")"


def where(*conditions: str) -> str:
    """Return a WHERE of the conditions that are not empty, or an empty string."""
    found = " AND ".join(filter(None, conditions))
    return f" WHERE {found}" if found else ""
