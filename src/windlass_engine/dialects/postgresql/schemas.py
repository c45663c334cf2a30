"""What stands in a database of PostgreSQL: read, kept, and the SQL that mends an object."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Optional

from ..answers import Key, Object, Objects
from ..link import Link
from ..schemas import Schemas
from . import deparse, making_sql, schema, text
from .journal_sql import MAKE_SCHEMA_TABLE, NOW_TEXT


class PostgresSchemas(Schemas):
    """PostgreSQL's answers about what stands in a database."""

    schema_table = "windlass.schema"

    def literal(self, value: Optional[str]) -> str:
        """Return an E'' constant."""
        return text.literal(value)

    def objects(self, link: Link) -> Sequence[Object]:
        """Read the catalogue."""
        return schema.read(link)

    def loose_spelling(self, definition: str) -> str:
        """Return a definition without brackets and casts."""
        return deparse.loose(definition)

    def make_schema_table(self) -> tuple[str, ...]:
        """Return its DDL."""
        return (MAKE_SCHEMA_TABLE,)

    def now_text(self) -> str:
        """Return the clock as text."""
        return NOW_TEXT

    def table_of(self, key: Key, objects: Objects) -> str:
        """Read it off the identity or the definition."""
        return making_sql.table_of(key, objects)

    def goes_with(self, key: Key, objects: Objects, partners: Collection[Key], making: bool) -> bool:
        """Know what the server makes and drops by itself."""
        return making_sql.goes_with(key, objects, partners, making)

    def create_object(self, key: Key, objects: Objects) -> str:
        """Build it from the catalogue's words."""
        return making_sql.create(key, objects)

    def drop_object(self, key: Key, objects: Objects) -> str:
        """Drop it by its kind."""
        return making_sql.drop(key, objects)

    def change_object(self, key: Key, have: Objects, want: Objects) -> str:
        """Alter it, or make it anew."""
        return making_sql.change(key, have, want)
