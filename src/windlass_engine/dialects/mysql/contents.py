"""What is in a database: its tables, their rows and sizes, the counters of AUTO_INCREMENT."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Optional

from ...model import Wire
from ..link import Link, Tick
from .aside import TABLE as ASIDE
from .text import literal, quoted

_BATCH = 50
_KINDS = "('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE')"
#: (name, type, bytes of data, whether the engine has transactions).
_TABLES = (
    """
SELECT t.table_name, t.table_type, COALESCE(t.data_length, 0), COALESCE(e.transactions = 'YES', 0)
FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.engine = t.engine
WHERE t.table_schema = {database} AND t.table_type IN """
    + _KINDS
    + """ AND t.table_name <> {aside}
ORDER BY 3, 1"""
)
_COUNTERS = """
SELECT t.table_name, c.column_name, t.auto_increment FROM information_schema.TABLES t
JOIN information_schema.COLUMNS c ON c.table_schema = t.table_schema AND c.table_name = t.table_name
  AND c.extra LIKE '%auto_increment%'
WHERE t.table_schema = {database} AND t.auto_increment IS NOT NULL ORDER BY 1"""


_FOREIGN_KEYS = """
SELECT table_name, constraint_name FROM information_schema.TABLE_CONSTRAINTS
WHERE table_schema = {database} AND constraint_type = 'FOREIGN KEY' ORDER BY 1, 2"""


class Table:
    """A table with rows of its own, or a sequence."""

    def __init__(self, name: str, kind: str, data_bytes: int, transactional: bool) -> None:
        """Keep the parts."""
        self.name = name
        self.is_sequence = kind == "SEQUENCE"
        self.is_versioned = kind == "SYSTEM VERSIONED"
        self.data_bytes = data_bytes
        self.is_transactional = transactional


def tables(link: Link, database: str) -> list[Table]:
    """Return all tables and sequences of a database, small ones first."""
    rows = link.query(_TABLES.format(database=literal(database), aside=literal(ASIDE)))
    return [Table(str(name), str(kind), int(size), bool(safe)) for name, kind, size, safe in rows]


def sizes(link: Link, database: str) -> tuple[int, int]:
    """Return the bytes of the whole database, and those of the data that a dump holds."""
    row = link.query(
        "SELECT CAST(COALESCE(SUM(data_length + index_length), 0) AS SIGNED), "
        "CAST(COALESCE(SUM(data_length), 0) AS SIGNED) FROM information_schema.TABLES "
        f"WHERE table_schema = {literal(database)}"
    )[0]
    return int(row[0]), int(row[1])


def count_rows(link: Link, database: str, counted: Sequence[Table], tick: Optional[Tick] = None) -> Wire:
    """Return the rows of each table, in the view of the open transaction; of versioned ones with their history."""
    found: Wire = {}
    # A savepoint gives the tables' metadata locks back, which would keep everybody else from changing them.  A table
    # whose default asks a sequence brings that into the transaction, and sequences know no savepoints.
    releasing = not any(table.is_sequence for table in counted)
    plain = [table for table in counted if not table.is_sequence]
    for at in range(0, len(plain), _BATCH):
        batch = plain[at : at + _BATCH]
        asked = ", ".join(f"(SELECT COUNT(*) FROM {_whole(database, table)})" for table in batch)
        if releasing:
            link.run("SAVEPOINT counting")
        link.run(f"SELECT JSON_ARRAY({asked}) INTO @windlass_counts", tick)
        numbers = json.loads(link.query("SELECT @windlass_counts")[0][0])
        if releasing:
            link.run("ROLLBACK TO SAVEPOINT counting")
        found.update((table.name, number) for table, number in zip(batch, numbers))
    return dict(sorted(found.items()))


def counters_behind(link: Link, database: str) -> list[str]:
    """Return one line for each AUTO_INCREMENT whose next value is in its column already."""
    lines = []
    for table, column, following in link.query(_COUNTERS.format(database=literal(database))):
        place = f"{quoted(database)}.{quoted(str(table))}"
        highest = link.query(f"SELECT COALESCE(MAX({quoted(str(column))}), 0) FROM {place}")[0][0]
        if int(highest) >= int(following):
            lines.append(f"the next value of {table}.{column} is {following}, and it holds {highest}")
    return lines


def without_foreign_keys(link: Link, database: str) -> list[str]:
    """Return what takes all foreign keys of a database away."""
    found: dict[str, list[str]] = {}
    for table, name in link.query(_FOREIGN_KEYS.format(database=literal(database))):
        found.setdefault(str(table), []).append(f"DROP FOREIGN KEY {quoted(str(name))}")
    return [f"ALTER TABLE {quoted(database)}.{quoted(table)} {', '.join(keys)}" for table, keys in found.items()]


def _whole(database: str, table: Table) -> str:
    """Return what to count the rows of."""
    name = f"{quoted(database)}.{quoted(table.name)}"
    return f"{name} FOR SYSTEM_TIME ALL" if table.is_versioned else name
