"""What the catalogue of MySQL and MariaDB tells about the rows that a statement would fail on."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...model import Probe
from ..answers import Search
from ..link import Link
from .text import literal, quoted

_LENGTH = re.compile(r"(?i)^(?:n?varchar|n?char)\s*\((\d+)\)")
_WORDS = re.compile(r"(?is)^enum\s*\((.*)\)")
_WHOLE = re.compile(r"(?i)^(tinyint|smallint|mediumint|int|integer|bigint)\b(?:\(\d+\))?(\s+unsigned)?")
_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "integer": 32, "bigint": 64}
_TEXTS = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")


def key_columns(link: Link, table: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of the primary key.  Raise ServerError."""
    rows = link.query(
        f"SELECT column_name FROM information_schema.STATISTICS WHERE {_here(table)} AND index_name = 'PRIMARY' "
        "ORDER BY seq_in_index"
    )
    return tuple(str(row[0]) for row in rows)


def columns_stand(link: Link, table: tuple[str, ...], columns: Sequence[str]) -> bool:
    """Return whether a table has these columns.  Raise ServerError."""
    return {name.lower() for name in columns} <= set(_types(link, table))


def _types(link: Link, table: tuple[str, ...]) -> dict[str, str]:
    rows = link.query(f"SELECT LOWER(column_name), data_type FROM information_schema.COLUMNS WHERE {_here(table)}")
    return {str(name): str(kind).lower() for name, kind in rows}


def _here(table: tuple[str, ...]) -> str:
    schema = literal(table[0]) if len(table) > 1 else "DATABASE()"
    return f"table_schema = {schema} AND table_name = {literal(table[-1])}"


def unfit(link: Link, probe: Probe) -> Search:
    """Return how to find the values that a new type cannot hold.  Raise ServerError."""
    column, old = quoted(probe.columns[0]), _types(link, probe.table)[probe.columns[0].lower()]
    length, words, whole = (form.match(probe.type) for form in (_LENGTH, _WORDS, _WHOLE))
    if length:
        return Search(f"CHAR_LENGTH({column}) > {int(length[1])}")
    if words:
        return Search(f"CAST({column} AS CHAR) NOT IN ({words[1]})")
    if whole:
        bits = _BITS[whole[1].lower()]
        low, high = (0, 2**bits - 1) if whole[2] else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        outside = f"({column} < {low} OR {column} > {high})"
        return Search(f"({column} NOT REGEXP '^[ ]*[+-]?[0-9]+[ ]*$' OR {outside})" if old in _TEXTS else outside)
    if probe.type.lower() == "json" and old in _TEXTS:
        return Search(f"NOT JSON_VALID({column})")
    return Search(unknown=f"how a value of {old} becomes one of {probe.type.lower()} is only known to the server")
