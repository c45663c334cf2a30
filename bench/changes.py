"""The migrations that every tool runs: small ones, as most are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_FIRST = datetime(2025, 1, 1)
#: How many of the objects that the changes make stand in a database: tables, added columns, indexes.
STANDING = """
SELECT count(*) FILTER (WHERE c.relkind = 'r'),
  (SELECT count(*) FROM pg_catalog.pg_attribute a
    WHERE a.attname = 'note' AND a.attrelid IN (SELECT oid FROM pg_catalog.pg_class WHERE relname ~ '^item_[0-9]+$')),
  count(*) FILTER (WHERE c.relkind = 'i')
FROM pg_catalog.pg_class c WHERE c.relname ~ '^item_[0-9]+(_by_name)?$'
"""


@dataclass(frozen=True)
class Change:
    """One migration: a version that sorts (14 digits), a title, one statement up and one down."""

    version: str
    title: str
    up: str
    down: str

    @property
    def name(self) -> str:
        """Return version and title as one name."""
        return f"{self.version}_{self.title}"


def changes(count: int) -> list[Change]:
    """Return ``count`` migrations: a table, a column for it, an index on it, and so on."""
    return [_change(number) for number in range(count)]


def expected(count: int) -> tuple[int, int, int]:
    """Return how many tables, added columns and indexes stand after ``count`` migrations."""
    return (count + 2) // 3, (count + 1) // 3, count // 3


def _change(number: int) -> Change:
    version = (_FIRST + timedelta(minutes=number)).strftime("%Y%m%d%H%M%S")
    table = f"item_{number // 3:04d}"
    if number % 3 == 0:
        columns = "id bigint PRIMARY KEY, name text NOT NULL, made_at timestamptz NOT NULL DEFAULT now()"
        return Change(version, f"create_{table}", f"CREATE TABLE {table} ({columns});", f"DROP TABLE {table};")
    if number % 3 == 1:
        up, down = f"ALTER TABLE {table} ADD COLUMN note text;", f"ALTER TABLE {table} DROP COLUMN note;"
        return Change(version, f"note_{table}", up, down)
    index = f"{table}_by_name"
    return Change(version, f"index_{table}", f"CREATE INDEX {index} ON {table} (name);", f"DROP INDEX {index};")
