"""SQL Server's catalogue: every user object as (kind, identity, definition).

Columns appear by name, so that the order in which they were made makes no difference, and a name that the server made
up (``DF__t__a__3B75D760``) is no part of the schema.  Left out: the schemas of the journal and of archives, what the
server ships, users and logins, and values that move by themselves (identities, sequences).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..answers import Object
from ..lexis import Unterminated
from ..link import Link
from . import catalogue_rare
from .own import Own
from .reader import Reader
from .text import names, shown

_SCHEMAS = """
SELECT s.name, p.name FROM sys.schemas s JOIN sys.database_principals p ON p.principal_id = s.principal_id
WHERE s.schema_id > 4 AND s.schema_id < 16384 AND s.name NOT IN (N'windlass', N'windlass_archive')
"""
_TABLES = """
SELECT t.object_id, SCHEMA_NAME(t.schema_id), t.name, CAST(t.temporal_type_desc AS nvarchar(60)),
  CAST(t.lock_escalation_desc AS nvarchar(60)), CASE WHEN t.is_memory_optimized = 1 THEN 1 ELSE 0 END,
  OBJECT_SCHEMA_NAME(t.history_table_id), OBJECT_NAME(t.history_table_id)
FROM sys.tables t WHERE t.is_ms_shipped = 0 AND SCHEMA_NAME(t.schema_id) NOT IN (N'windlass', N'windlass_archive')
"""
_MODULES = """
SELECT o.object_id, SCHEMA_NAME(o.schema_id), o.name, RTRIM(CAST(o.type AS nvarchar(2))), m.definition,
  CAST(m.uses_ansi_nulls AS int), CAST(m.uses_quoted_identifier AS int), o.parent_object_id,
  CAST(OBJECTPROPERTY(o.object_id, 'ExecIsTriggerDisabled') AS int),
  CASE m.execute_as_principal_id WHEN -2 THEN N'owner' ELSE USER_NAME(m.execute_as_principal_id) END
FROM sys.objects o LEFT JOIN sys.sql_modules m ON m.object_id = o.object_id
WHERE o.type IN ('P', 'V', 'FN', 'IF', 'TF', 'TR', 'PC', 'FS', 'FT', 'TA', 'AF') AND o.is_ms_shipped = 0
  AND SCHEMA_NAME(o.schema_id) NOT IN (N'windlass', N'windlass_archive')
"""
_COLUMNS = """
SELECT c.object_id, c.name, SCHEMA_NAME(y.schema_id), y.name, CAST(y.is_user_defined AS int),
  CAST(c.max_length AS int), CAST(c.precision AS int), CAST(c.scale AS int), CAST(c.is_nullable AS int),
  CASE WHEN c.collation_name <> CONVERT(sysname, DATABASEPROPERTYEX(DB_NAME(), 'Collation')) THEN c.collation_name END,
  CASE WHEN c.is_identity = 1 THEN N'identity(' + CONVERT(nvarchar(40), i.seed_value) + N', '
    + CONVERT(nvarchar(40), i.increment_value) + N')' END,
  k.definition, CAST(k.is_persisted AS int), CAST(c.is_rowguidcol AS int), CAST(c.is_sparse AS int),
  CAST(c.generated_always_type AS int), CAST(c.is_hidden AS int),
  d.definition, CASE WHEN d.is_system_named = 0 THEN d.name END
FROM sys.columns c
JOIN sys.types y ON y.user_type_id = c.user_type_id
LEFT JOIN sys.identity_columns i ON i.object_id = c.object_id AND i.column_id = c.column_id
LEFT JOIN sys.computed_columns k ON k.object_id = c.object_id AND k.column_id = c.column_id
LEFT JOIN sys.default_constraints d ON d.parent_object_id = c.object_id AND d.parent_column_id = c.column_id
"""
_INDEXES = """
SELECT x.object_id, x.index_id, x.name, CAST(x.type_desc AS nvarchar(60)), CAST(x.is_unique AS int),
  CAST(x.is_primary_key AS int), CAST(x.is_unique_constraint AS int), CASE WHEN k.is_system_named = 1 THEN 1 ELSE 0 END,
  x.filter_definition, CAST(x.fill_factor AS int), CAST(x.is_padded AS int), CAST(x.ignore_dup_key AS int),
  CAST(x.is_disabled AS int), s.name, RTRIM(CAST(s.type AS nvarchar(2))), CAST(s.is_default AS int)
FROM sys.indexes x
LEFT JOIN sys.key_constraints k ON k.parent_object_id = x.object_id AND k.unique_index_id = x.index_id
LEFT JOIN sys.data_spaces s ON s.data_space_id = x.data_space_id
WHERE x.is_hypothetical = 0
"""
_INDEX_COLUMNS = """
SELECT x.object_id, x.index_id, c.name, CAST(x.is_descending_key AS int), CAST(x.is_included_column AS int),
  CAST(x.partition_ordinal AS int)
FROM sys.index_columns x JOIN sys.columns c ON c.object_id = x.object_id AND c.column_id = x.column_id
ORDER BY x.object_id, x.index_id, x.is_included_column, x.key_ordinal, c.name
"""
_FOREIGN_KEYS = """
SELECT f.object_id, f.parent_object_id, f.name, CAST(f.is_system_named AS int),
  OBJECT_SCHEMA_NAME(f.referenced_object_id), OBJECT_NAME(f.referenced_object_id),
  CAST(f.delete_referential_action_desc AS nvarchar(60)), CAST(f.update_referential_action_desc AS nvarchar(60)),
  CAST(f.is_disabled AS int), CAST(f.is_not_trusted AS int), COL_NAME(c.parent_object_id, c.parent_column_id),
  COL_NAME(c.referenced_object_id, c.referenced_column_id)
FROM sys.foreign_keys f JOIN sys.foreign_key_columns c ON c.constraint_object_id = f.object_id
ORDER BY f.object_id, c.constraint_column_id
"""
_CHECKS = """
SELECT k.parent_object_id, k.name, CAST(k.is_system_named AS int), k.definition, CAST(k.is_disabled AS int),
  CAST(k.is_not_trusted AS int)
FROM sys.check_constraints k
"""
_PARENT = re.compile(r"on (\[(?:[^\]]|\]\])*\]\.?\S*|\S+)")
_KINDS = {
    "P": "procedure", "V": "view", "FN": "function", "IF": "function", "TF": "function", "TR": "trigger",
    "PC": "procedure", "FS": "function", "FT": "function", "TA": "trigger", "AF": "function",
}  # fmt: skip
_BYTES = ("char", "varchar", "binary", "varbinary")
_CHARACTERS = ("nchar", "nvarchar")
_EXACT = ("decimal", "numeric")
_SCALED = ("datetime2", "datetimeoffset", "time")
#: Properties that were made with the same words whatever the table's name is, so they say nothing.
_ALWAYS = ("NON_TEMPORAL_TABLE", "TABLE")


class Place(NamedTuple):
    """An object that others hang on: its kind and full name."""

    kind: str
    identity: str


def read(link: Link) -> Sequence[Object]:
    """Return every user object.  Raise ServerError."""
    tables = _rows(link, _TABLES)
    modules = _rows(link, _MODULES)
    places = {int(row[0]): Place("table", shown(str(row[1]), str(row[2]))) for row in tables}
    places |= {int(row[0]): Place(_KINDS[str(row[3])], shown(str(row[1]), str(row[2]))) for row in modules}
    places |= {number: Place("type", name) for number, name in catalogue_rare.table_types(link)}
    found = [("schema", shown(str(name)), f"owner {owner}") for name, owner in _rows(link, _SCHEMAS)]
    found += [_table(row) for row in tables]
    found += [_module(row, places) for row in modules]
    found += _columns(link, places)
    found += _indexes(link, places)
    found += _foreign_keys(link, places)
    found += _checks(link, places)
    return [*found, *catalogue_rare.read(link, places)]


def _rows(link: Link, query: str) -> list[tuple[Any, ...]]:
    return link.query(Own(query))


def _said(*words: object) -> str:
    """Return the words that say something."""
    return " ".join(str(word) for word in words if word)


def _table(row: tuple[Any, ...]) -> Object:
    _, schema, name, temporal, escalation, in_memory, history_schema, history = row
    told = _said(
        str(temporal or "").lower().replace("_", " ") if temporal not in _ALWAYS else "",
        history and f"history {shown(str(history_schema), str(history))}",
        escalation not in (None, *_ALWAYS) and f"lock escalation {str(escalation).lower()}",
        in_memory and "in memory",
    )
    return "table", shown(str(schema), str(name)), told


def _module(row: tuple[Any, ...], places: dict[int, Place]) -> Object:
    number, _, _, _, text, ansi_nulls, quoted_identifier, parent, disabled, runs_as = row
    kind, identity = places[int(number)]
    told = _said(
        kind == "trigger" and int(parent or 0) in places and f"on {places[int(parent)].identity}",
        disabled == 1 and "disabled",
        ansi_nulls == 0 and "ansi_nulls off",
        quoted_identifier == 0 and "quoted_identifier off",
        runs_as and f"execute as {runs_as}",
    )
    body = created(str(text)) if text is not None else "(not shown)"
    return kind, identity, f"{told}\n{body}" if told else body


def created(text: str) -> str:
    """Return a module's text as if a plain CREATE had made it: of ALTER and CREATE OR ALTER the server keeps traces."""
    try:
        words = Reader(text, 5)
    except Unterminated:
        return text
    if words.peek() not in ("CREATE", "ALTER") or not words.items:
        return text
    start = words.items[0].start
    words.at = 1
    words.take("OR", "ALTER")
    return f"{text[:start]}CREATE {text[words.items[words.at].start :]}".strip() if not words.done else text


def table_of(kind: str, identity: str, definition: str) -> str:
    """Return the table that an object belongs to, or an empty string."""
    if kind in ("table", "storage", "full-text index"):
        return identity
    if kind in ("column", "index", "constraint", "statistics", "compression"):
        return ".".join(names(identity)[:2])
    found = _PARENT.match(definition) if kind == "trigger" else None
    return found.group(1) if found else ""


def _columns(link: Link, places: dict[int, Place]) -> Iterator[Object]:
    for row in _rows(link, _COLUMNS):
        place = places.get(int(row[0]))
        if place and place.kind in ("table", "type"):
            yield "column", f"{place.identity}.{shown(str(row[1]))}", _column(row)


def _column(row: tuple[Any, ...]) -> str:
    """Return a column's definition."""
    (_, _, schema, type_name, is_user, length, precision, scale, nullable, collation, identity, computed, persisted,
     row_guid, sparse, generated, hidden, default, default_name) = row  # fmt: skip
    own_type = shown(str(schema), str(type_name)) if is_user else type_text(str(type_name), length, precision, scale)
    return _said(
        f"as {computed}" if computed else own_type,
        persisted and "persisted",
        collation and f"collate {collation}",
        "" if nullable else "not null",
        identity,
        row_guid and "rowguidcol",
        sparse and "sparse",
        generated and f"generated always {generated}",
        hidden and "hidden",
        default and f"default {default}",
        default_name and f"named {shown(str(default_name))}",
    )


def type_text(name: str, length: int, precision: int, scale: int) -> str:
    """Return a type as people write it."""
    if name in _BYTES:
        return f"{name}({'max' if length == -1 else length})"
    if name in _CHARACTERS:
        return f"{name}({'max' if length == -1 else length // 2})"
    if name in _EXACT:
        return f"{name}({precision},{scale})"
    if name in _SCALED:
        return f"{name}({scale})"
    return f"float({precision})" if name == "float" and precision != 53 else name


def _indexes(link: Link, places: dict[int, Place]) -> Iterator[Object]:
    keys: dict[tuple[int, int], list[tuple[Any, ...]]] = {}
    for row in _rows(link, _INDEX_COLUMNS):
        keys.setdefault((int(row[0]), int(row[1])), []).append(row[2:])
    for row in _rows(link, _INDEXES):
        place = places.get(int(row[0]))
        if place is None:
            continue
        columns = keys.get((int(row[0]), int(row[1])), [])
        if int(row[1]) == 0:
            if _space(row, columns):
                yield "storage", place.identity, _space(row, columns)
            continue
        yield _index(place, row, columns)


def _index(place: Place, row: tuple[Any, ...], columns: list[tuple[Any, ...]]) -> Object:
    """Return an index; a key's own index stands for its constraint."""
    (_, _, name, kind, unique, primary, unique_constraint, made_up, condition, fill, padded, ignores, disabled,
     *_) = row  # fmt: skip
    words = "primary key" if primary else "unique" if unique_constraint or unique else ""
    listed = ", ".join(_key(column) for column in columns if not column[2])
    included = ", ".join(shown(str(column[0])) for column in columns if column[2])
    told = _said(
        words,
        str(kind).lower(),
        f"({listed})",
        included and f"include ({included})",
        condition and f"where {condition}",
        fill and f"fill factor {fill}",
        padded and "padded",
        ignores and "ignore_dup_key",
        disabled and "disabled",
        _space(row, columns),
    )
    own = f"({words} {listed})" if made_up else shown(str(name))
    return "constraint" if primary or unique_constraint else "index", f"{place.identity}.{own}", told


def _key(column: tuple[Any, ...]) -> str:
    return shown(str(column[0])) + (" desc" if column[1] else "")


def _space(row: tuple[Any, ...], columns: list[tuple[Any, ...]]) -> str:
    """Return where an index or heap lies, unless that is the default filegroup."""
    name, kind, is_default = row[-3:]
    if name is None or is_default == 1:
        return ""
    by = [shown(str(column[0])) for column in sorted(columns, key=lambda column: int(column[3])) if column[3]]
    return f"on {shown(str(name))}" + (f"({', '.join(by)})" if kind == "PS" else "")


def _foreign_keys(link: Link, places: dict[int, Place]) -> Iterator[Object]:
    keys: dict[int, list[tuple[Any, ...]]] = {}
    for row in _rows(link, _FOREIGN_KEYS):
        keys.setdefault(int(row[0]), []).append(row)
    for rows in keys.values():
        _, parent, name, made_up, schema, table, on_delete, on_update, disabled, untrusted, *_ = rows[0]
        place = places.get(int(parent))
        if place is None:
            continue
        own = ", ".join(shown(str(row[10])) for row in rows)
        other = ", ".join(shown(str(row[11])) for row in rows)
        told = _said(
            f"foreign key ({own}) references {shown(str(schema), str(table))} ({other})",
            on_delete != "NO_ACTION" and f"on delete {str(on_delete).lower().replace('_', ' ')}",
            on_update != "NO_ACTION" and f"on update {str(on_update).lower().replace('_', ' ')}",
            _trust(disabled, untrusted),
        )
        yield "constraint", f"{place.identity}.{f'(foreign key {own})' if made_up else shown(str(name))}", told


def _checks(link: Link, places: dict[int, Place]) -> Iterator[Object]:
    for parent, name, made_up, definition, disabled, untrusted in _rows(link, _CHECKS):
        place = places.get(int(parent))
        if place:
            own = f"(check {definition})" if made_up else shown(str(name))
            yield "constraint", f"{place.identity}.{own}", _said(f"check {definition}", _trust(disabled, untrusted))


def _trust(disabled: object, untrusted: object) -> str:
    """Return whether a constraint is looked at, and was looked at for all rows."""
    return "disabled" if disabled else "not trusted" if untrusted else ""
