"""What a down script takes away: read out of its text, or seen on a copy of the tables in a scratch database.

Schema changes commit here, so nothing can be tried in the database itself.  A plain statement says by itself what it
takes away.  A CALL or a prepared statement does not; then the whole script runs on a copy that has every table's first
rows, enough for scripts that keep notes of what they added.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple, Optional

from ...model import Loss, Script
from ...project.directives import BATCH_MARK
from ..archives import COUNTED_BYTES
from ..link import Link, ServerError
from .journal_sql import ARCHIVE_PREFIX, TABLES
from .reader import Reader
from .text import literal, quoted
from .tokens import reader

#: Rows of each table that a copy has.
SAMPLE_ROWS = 1000
#: First words of statements that take no row away, but where a word of _CHANGING or REPLACE follows.
_HARMLESS = frozenset(
    ["SET", "SELECT", "SHOW", "ANALYZE", "OPTIMIZE", "CHECK", "FLUSH", "GRANT", "REVOKE", "INSERT", "COMMIT", "START",
     "ROLLBACK", "LOCK", "UNLOCK", "PREPARE", "DEALLOCATE", "RENAME", "WITH", "VALUES", "DESCRIBE", "EXPLAIN", "DO"]
)  # fmt: skip
_CHANGING = ("UPDATE", "DELETE", "REPLACE", "TRUNCATE", "LOAD")
#: What reaches beyond the database that a script runs in: such a script is not tried anywhere.
_BEYOND = frozenset(
    ["USE", "GLOBAL", "PERSIST", "GRANT", "REVOKE", "USER", "ROLE", "SHUTDOWN", "INSTALL", "UNINSTALL", "LOAD",
     "OUTFILE", "DUMPFILE", "KILL", "PURGE", "RESET", "FLUSH", "SERVER", "SCHEMA"]
)  # fmt: skip
#: What DROP in an ALTER TABLE takes away without taking a column.
_PARTS = ("INDEX", "KEY", "PRIMARY", "FOREIGN", "CONSTRAINT", "CHECK", "PARTITION", "SYSTEM", "PERIOD")
_UNREADABLE = "\0"
_OWN_VIEWS = ("information_schema", "performance_schema")
_OWN = ", ".join(literal(name) for name in TABLES)
_COLUMNS = """
SELECT c.table_name, c.column_name, c.column_type, COALESCE(c.generation_expression, '') <> '',
  c.column_default IS NOT NULL AND c.column_default <> 'NULL' OR c.extra LIKE '%auto_increment%', c.column_key = 'PRI'
FROM information_schema.COLUMNS c JOIN information_schema.TABLES t USING (table_schema, table_name)
WHERE c.table_schema = {schema} AND t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
  AND c.table_name NOT IN ({own}) AND LEFT(c.table_name, {length}) <> {prefix} ORDER BY c.table_name, c.ordinal_position
"""
_KEYS = """
SELECT table_name, column_name FROM information_schema.STATISTICS
WHERE table_schema = {schema} AND index_name = 'PRIMARY' ORDER BY table_name, seq_in_index
"""
DEFINER = re.compile(r"\sDEFINER\s*=\s*(`[^`]*`|'[^']*'|[\w.%-]+)@(`[^`]*`|'[^']*'|[\w.%-]+)", re.IGNORECASE)


class _Column(NamedTuple):
    name: str
    type: str
    generated: bool
    has_default: bool


class _Table(NamedTuple):
    columns: tuple[_Column, ...]
    keys: tuple[str, ...]

    @property
    def own(self) -> tuple[str, ...]:
        """Return the columns that are not computed from others."""
        return tuple(column.name for column in self.columns if not column.generated)


Tables = dict[str, _Table]


def readable(link: Link, down: Script) -> Optional[list[Loss]]:
    """Return what a script's own words say, None where a statement does something that they do not say."""
    tables = tables_of(link, "DATABASE()")
    found: list[Loss] = []
    for statement in down.statements:
        losses = read(down.sql(statement), tables)
        if losses is None:
            return None if any(_holds_rows(link, name) for name in tables) else []
        found += losses
    return [_weighed(link, "", loss) for loss in _merged(found)]


def find(link: Link, downs: Sequence[Script], original: str) -> list[list[Loss]]:
    """Run scripts on copies of the tables of ``original``, in the scratch database of ``link``.  Raise ServerError."""
    others = databases(link)
    for down in downs:
        refuse_reaching_out(down.text, others)
    _Copy(link, original, others).make()
    link.run(["SET @windlass_allow_data_loss = 1", "SET foreign_key_checks = 1"])
    stood = tables_of(link, "DATABASE()")
    found, before, sums = [], stood, _sums(link, stood)
    for down in downs:
        told = [loss for statement in down.statements for loss in read(down.sql(statement), before) or ()]
        for statement in down.statements:
            link.run(down.sql(statement).replace(BATCH_MARK, " "))
        after = tables_of(link, "DATABASE()")
        now = _sums(link, after)
        changed = {name for name in before.keys() & after.keys() if sums[name] != now[name]}
        seen = [*told, *_difference(before, after, changed)]
        found.append([loss for loss in _merged(seen) if _bare(loss.table) in stood])
        before, sums = after, now
    return [[_weighed(link, original, loss) for loss in losses] for losses in found]


def databases(link: Link) -> list[str]:
    """Return the databases, in small letters, in which a statement could change something.  Raise ServerError."""
    found = [str(name).lower() for (name,) in link.query("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA")]
    return [name for name in found if name not in _OWN_VIEWS]


def taken_by(link: Link, sql: str) -> list[Loss]:
    """Return what one statement takes away, nothing where its words do not say."""
    return read(sql, tables_of(link, "DATABASE()")) or []


def filled(loss: Loss, alias: str = "") -> str:
    """Return the condition that leaves out rows which lose nothing, or an empty string."""
    if not loss.sparse:
        return ""
    return "(" + " OR ".join(f"{alias}{quoted(column)} IS NOT NULL" for column in loss.columns) + ")"


# ---------------------------------------------------------------- what the words say


def read(sql: str, tables: Tables) -> Optional[list[Loss]]:
    """Return what one statement takes away of these tables; None where its words do not say."""
    words = reader(sql)
    first = words.peek()
    if first in _CHANGING or (first in ("WITH", "INSERT") and _mentions(sql, _CHANGING)):
        return rows_of(sql, tables)
    if first in _HARMLESS or (first == "BEGIN" and len(words.items) <= 2):
        return []
    words.at += 1
    if first == "CREATE":
        return _dropped(words, tables) if words.take("OR", "REPLACE") and words.peek() == "TABLE" else []
    if first == "DROP":
        return _dropped(words, tables)
    if first == "ALTER":
        return _altered(words, sql, tables)
    return None


def _dropped(words: Reader, tables: Tables) -> Optional[list[Loss]]:
    words.take("TEMPORARY")
    if not words.take_any("TABLE", "TABLES"):
        return [] if words.peek() not in ("DATABASE", "SCHEMA") else None
    words.take("IF", "EXISTS")
    names = [part.qualified() for part in words.rest_of_list()]
    if None in names:
        return None  # such as one in double quotes, which may be a name or a text
    found = [_standing(name[1], tables) for name in names if name]
    return [_all_of(name, tables[name]) for name in found if name]


def _altered(words: Reader, sql: str, tables: Tables) -> Optional[list[Loss]]:
    words.take_any("ONLINE", "IGNORE")
    if not words.take("TABLE"):
        return []
    words.take("IF", "EXISTS")
    named = words.qualified()
    if named is None:
        return None
    name = _standing(named[1], tables)
    if not name:
        return []
    table, gone = tables[name], []
    for part in words.rest_of_list():
        if part.peek() in ("DROP", "TRUNCATE", "EXCHANGE") and part.peek(1) == "PARTITION":
            return rows_of(sql, tables)
        column = _column_of(part)
        if column == _UNREADABLE:
            return None
        gone += [column] if column else []
    standing = {column.name.lower(): column.name for column in table.columns if not column.generated}
    lost = [standing[column.lower()] for column in gone if column.lower() in standing]
    return [_columns_of(name, table, lost)] if lost else []


def _column_of(part: Reader) -> Optional[str]:
    """Return the column that an action drops or gives another type, None for another action."""
    if part.take("DROP"):
        if part.peek() in _PARTS:
            return None
    elif not part.take_any("MODIFY", "CHANGE"):
        return None
    part.take("COLUMN")
    part.take("IF", "EXISTS")
    return part.name() or _UNREADABLE


def rows_of(sql: str, tables: Tables) -> list[Loss]:
    """Return all rows of every table that a statement names: the server does not say which of them it changes."""
    names = {_standing(item.name, tables) for item in Reader(sql).items if item.kind in ("word", "name")}
    return [replace(_all_of(name, tables[name]), kind="rows") for name in sorted(names - {""})]


def _standing(name: str, tables: Tables) -> str:
    """Return a table's name as the catalogue has it, which may tell capitals apart or not; "" for no table."""
    if name in tables:
        return name
    return next((known for known in tables if known.lower() == name.lower()), "")


def _mentions(sql: str, words: Sequence[str]) -> bool:
    return any(item.word in words for item in Reader(sql).items if item.kind == "word")


# ---------------------------------------------------------------- what a copy shows


class _Copy:
    """A copy of a database's tables with their first rows, and of what works on them."""

    def __init__(self, link: Link, original: str, others: Sequence[str]) -> None:
        self._link = link
        self._original = original
        self._others = others

    def make(self) -> None:
        """Copy tables and routines, which must succeed, then views and triggers, which need not."""
        self._link.run(["SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'", "SET foreign_key_checks = 0"])
        for name, table in tables_of(self._link, literal(self._original)).items():
            self._table(name, table)
        self._link.run("SET SESSION sql_mode = DEFAULT")
        for kind, name in self._names("ROUTINES", "routine_type, routine_name", "routine_schema"):
            self._shown(kind, name, 2)
        for view, _ in self._names("VIEWS", "table_name, ''", "table_schema"):
            with suppress(ServerError):
                self._shown("VIEW", view, 1)
        for trigger, _ in self._names("TRIGGERS", "trigger_name, ''", "trigger_schema"):
            with suppress(ServerError):
                self._shown("TRIGGER", trigger, 2)

    def _names(self, view: str, columns: str, schema: str) -> list[tuple[str, str]]:
        where = f"{schema} = {literal(self._original)}"
        return [
            (str(a), str(b))
            for a, b in self._link.query(f"SELECT {columns} FROM information_schema.{view} WHERE {where}")
        ]

    def _table(self, name: str, table: _Table) -> None:
        source = f"{quoted(self._original)}.{quoted(name)}"
        self._link.run(str(self._link.query(f"SHOW CREATE TABLE {source}")[0][1]))
        columns = ", ".join(map(quoted, table.own))
        self._link.run(f"INSERT INTO {quoted(name)} ({columns}) SELECT {columns} FROM {source} LIMIT {SAMPLE_ROWS}")

    def _shown(self, kind: str, name: str, column: int) -> None:
        """Make an object as the server shows it, for whoever makes it."""
        shown = self._link.query(f"SHOW CREATE {kind} {quoted(self._original)}.{quoted(name)}")[0][column]
        text = DEFINER.sub("", str(shown or ""), count=1).replace(f"{quoted(self._original)}.", "")
        if text:
            refuse_reaching_out(text, self._others)
            self._link.run(text)


def refuse_reaching_out(text: str, databases: Sequence[str]) -> None:
    """Refuse to try what names another database, for it would be changed in earnest.  Raise ServerError."""
    words = Reader(text).items
    for item, following in zip(words, [*words[1:], None]):
        named = item.name.lower() in databases and following is not None and following.word == "."
        inside = item.kind == "string" and any(re.search(rf"(?i)\b{re.escape(n)}`?\s*\.", item.word) for n in databases)
        beyond = item.kind == "word" and item.word in _BEYOND
        if named or inside or beyond:
            raise ServerError(f"{item.word[:60]!r} may reach beyond the database")


def tables_of(link: Link, schema: str) -> Tables:
    """Return the tables of a schema, which is SQL."""
    places = {"schema": schema, "own": _OWN, "prefix": literal(ARCHIVE_PREFIX), "length": len(ARCHIVE_PREFIX)}
    keys: dict[str, list[str]] = {}
    for name, column in link.query(_KEYS.format(schema=schema)):
        keys.setdefault(str(name), []).append(str(column))
    columns: dict[str, list[_Column]] = {}
    for name, column, kind, generated, default, _ in link.query(_COLUMNS.format(**places)):
        columns.setdefault(str(name), []).append(_Column(str(column), str(kind), bool(generated), bool(default)))
    return {name: _Table(tuple(found), tuple(keys.get(name, ()))) for name, found in columns.items()}


def _sums(link: Link, tables: Tables) -> dict[str, object]:
    """Return a sum of each table's rows."""
    return {name: link.query(f"CHECKSUM TABLE {quoted(name)}")[0][1] for name in tables}


def _difference(before: Tables, after: Tables, changed: set[str]) -> Iterator[Loss]:
    """Yield what stood before and does not stand after, and the tables whose rows are others."""
    for name, table in before.items():
        if name not in after:
            yield _all_of(name, table)
            continue
        types = {column.name: column.type for column in after[name].columns}
        gone = [c.name for c in table.columns if not c.generated and types.get(c.name) != c.type]
        if gone:
            yield _columns_of(name, table, gone)
        elif name in changed:
            yield replace(_all_of(name, table), kind="rows")


def _all_of(name: str, table: _Table) -> Loss:
    return Loss("table", quoted(name), table.own, table.keys)


def _columns_of(name: str, table: _Table, gone: Sequence[str]) -> Loss:
    """Return the loss of columns; without a key a value says nothing, so then the whole row is kept."""
    if not table.keys:
        return replace(_all_of(name, table), kind="columns")
    sparse = not any(column.has_default for column in table.columns if column.name in gone)
    return Loss("columns", quoted(name), tuple(dict.fromkeys(gone)), table.keys, sparse)


def _merged(losses: Sequence[Loss]) -> list[Loss]:
    """Return one loss a table and kind; what goes whole needs nothing else."""
    found: dict[tuple[str, str], Loss] = {}
    for loss in losses:
        known = found.get((loss.table, loss.kind))
        columns = tuple(dict.fromkeys((*(known.columns if known else ()), *loss.columns)))
        sparse = loss.sparse and (known is None or known.sparse)
        found[loss.table, loss.kind] = replace(loss, columns=columns, sparse=sparse)
    whole = {table for table, kind in found if kind in ("table", "rows")}
    return [
        loss
        for (table, kind), loss in found.items()
        if kind == "table" or table not in whole or (kind == "rows" and (table, "table") not in found)
    ]


def _weighed(link: Link, original: str, loss: Loss) -> Loss:
    """Return a loss with its size in a database, the session's own where ``original`` is empty."""
    schema, place = ("DATABASE()", "") if not original else (literal(original), f"{quoted(original)}.")
    rows, size, width = link.query(
        "SELECT COALESCE(t.table_rows, 0), COALESCE(t.data_length, 0), (SELECT COUNT(*) FROM "
        "information_schema.COLUMNS c WHERE c.table_schema = t.table_schema AND c.table_name = t.table_name) "
        f"FROM information_schema.TABLES t WHERE t.table_schema = {schema} AND t.table_name = "
        f"{literal(_bare(loss.table))}"
    )[0]
    about = int(size) > COUNTED_BYTES
    if not about:
        condition = filled(loss)
        rows = link.query(f"SELECT COUNT(*) FROM {place}{loss.table}{f' WHERE {condition}' if condition else ''}")[0][0]
    share = min(1.0, (len(loss.columns) + len(loss.keys)) / max(int(width), 1))
    return replace(loss, rows=int(rows), bytes=int(int(size) * share) if rows else 0, about=about)


def _holds_rows(link: Link, name: str) -> bool:
    return bool(link.query(f"SELECT EXISTS (SELECT 1 FROM {quoted(name)})")[0][0])


def _bare(table: str) -> str:
    """Return a table's name without its quotes."""
    return table[1:-1].replace("``", "`")
