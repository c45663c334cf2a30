"""Judge whether an interrupted statement, which ran outside a transaction, took effect."""

from __future__ import annotations

from typing import Optional

from ..link import Link
from . import existence
from .reader import Reader
from .tokens import is_alone

#: Running one of these once more does no harm, whatever the first try did.
_REPEATABLE = ("BACKUP", "RECONFIGURE", "DBCC")
#: Words behind a statement that take it out of transactions.
_OPTIONS = {"RESUMABLE", "MEMORY_OPTIMIZED"}


def settle(link: Link, sql: str) -> Optional[bool]:
    """Return True (took effect), False (run it again), or None (cannot tell).  Raise ServerError."""
    words = Reader(sql)
    if words.peek() in _REPEATABLE:
        return False
    words.take_any("EXEC", "EXECUTE")
    words.take("SYS", ".")
    if words.peek() == "SP_CONFIGURE":
        return False
    words.at = 0
    action = words.take_any("CREATE", "ALTER", "DROP")
    if not action or not (is_alone(sql) or _OPTIONS & set(_words(words))):
        return None
    return _object(link, action, words)


def _words(words: Reader) -> list[str]:
    return [item.word for item in words.items if item.kind == "word"]


def _object(link: Link, action: str, words: Reader) -> Optional[bool]:
    """Judge CREATE, ALTER or DROP by what stands."""
    if words.take("DATABASE"):
        return _database(link, action, words)
    if words.take("FULLTEXT", "CATALOG"):
        name = words.name()
        return None if name is None else _made(action, existence.full_text_catalogue(link, name))
    if words.take("FULLTEXT", "INDEX", "ON"):
        of = words.qualified()
        return None if of is None else _made(action, existence.full_text_index(link, of))
    if action == "CREATE" and words.take("TABLE"):
        return existence.table(link, words.qualified())
    return _index(link, action, words)


def _database(link: Link, action: str, words: Reader) -> Optional[bool]:
    """Judge a change of a database: an option is set again."""
    words.take("IF", "EXISTS")
    name = words.name()
    if action == "ALTER":
        return False if "SET" in _words(words) else None
    return None if name is None else _made(action, existence.database(link, name))


def _made(action: str, stands: bool) -> Optional[bool]:
    """Judge by whether the thing is there."""
    return {"CREATE": stands, "DROP": not stands}.get(action)


def _index(link: Link, action: str, words: Reader) -> Optional[bool]:
    """Judge a resumable build: whole, or nothing of it; one that waits to be resumed is the operator's to decide."""
    words.take("UNIQUE")
    words.take_any("CLUSTERED", "NONCLUSTERED")
    if action == "DROP" or not words.take("INDEX"):
        return None
    name = words.name()
    of = words.qualified() if words.take("ON") else None
    if name is None or of is None or existence.unfinished_index(link, of, name):
        return None
    if action == "ALTER":
        return False if "REBUILD" in _words(words) else None
    return existence.index(link, of, name)
