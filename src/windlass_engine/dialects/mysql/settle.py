"""Judge whether an interrupted statement, which commits by itself, took effect."""

from __future__ import annotations

from typing import Callable, Optional

from ..link import Link
from . import alter, existence
from .existence import Name
from .reader import Reader
from .tokens import reader

#: Running one of these once more does no harm, whatever the first try did.
_REPEATABLE = ("ANALYZE", "OPTIMIZE", "REPAIR", "CHECK", "FLUSH", "GRANT", "REVOKE", "CACHE", "LOAD", "SET")
_INDEX_KINDS = ("UNIQUE", "FULLTEXT", "SPATIAL")
_Exists = Callable[[Link, Name], bool]
_KINDS: dict[str, _Exists] = {
    "TABLE": existence.table,
    "SEQUENCE": existence.table,
    "VIEW": existence.view,
    "TRIGGER": existence.trigger,
    "EVENT": existence.event,
    "PROCEDURE": lambda link, name: existence.routine(link, "PROCEDURE", name),
    "FUNCTION": lambda link, name: existence.routine(link, "FUNCTION", name),
    "DATABASE": lambda link, name: existence.schema(link, name[1]),
    "SCHEMA": lambda link, name: existence.schema(link, name[1]),
}


def settle(link: Link, sql: str) -> Optional[bool]:
    """Return True (took effect), False (run it again), or None (cannot tell).  Raise ServerError."""
    words = reader(sql)
    first = words.peek()
    if first in _REPEATABLE:
        return False
    words.at += 1
    judge = {"CREATE": _created, "DROP": _dropped, "ALTER": _altered, "RENAME": _renamed, "TRUNCATE": _emptied}
    return judge[first](link, words) if first in judge else None


def _created(link: Link, words: Reader) -> Optional[bool]:
    """Judge CREATE: with OR REPLACE it can be run again, else the object is there or not."""
    if words.take("OR", "REPLACE"):
        return False
    unique = words.take_any(*_INDEX_KINDS)
    if words.take("INDEX"):
        words.take("IF", "NOT", "EXISTS")
        return _index_created(link, words, unique == "UNIQUE")
    kind = _kind(words)
    if kind is None:
        return None
    words.take("IF", "NOT", "EXISTS")
    name = words.qualified()
    return _KINDS[kind](link, name) if name else None


def _index_created(link: Link, words: Reader, unique: bool) -> Optional[bool]:
    """Judge CREATE INDEX name [USING …] ON table (…)."""
    name = words.name()
    while not words.done and not words.take("ON"):
        words.at += 1
    of = words.qualified()
    return alter.index_stands(link, of, name, unique, words.parenthesis()) if name and of else None


def _dropped(link: Link, words: Reader) -> Optional[bool]:
    """Judge DROP: all of the objects are gone, or none."""
    if words.take("INDEX"):
        words.take("IF", "EXISTS")
        name = words.name()
        of = words.qualified() if words.take("ON") else None
        return existence.index(link, of, name) is None if name and of else None
    kind = words.take_any(*_KINDS)
    if not kind:
        return None
    guarded = words.take("IF", "EXISTS")
    names = [part.qualified() for part in words.rest_of_list()]
    gone = {not _KINDS[kind](link, name) for name in names if name}
    if None in names or not gone:
        return None
    if len(gone) > 1:
        return False if guarded else None
    return gone.pop()


def _altered(link: Link, words: Reader) -> Optional[bool]:
    """Judge ALTER: of views, events and routines it can be run again."""
    words.take_any("ONLINE", "IGNORE")
    words.take("IGNORE")
    if words.take("TABLE"):
        return alter.settle(link, words)
    return False if words.peek() in ("VIEW", "EVENT", "PROCEDURE", "FUNCTION", "DATABASE", "SCHEMA") else None


def _renamed(link: Link, words: Reader) -> Optional[bool]:
    """Judge RENAME TABLE a TO b, c TO d: by where all names stand now."""
    if not words.take_any("TABLE", "TABLES"):
        return None
    words.take("IF", "EXISTS")
    pairs = [_pair(part) for part in words.rest_of_list()]
    if None in pairs:
        return None
    old = [pair[0] for pair in pairs if pair]
    new = [pair[1] for pair in pairs if pair]
    gone = [name for name in old if name not in new]
    made = [name for name in new if name not in old]
    stands = {name: existence.table(link, name) for name in gone + made}
    if all(stands[name] for name in made) and not any(stands[name] for name in gone) and stands:
        return True
    if all(stands[name] for name in gone) and not any(stands[name] for name in made) and stands:
        return False
    return None


def _pair(part: Reader) -> Optional[tuple[Name, Name]]:
    """Return (old, new) of one renaming."""
    old = part.qualified()
    new = part.qualified() if part.take("TO") else None
    return (old, new) if old and new else None


def _emptied(link: Link, words: Reader) -> Optional[bool]:
    """Judge TRUNCATE: an empty table is done; rows may be new ones, and nobody but the operator knows."""
    words.take("TABLE")
    name = words.qualified()
    return True if name and existence.table(link, name) and not existence.rows(link, name) else None


def _kind(words: Reader) -> Optional[str]:
    """Take the words up to the kind of object that is created (a definer, an algorithm may stand before)."""
    while not words.done and words.at < 24:
        found = words.take_any(*_KINDS)
        if found:
            return found
        words.at += 1
    return None
