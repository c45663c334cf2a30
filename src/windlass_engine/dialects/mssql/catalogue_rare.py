"""The rarer parts of the catalogue: types, sequences, synonyms, partitioning, statistics, comments, grants, full text.

A server that does not know one of these views (an edition without the feature) has no such objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..answers import Object
from ..link import Link, ServerError
from .own import Own
from .text import shown

#: Invalid object name, invalid column name.
_UNKNOWN = (207, 208)
_TABLE_TYPES = """
SELECT t.type_table_object_id, SCHEMA_NAME(t.schema_id), t.name FROM sys.table_types t
WHERE t.is_user_defined = 1 AND SCHEMA_NAME(t.schema_id) NOT IN (N'windlass', N'windlass_archive')
"""
_TYPES = """
SELECT SCHEMA_NAME(t.schema_id), t.name, b.name, CAST(t.max_length AS int), CAST(t.precision AS int),
  CAST(t.scale AS int), CAST(t.is_nullable AS int)
FROM sys.types t JOIN sys.types b ON b.user_type_id = t.system_type_id
WHERE t.is_user_defined = 1 AND t.is_table_type = 0 AND t.is_assembly_type = 0
"""
_SEQUENCES = """
SELECT SCHEMA_NAME(s.schema_id), s.name, TYPE_NAME(s.user_type_id), CONVERT(nvarchar(40), s.start_value),
  CONVERT(nvarchar(40), s.increment), CONVERT(nvarchar(40), s.minimum_value), CONVERT(nvarchar(40), s.maximum_value),
  CAST(s.is_cycling AS int), CAST(s.is_cached AS int), CAST(COALESCE(s.cache_size, 0) AS int)
FROM sys.sequences s WHERE SCHEMA_NAME(s.schema_id) NOT IN (N'windlass', N'windlass_archive')
"""
_SYNONYMS = "SELECT SCHEMA_NAME(s.schema_id), s.name, s.base_object_name FROM sys.synonyms s"
_PARTITION_FUNCTIONS = """
SELECT f.name, CAST(f.boundary_value_on_right AS int), TYPE_NAME(p.user_type_id),
  CONVERT(nvarchar(4000), v.value, 126)
FROM sys.partition_functions f
JOIN sys.partition_parameters p ON p.function_id = f.function_id
LEFT JOIN sys.partition_range_values v ON v.function_id = f.function_id
ORDER BY f.name, v.boundary_id
"""
_PARTITION_SCHEMES = """
SELECT s.name, f.name, d.name FROM sys.partition_schemes s
JOIN sys.partition_functions f ON f.function_id = s.function_id
JOIN sys.destination_data_spaces x ON x.partition_scheme_id = s.data_space_id
JOIN sys.data_spaces d ON d.data_space_id = x.data_space_id
ORDER BY s.name, x.destination_id
"""
_COMPRESSION = """
SELECT DISTINCT p.object_id, x.name, CAST(p.data_compression_desc AS nvarchar(60)), p.partition_number
FROM sys.partitions p JOIN sys.indexes x ON x.object_id = p.object_id AND x.index_id = p.index_id
WHERE p.data_compression IN (1, 2, 4)
"""
_STATISTICS = """
SELECT s.object_id, s.name, s.filter_definition, CAST(s.no_recompute AS int), COL_NAME(c.object_id, c.column_id)
FROM sys.stats s JOIN sys.stats_columns c ON c.object_id = s.object_id AND c.stats_id = s.stats_id
WHERE s.user_created = 1
ORDER BY s.object_id, s.name, c.stats_column_id
"""
_DATABASE_TRIGGERS = """
SELECT t.name, CAST(t.is_disabled AS int), m.definition
FROM sys.triggers t LEFT JOIN sys.sql_modules m ON m.object_id = t.object_id
WHERE t.parent_class = 0 AND t.is_ms_shipped = 0
"""
_COMMENTS = """
SELECT CAST(e.class AS int), e.major_id, e.minor_id, e.name, CAST(e.value AS nvarchar(4000)),
  CASE e.class WHEN 1 THEN COL_NAME(e.major_id, e.minor_id) WHEN 3 THEN SCHEMA_NAME(e.major_id)
    WHEN 6 THEN TYPE_NAME(e.major_id)
    WHEN 7 THEN (SELECT x.name FROM sys.indexes x WHERE x.object_id = e.major_id AND x.index_id = e.minor_id) END,
  (SELECT o.name FROM sys.objects o WHERE e.class = 1 AND o.object_id = e.major_id)
FROM sys.extended_properties e WHERE e.class IN (0, 1, 3, 6, 7)
"""
_GRANTS = """
SELECT CAST(g.class AS int), g.major_id, CAST(g.state_desc AS nvarchar(60)), g.permission_name, p.name,
  CASE g.class WHEN 3 THEN SCHEMA_NAME(g.major_id) WHEN 6 THEN TYPE_NAME(g.major_id)
    WHEN 1 THEN COL_NAME(g.major_id, g.minor_id) END
FROM sys.database_permissions g JOIN sys.database_principals p ON p.principal_id = g.grantee_principal_id
WHERE g.class IN (0, 1, 3, 6) AND g.major_id >= 0 AND NOT (g.class = 0 AND g.permission_name = N'CONNECT')
"""
_ROLES = """
SELECT p.name FROM sys.database_principals p
WHERE p.type = 'R' AND p.is_fixed_role = 0 AND p.name <> N'public' AND p.principal_id < 16384
"""
_FULL_TEXT = """
SELECT i.object_id, c.name, COL_NAME(k.object_id, k.column_id)
FROM sys.fulltext_indexes i JOIN sys.fulltext_catalogs c ON c.fulltext_catalog_id = i.fulltext_catalog_id
JOIN sys.fulltext_index_columns k ON k.object_id = i.object_id ORDER BY i.object_id, 3
"""
_FULL_TEXT_CATALOGUES = "SELECT c.name FROM sys.fulltext_catalogs c"


def table_types(link: Link) -> Iterator[tuple[int, str]]:
    """Yield (number of the hidden table, name) of each table type."""
    for number, schema, name in _known(link, _TABLE_TYPES):
        yield int(number), shown(str(schema), str(name))


def read(link: Link, places: Mapping[int, tuple[str, str]]) -> Iterator[Object]:
    """Yield the objects; ``places`` gives kind and full name of those that others hang on, by their numbers."""
    yield from _types(link, places)
    yield from _sequences(link)
    for schema, name, base in _known(link, _SYNONYMS):
        yield "synonym", shown(str(schema), str(name)), str(base)
    yield from _partitioning(link)
    yield from _storage(link, places)
    yield from _statistics(link, places)
    for name, disabled, text in _known(link, _DATABASE_TRIGGERS):
        yield "database trigger", shown(str(name)), ("disabled\n" if disabled else "") + str(text or "(not shown)")
    yield from _comments(link, places)
    yield from _grants(link, places)
    for (name,) in _known(link, _ROLES):
        yield "role", shown(str(name)), ""
    yield from _full_text(link, places)


def _known(link: Link, query: str) -> list[tuple[Any, ...]]:
    """Return the rows, none where the server does not know the view."""
    try:
        return link.query(Own(query))
    except ServerError as error:
        if error.lost or error.number not in _UNKNOWN:
            raise
        return []


def _types(link: Link, places: Mapping[int, tuple[str, str]]) -> Iterator[Object]:
    for kind, identity in places.values():
        if kind == "type":
            yield "type", identity, "table"
    for schema, name, base, length, precision, scale, nullable in _known(link, _TYPES):
        told = f"{base} length {length} precision {precision} scale {scale}{'' if nullable else ' not null'}"
        yield "type", shown(str(schema), str(name)), told


def _sequences(link: Link) -> Iterator[Object]:
    for schema, name, kind, start, step, least, most, cycles, cached, size in _known(link, _SEQUENCES):
        told = f"{kind} start {start} increment {step} minimum {least} maximum {most}"
        told += f"{' cycle' if cycles else ''} {f'cache {size}' if cached else 'no cache'}"
        yield "sequence", shown(str(schema), str(name)), told


def _partitioning(link: Link) -> Iterator[Object]:
    bounds: dict[str, list[str]] = {}
    for name, on_right, kind, value in _known(link, _PARTITION_FUNCTIONS):
        head = f"range {'right' if on_right else 'left'} of {kind}:"
        bounds.setdefault(shown(str(name)), [head]).append(str(value) if value is not None else "")
    for name, parts in bounds.items():
        yield "partition function", name, " ".join(part for part in parts if part)
    spaces: dict[str, list[str]] = {}
    for name, function, space in _known(link, _PARTITION_SCHEMES):
        spaces.setdefault(shown(str(name)), [f"by {shown(str(function))} to"]).append(shown(str(space)))
    for name, parts in spaces.items():
        yield "partition scheme", name, " ".join(parts)


def _storage(link: Link, places: Mapping[int, tuple[str, str]]) -> Iterator[Object]:
    for number, index, how, partition in _known(link, _COMPRESSION):
        if int(number) in places:
            name = f"{places[int(number)][1]}.{shown(str(index)) if index else '(rows)'} partition {partition}"
            yield "compression", name, str(how).lower()


def _statistics(link: Link, places: Mapping[int, tuple[str, str]]) -> Iterator[Object]:
    columns: dict[tuple[str, str], list[str]] = {}
    for number, name, condition, fixed, column in _known(link, _STATISTICS):
        if int(number) in places:
            told = f"{f' where {condition}' if condition else ''}{' norecompute' if fixed else ''}"
            key = (f"{places[int(number)][1]}.{shown(str(name))}", told)
            columns.setdefault(key, []).append(shown(str(column)))
    for (identity, told), listed in columns.items():
        yield "statistics", identity, f"({', '.join(listed)}){told}"


def _comments(link: Link, places: Mapping[int, tuple[str, str]]) -> Iterator[Object]:
    """Yield the extended properties; those of constraints with a name of their own among them."""
    for kind, major, _, name, value, part, own in _known(link, _COMMENTS):
        on = _on(int(kind), int(major), part, places) or (f"constraint {shown(str(own))}" if own else "")
        if on:
            yield "comment", f"{on} {shown(str(name))}", str(value)


def _grants(link: Link, places: Mapping[int, tuple[str, str]]) -> Iterator[Object]:
    for kind, major, state, right, grantee, part in _known(link, _GRANTS):
        on = _on(int(kind), int(major), part, places)
        if on:
            told = str(state).lower().replace("_", " ")
            yield "grant", f"{str(right).lower()} on {on} to {shown(str(grantee))}", told


def _on(kind: int, number: int, part: object, places: Mapping[int, tuple[str, str]]) -> str:
    """Return what a comment or grant is about, or an empty string for what is nobody's work."""
    if kind == 0:
        return "database"
    if kind in (3, 6):
        return (
            ""
            if part in (None, "windlass", "windlass_archive")
            else f"{'schema' if kind == 3 else 'type'} {shown(str(part))}"
        )
    if number not in places:
        return ""
    place = " ".join(places[number])
    return f"{place}.{shown(str(part))}" if part else place


def _full_text(link: Link, places: Mapping[int, tuple[str, str]]) -> Iterator[Object]:
    for (name,) in _known(link, _FULL_TEXT_CATALOGUES):
        yield "full-text catalogue", shown(str(name)), ""
    columns: dict[tuple[str, str], list[str]] = {}
    for number, catalogue, column in _known(link, _FULL_TEXT):
        if int(number) in places:
            columns.setdefault((places[int(number)][1], str(catalogue)), []).append(shown(str(column)))
    for (identity, catalogue), listed in columns.items():
        yield "full-text index", identity, f"({', '.join(listed)}) in {shown(catalogue)}"
