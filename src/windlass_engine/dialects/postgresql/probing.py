"""What PostgreSQL's catalogue tells about the rows that a statement would fail on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

from ...model import Probe
from ..answers import Search
from ..link import Link
from .measures import quoted, regclass
from .text import literal

_LENGTH = re.compile(r"(?i)^(?:pg_catalog\.)?(?:varchar|character varying|bpchar|char|character)\s*\((\d+)\)$")
_RANGES = {
    "smallint": 15, "int2": 15, "integer": 31, "int": 31, "int4": 31, "bigint": 63, "int8": 63,
}  # fmt: skip
_NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision")
_CAST = re.compile(r'(?i)^(?:"?\w+"?::[\w\s".]+|cast\s*\("?\w+"? as [\w\s".]+\))$')
_INPUT_IS_VALID = 160000


def key_columns(link: Link, table: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of the primary key.  Raise ServerError."""
    rows = link.query(
        "SELECT a.attname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a "
        f"ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = {regclass(table)} "
        "AND i.indisprimary ORDER BY pg_catalog.array_position(i.indkey::int2[], a.attnum)"
    )
    return tuple(str(row[0]) for row in rows)


def columns_stand(link: Link, table: tuple[str, ...], columns: Sequence[str]) -> bool:
    """Return whether a table has these columns.  Raise ServerError."""
    return set(columns) <= set(_types(link, table))


def _types(link: Link, table: tuple[str, ...]) -> dict[str, str]:
    """Return a table's columns with their types."""
    rows = link.query(
        "SELECT attname, pg_catalog.format_type(atttypid, NULL) FROM pg_catalog.pg_attribute "
        f"WHERE attrelid = {regclass(table)} AND attnum > 0 AND NOT attisdropped"
    )
    return {str(name): str(kind) for name, kind in rows}


def unfit(link: Link, probe: Probe) -> Search:
    """Return how to find the values that a new type cannot hold.  Raise ServerError."""
    column = quoted(probe.columns[:1])
    value = probe.expressions[0] if probe.expressions else column
    old, new = _types(link, probe.table)[probe.columns[0]], probe.type.removeprefix("pg_catalog.")
    length = _LENGTH.match(new)
    if length:
        return Search(f"pg_catalog.length(pg_catalog.rtrim(({value})::text)) > {int(length[1])}")
    bits = _RANGES.get(new)
    if bits and not probe.expressions and old in _NUMBERS:
        return Search(f"({column} < -({2**bits}::numeric) OR {column} > {2**bits - 1}::numeric)")
    plain = not probe.expressions or bool(_CAST.match(value))
    if plain and link.server_version >= _INPUT_IS_VALID and old in ("text", "character varying", "character"):
        return Search(f"NOT pg_catalog.pg_input_is_valid({column}::text, {literal(probe.type)})")
    return Search(attempt=value if probe.expressions else f"({value})::{probe.type}")


def unvalidated(link: Link, probe: Probe) -> Optional[Probe]:
    """Return the search that a standing constraint amounts to.  Raise ServerError."""
    columns = "(SELECT pg_catalog.array_agg(a.attname::text ORDER BY k.n) FROM pg_catalog.unnest({0}) "
    columns += "WITH ORDINALITY k (attnum, n) JOIN pg_catalog.pg_attribute a ON a.attrelid = {1} "
    columns += "AND a.attnum = k.attnum)"
    rows = link.query(
        "SELECT c.contype::text, pg_catalog.pg_get_expr(c.conbin, c.conrelid), n.nspname::text, f.relname::text, "
        f"{columns.format('c.conkey', 'c.conrelid')}, {columns.format('c.confkey', 'c.confrelid')} "
        "FROM pg_catalog.pg_constraint c LEFT JOIN pg_catalog.pg_class f ON f.oid = c.confrelid "
        "LEFT JOIN pg_catalog.pg_namespace n ON n.oid = f.relnamespace "
        f"WHERE c.conrelid = {regclass(probe.table)} AND c.conname = {literal(probe.columns[0])}"
    )
    if not rows:
        return None
    kind, condition, schema, other, own, theirs = rows[0]
    if kind == "f":
        return replace(probe, kind="orphans", columns=tuple(own), other=(schema, other), other_columns=tuple(theirs))
    return replace(probe, kind="violations", columns=(), condition=condition) if kind == "c" else None
