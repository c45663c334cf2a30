"""The statements that a batch is made of, as far as they change tables; what guards them is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..lexis import Unterminated
from .reader import Reader
from .tokens import is_routine

_STARTS = frozenset(["ALTER", "CREATE", "DELETE", "DROP", "INSERT", "MERGE", "TRUNCATE", "UPDATE"])
#: Behind one of these it is part of a statement, in front of one of those as well.
_BEHIND = frozenset([".", ",", "ON", "FOR", "OF", "AFTER", "THEN", "GRANT", "DENY", "REVOKE", "DELETE", "INSERT"])
_BEFORE = frozenset(["COLUMN", "CONSTRAINT", "STATISTICS", ","])
_OF_THE_SESSION = re.compile(r"(?i)(?:INSERT\s+INTO|DELETE\s+FROM|[A-Z]+\s+TABLE|[A-Z]+)\s+[@#](?!#)")
_ENDS = re.compile(r"(?i)(?:\s*;|\s*\bEND\b(?!\s+CATCH)|\s*\bELSE\b(?:\s+BEGIN\b)?)+\s*$")


def parts(sql: str) -> tuple[tuple[int, str], ...]:
    """Return (lines in front, text) of each; the whole batch where it is a routine or holds none of them."""
    try:
        words = Reader(sql)
    except Unterminated:
        return ((0, sql),)
    if is_routine(words):
        return ((0, sql),)
    starts = list(_starts(words))
    if not starts:
        return ((0, sql),)
    texts = [(start, _ENDS.sub("", sql[start:end])) for start, end in zip(starts, [*starts[1:], len(sql)])]
    return tuple((sql.count("\n", 0, start), text) for start, text in texts if not _OF_THE_SESSION.match(text))


def _starts(words: Reader) -> Iterator[int]:
    """Yield where a statement begins that changes a table."""
    for at, item in enumerate(words.items):
        words.at = at
        if words.peek() in _STARTS and words.peek(-1) not in _BEHIND and words.peek(1) not in _BEFORE:
            yield item.start
