"""Two schemas side by side: each object that differs, with the SQL that makes one like the other."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Optional

from ..dialects.answers import Key, Objects
from ..dialects.base import Dialect
from ..model import Wire
from .introspect import Schema

ADDED, CHANGED, MISSING = "added", "changed", "missing"
#: What is made comes in this order, what is dropped in its reverse.
_ORDER = ("schema", "extension", "enum", "domain", "type", "range", "sequence", "table", "foreign table", "column",
          "index", "constraint", "function", "procedure", "aggregate", "view", "materialized view", "rule", "trigger",
          "policy", "event", "partition", "owner", "comment", "grant")  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """One object: ``before`` and ``after`` are its definitions, None where it is not there.

    ``forth`` is the SQL that makes ``before`` into ``after``, ``back`` the other way.  An empty text says that it comes
    or goes with another object of the list, None that it has to be done by hand.
    """

    kind: str
    identity: str
    table: str
    before: Optional[str]
    after: Optional[str]
    forth: Optional[str]
    back: Optional[str]

    @property
    def what(self) -> str:
        """Return ``added``, ``missing`` or ``changed``."""
        return ADDED if self.before is None else MISSING if self.after is None else CHANGED

    def to_wire(self) -> Wire:
        """Return plain data."""
        return {**vars(self), "what": self.what}


def compare(dialect: Dialect, before: Schema, after: Schema, left_out: Collection[str] = ()) -> list[Difference]:
    """Return what differs; kinds that are ``left_out`` are not seen.

    In this order the SQL ``forth`` can run, in the reverse order the SQL ``back``.
    """
    old, new = _objects(before, left_out), _objects(after, left_out)
    there, back = _Way(dialect, old, new), _Way(dialect, new, old)
    keys = sorted(old.keys() | new.keys(), key=lambda key: _rank(key, new.get(key) or old.get(key) or ""))
    found = [
        Difference(*key, _table(dialect, key, old, new), old.get(key), new.get(key), there.sql(key), back.sql(key))
        for key in keys
        if not _same(dialect, old.get(key), new.get(key))
    ]
    return [*(item for item in reversed(found) if item.what == MISSING), *(i for i in found if i.what != MISSING)]


class _Way:
    """From one state to another."""

    def __init__(self, dialect: Dialect, have: Objects, want: Objects) -> None:
        self._dialect, self._have, self._want = dialect, have, want
        self._made, self._gone = want.keys() - have.keys(), have.keys() - want.keys()

    def sql(self, key: Key) -> Optional[str]:
        """Return the SQL for one object, empty where it comes or goes with another, None where nobody can tell."""
        making = key in self._want
        if key in self._have and making:
            return self._dialect.change_object(key, self._have, self._want) or None
        objects, partners = (self._want, self._made) if making else (self._have, self._gone)
        table = ("table", self._dialect.table_of(key, objects))
        if table in partners and key != table and (not making or key[0] in self._dialect.made_with_table):
            return ""
        if self._dialect.goes_with(key, objects, partners, making):
            return ""
        make = self._dialect.create_object if making else self._dialect.drop_object
        return make(key, objects) or None


def _objects(schema: Schema, left_out: Collection[str]) -> Objects:
    return {(kind, identity): text for kind, identity, text in schema.objects if kind not in left_out}


def _table(dialect: Dialect, key: Key, old: Objects, new: Objects) -> str:
    return dialect.table_of(key, new if key in new else old)


def _same(dialect: Dialect, old: Optional[str], new: Optional[str]) -> bool:
    if old is None or new is None:
        return old is new
    return old == new or dialect.loose_spelling(old) == dialect.loose_spelling(new)


def _rank(key: Key, definition: str) -> tuple[int, bool, Key]:
    """Return where an object stands in the order; a foreign key comes after what it may point to."""
    place = _ORDER.index(key[0]) if key[0] in _ORDER else len(_ORDER)
    return place, definition.lower().startswith("foreign key"), key
