"""The contract for schemas: reading one, keeping it for a later look at drift, and the SQL that mends an object."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Optional

from .answers import Key, Object, Objects
from .link import Link


class Schemas(ABC):
    """One engine's answers about what stands in a database."""

    #: Where the journal keeps the schema as it was after the last run; empty where it does not.
    schema_table: str = ""
    #: Kinds of objects that stand in a CREATE TABLE or go with it.
    made_with_table: frozenset[str] = frozenset({"column"})

    @abstractmethod
    def literal(self, value: Optional[str]) -> str:
        """Return a string constant that means the same under every session setting."""

    @abstractmethod
    def objects(self, link: Link) -> Sequence[Object]:
        """Return every user object of the schema but the journal's, in any order.  Raise ServerError."""

    @abstractmethod
    def loose_spelling(self, definition: str) -> str:
        """Return a definition without what the server may spell differently after a dump and a restore."""

    def make_schema_table(self) -> tuple[str, ...]:
        """Return what makes :attr:`schema_table` where it is missing."""
        return ()

    def keep_schema(self, text: str, fingerprint: str, head: str, run_id: str, who: str) -> tuple[str, ...]:
        """Return what keeps a schema in the place of the one before, inside a transaction."""
        values = ", ".join(map(self.literal, (text, fingerprint, head, run_id, who)))
        return (
            f"DELETE FROM {self.schema_table}",
            f"INSERT INTO {self.schema_table} (objects, fingerprint, head, run_id, who, at) "
            f"VALUES ({values}, {self.now_text()})",
        )

    def kept_schema(self) -> str:
        """Return the query for the kept schema: text, fingerprint, head, run, who, when."""
        return f"SELECT objects, fingerprint, head, run_id, who, at FROM {self.schema_table}"

    def now_text(self) -> str:
        """Return SQL for the time as ISO-8601 text in UTC."""
        raise NotImplementedError

    def table_of(self, key: Key, objects: Objects) -> str:
        """Return the table that an object belongs to, a table itself, or an empty string."""
        return ""

    def goes_with(self, key: Key, objects: Objects, partners: Collection[Key], making: bool) -> bool:
        """Return whether an object comes (``making``) or goes by itself with one of its ``partners``."""
        return False

    def create_object(self, key: Key, objects: Objects) -> str:
        """Return the SQL that makes an object as ``objects`` define it, an empty string where nobody can tell."""
        return ""

    def drop_object(self, key: Key, objects: Objects) -> str:
        """Return the SQL that drops an object, an empty string where nobody can tell."""
        return ""

    def change_object(self, key: Key, have: Objects, want: Objects) -> str:
        """Return the SQL that makes a standing object what it should be, an empty string where nobody can tell."""
        return ""
