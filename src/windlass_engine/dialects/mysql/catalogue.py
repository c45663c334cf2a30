"""The catalogue of MySQL and MariaDB: every user object as (kind, identity, definition).

Columns appear by name, so that the order in which they were made makes no difference; counters of AUTO_INCREMENT are
data, not schema.  The tables of the journal and of archives are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from ..answers import Object
from ..link import Link, ServerError
from .aside import TABLE as ASIDE
from .journal_sql import ARCHIVE_PREFIX, TABLES
from .text import literal, quoted

_OWN = ", ".join(literal(name) for name in (*TABLES, ASIDE))
_NOT_OURS = f"NOT IN ({_OWN}) AND LEFT({{0}}, {len(ARCHIVE_PREFIX)}) <> {literal(ARCHIVE_PREFIX)}"
_HERE = f"table_schema = DATABASE() AND table_name {_NOT_OURS.format('table_name')}"


def _unescaped(column: str) -> str:
    """Return an expression for an expression's text, in which MySQL escapes quotes and backslashes once too often."""
    return rf"REPLACE(REPLACE(REPLACE({column}, '\\\\', '\0'), '\\''', ''''), '\0', '\\')"


#: The same facts in the words of each make: what MariaDB says of a column can be run as it is, what MySQL says cannot.
_SAYS_MARIADB = {
    "here": _HERE, "default": "column_default", "extra": "extra", "made": "generation_expression",
    "part": "column_name", "unused": "IF(MAX(ignored) = 'YES', 'ignored', NULL)",
}  # fmt: skip
_SAYS_MYSQL = {
    "here": _HERE,
    "default": f"""CASE
    WHEN extra LIKE 'DEFAULT_GENERATED%' AND column_default NOT LIKE 'CURRENT_TIMESTAMP%'
      THEN CONCAT('(', {_unescaped("column_default")}, ')')
    WHEN extra LIKE 'DEFAULT_GENERATED%' OR numeric_precision IS NOT NULL OR data_type IN ('binary', 'varbinary')
      THEN column_default
    ELSE QUOTE(column_default) END""",
    "extra": "TRIM(REPLACE(extra, 'DEFAULT_GENERATED', ''))",
    "made": _unescaped("generation_expression"),
    "part": f"COALESCE(column_name, CONCAT('(', {_unescaped('expression')}, ')'))",
    "unused": "IF(MAX(is_visible) = 'NO', 'invisible', NULL)",
}

_TABLES = f"""
SELECT 'table', table_name, CONCAT_WS(' ', engine, table_collation, NULLIF(create_options, ''),
  IF(table_comment = '', NULL, CONCAT('comment ', QUOTE(table_comment))))
FROM information_schema.TABLES WHERE {_HERE} AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
"""
_COLUMNS = """
SELECT 'column', CONCAT(table_name, '.', column_name), CONCAT_WS(' ', column_type,
  IF(collation_name IS NULL, NULL, CONCAT('collate ', collation_name)),
  IF(is_nullable = 'NO', 'not null', NULL),
  IF(column_default IS NULL, NULL, CONCAT('default ', {default})),
  NULLIF({extra}, ''),
  IF(COALESCE(generation_expression, '') = '', NULL, CONCAT('as (', {made}, ')')),
  IF(column_comment = '', NULL, CONCAT('comment ', QUOTE(column_comment))))
FROM information_schema.COLUMNS WHERE {here}
  AND table_name IN (SELECT t.table_name FROM information_schema.TABLES t
    WHERE t.table_schema = DATABASE() AND t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED'))
"""
_INDEXES = """
SELECT 'index', CONCAT(table_name, '.', index_name), CONCAT_WS(' ',
  IF(MAX(non_unique) = 0, 'unique', NULL), MAX(index_type), CONCAT('(', GROUP_CONCAT(CONCAT(
    {part}, IF(sub_part IS NULL, '', CONCAT('(', sub_part, ')')), IF(collation = 'D', ' desc', ''))
    ORDER BY seq_in_index SEPARATOR ', '), ')'), {unused},
  IF(MAX(index_comment) = '', NULL, CONCAT('comment ', QUOTE(MAX(index_comment)))))
FROM information_schema.STATISTICS WHERE {here} GROUP BY table_name, index_name
"""
_FOREIGN_KEYS = f"""
SELECT 'constraint', CONCAT(k.table_name, '.', k.constraint_name), CONCAT('foreign key (',
  GROUP_CONCAT(k.column_name ORDER BY k.ordinal_position SEPARATOR ', '), ') references ',
  IF(MAX(k.referenced_table_schema) = DATABASE(), '', CONCAT(MAX(k.referenced_table_schema), '.')),
  MAX(k.referenced_table_name), ' (',
  GROUP_CONCAT(k.referenced_column_name ORDER BY k.ordinal_position SEPARATOR ', '),
  ') on update ', MAX(r.update_rule), ' on delete ', MAX(r.delete_rule))
FROM information_schema.KEY_COLUMN_USAGE k
JOIN information_schema.REFERENTIAL_CONSTRAINTS r ON r.constraint_schema = k.constraint_schema
  AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name
WHERE k.table_schema = DATABASE() AND k.table_name {_NOT_OURS.format("k.table_name")}
  AND k.referenced_table_name IS NOT NULL
GROUP BY k.table_name, k.constraint_name
"""
_CHECKS_MARIADB = f"""
SELECT 'constraint', CONCAT(table_name, '.', constraint_name), CONCAT('check (', check_clause, ')')
FROM information_schema.CHECK_CONSTRAINTS WHERE constraint_schema = DATABASE()
  AND table_name {_NOT_OURS.format("table_name")}
"""
_CHECKS_MYSQL = f"""
SELECT 'constraint', CONCAT(t.table_name, '.', c.constraint_name),
  CONCAT('check ', {_unescaped("c.check_clause")}, IF(t.enforced = 'NO', ' not enforced', ''))
FROM information_schema.CHECK_CONSTRAINTS c
JOIN information_schema.TABLE_CONSTRAINTS t ON t.constraint_schema = c.constraint_schema
  AND t.constraint_name = c.constraint_name AND t.constraint_type = 'CHECK'
WHERE c.constraint_schema = DATABASE() AND t.table_name {_NOT_OURS.format("t.table_name")}
"""
_PARTITIONS = f"""
SELECT 'partition', CONCAT_WS('.', table_name, partition_name, subpartition_name), CONCAT_WS(' ',
  partition_method, partition_expression, partition_description, subpartition_method, subpartition_expression)
FROM information_schema.PARTITIONS WHERE {_HERE} AND partition_name IS NOT NULL
"""
_TRIGGERS = """
SELECT 'trigger', trigger_name, CONCAT_WS(' ', action_timing, event_manipulation, 'on', event_object_table,
  'order', action_order, 'definer', definer, 'sql_mode', sql_mode, action_statement)
FROM information_schema.TRIGGERS WHERE trigger_schema = DATABASE()
"""
_VIEWS = """
SELECT 'view', table_name, CONCAT_WS(' ', 'security', security_type, 'definer', definer, 'check', check_option,
  view_definition)
FROM information_schema.VIEWS WHERE table_schema = DATABASE()
"""
_EVENTS = """
SELECT 'event', event_name, CONCAT_WS(' ', event_type, execute_at, interval_value, interval_field, starts, ends,
  status, on_completion, 'zone', time_zone, 'definer', definer, 'sql_mode', sql_mode, event_definition,
  IF(event_comment = '', NULL, CONCAT('comment ', QUOTE(event_comment))))
FROM information_schema.EVENTS WHERE event_schema = DATABASE()
"""
_GRANTS = f"""
SELECT 'grant', CONCAT(table_name, ' to ', grantee), GROUP_CONCAT(CONCAT(privilege_type,
  IF(is_grantable = 'YES', '*', '')) ORDER BY privilege_type SEPARATOR ', ')
FROM information_schema.TABLE_PRIVILEGES WHERE {_HERE} GROUP BY table_name, grantee
"""
_COLUMN_GRANTS = f"""
SELECT 'grant', CONCAT('column ', table_name, '.', column_name, ' to ', grantee), GROUP_CONCAT(CONCAT(privilege_type,
  IF(is_grantable = 'YES', '*', '')) ORDER BY privilege_type SEPARATOR ', ')
FROM information_schema.COLUMN_PRIVILEGES WHERE {_HERE} GROUP BY table_name, column_name, grantee
"""
_ROUTINES = """
SELECT routine_type, routine_name, routine_comment FROM information_schema.ROUTINES
WHERE routine_schema = DATABASE() AND routine_type IN ('PROCEDURE', 'FUNCTION')
"""
_SEQUENCES = (
    "SELECT table_name FROM information_schema.TABLES WHERE table_schema = DATABASE() AND table_type = 'SEQUENCE'"
)


def read(link: Link, is_mariadb: bool) -> Sequence[Object]:
    """Return every user object.  Raise ServerError."""
    link.run("SET SESSION group_concat_max_len = 1000000")
    database = str(link.query("SELECT DATABASE()")[0][0])
    says = _SAYS_MARIADB if is_mariadb else _SAYS_MYSQL
    checks = _CHECKS_MARIADB if is_mariadb else _CHECKS_MYSQL
    queries = [_TABLES, _COLUMNS.format(**says), _INDEXES.format(**says), _FOREIGN_KEYS, checks, _PARTITIONS]
    queries += [_TRIGGERS, _VIEWS, _EVENTS, _GRANTS, _COLUMN_GRANTS]
    found = [_object(row, database) for query in queries for row in link.query(query)]
    found += _routines(link, database)
    found += _sequences(link, database)
    link.run("SET SESSION group_concat_max_len = DEFAULT")
    return found


def _object(row: tuple[Any, ...], database: str) -> Object:
    """Return a row as texts, without the name of this very database: a copy under another name is the same."""
    kind, identity, definition = row
    return str(kind), str(identity), _local(str(definition or ""), database)


def _local(definition: str, database: str) -> str:
    return definition.replace(f"{quoted(database)}.", "")


def _routines(link: Link, database: str) -> Iterator[Object]:
    """Yield procedures and functions with their whole text."""
    for kind, name, comment in link.query(_ROUTINES):
        with suppress(ServerError):
            shown = link.query(f"SHOW CREATE {kind} {quoted(str(name))}")[0]
            # (name, sql_mode, text, …); without the right to see it, the text is NULL.
            text = f"sql_mode {shown[1]} {shown[2] if shown[2] is not None else 'not shown'} {comment}".rstrip()
            yield str(kind).lower(), str(name), _local(text, database)


def _sequences(link: Link, database: str) -> Iterator[Object]:
    """Yield MariaDB's sequences."""
    for (name,) in link.query(_SEQUENCES):
        shown = link.query(f"SHOW CREATE SEQUENCE {quoted(str(name))}")[0]
        yield "sequence", str(name), _local(str(shown[1]), database)
