"""What stands in a database of SQL Server: read, kept, and the SQL that mends an object."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Optional

from ..answers import Key, Object, Objects
from ..link import Link
from ..schemas import Schemas
from . import catalogue, making_sql, text
from .journal_sql import MAKE_SCHEMA_TABLE, NOW_TEXT, SCHEMA_TABLE
from .own import Own


class SQLServerSchemas(Schemas):
    """SQL Server's answers about what stands in a database."""

    schema_table = SCHEMA_TABLE

    def literal(self, value: Optional[str]) -> str:
        """Return an N'' constant."""
        return text.literal(value)

    def objects(self, link: Link) -> Sequence[Object]:
        """Read the catalogue."""
        return catalogue.read(link)

    def loose_spelling(self, definition: str) -> str:
        """Return a definition without blanks and brackets."""
        return re.sub(r"[\s()\[\]]+", "", definition).lower()

    def make_schema_table(self) -> tuple[str, ...]:
        """Return its DDL."""
        return MAKE_SCHEMA_TABLE

    def keep_schema(self, text: str, fingerprint: str, head: str, run_id: str, who: str) -> tuple[str, ...]:
        """Return the two statements as Windlass's own."""
        return tuple(map(Own, super().keep_schema(text, fingerprint, head, run_id, who)))

    def kept_schema(self) -> str:
        """Return the query as Windlass's own."""
        return Own(super().kept_schema())

    def now_text(self) -> str:
        """Return the clock as text."""
        return NOW_TEXT

    def table_of(self, key: Key, objects: Objects) -> str:
        """Read it off the identity or, for a trigger, off the definition."""
        return catalogue.table_of(*key, objects.get(key, ""))

    def create_object(self, key: Key, objects: Objects) -> str:
        """Build it from the catalogue's words."""
        return making_sql.create(key, objects)

    def drop_object(self, key: Key, objects: Objects) -> str:
        """Build it from the identity; a column's default goes first."""
        return making_sql.drop(key, objects)

    def change_object(self, key: Key, have: Objects, want: Objects) -> str:
        """Build it from the catalogue's words."""
        return making_sql.change(key, have, want)
