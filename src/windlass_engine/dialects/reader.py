"""A walk over a statement's tokens, for what has to be understood of it; each dialect says what a token is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Optional, TypeVar

AnyReader = TypeVar("AnyReader", bound="TokenReader")


class Item(NamedTuple):
    """A token: ``word`` is in capitals for a bare word, else as written; ``name`` is what it names."""

    kind: str
    word: str
    name: str
    start: int
    end: int


class TokenReader:
    """Takes words and names one after the other."""

    def __init__(self, sql: str, limit: int = 0) -> None:
        """Read the first ``limit`` tokens (0: all)."""
        self.sql = sql
        self.items: list[Item] = list(islice(self.items_of(sql), limit or None))
        self.at = 0

    def items_of(self, sql: str) -> Iterator[Item]:
        """Yield a dialect's tokens."""
        raise NotImplementedError

    @property
    def done(self) -> bool:
        """Return whether nothing is left."""
        return self.at >= len(self.items)

    @property
    def text(self) -> str:
        """Return the statement's text from here to the last item."""
        return "" if self.done else self.sql[self.items[self.at].start : self.items[-1].end]

    def peek(self, ahead: int = 0) -> str:
        """Return a word in capitals, a sign as written, or an empty string at the end and for what is quoted."""
        if not 0 <= self.at + ahead < len(self.items):
            return ""
        item = self.items[self.at + ahead]
        return item.word if item.kind in ("word", "other") else ""

    def stands(self, words: Sequence[str]) -> bool:
        """Return whether exactly these words come next."""
        return all(self.peek(ahead) == word for ahead, word in enumerate(words))

    def take(self, *words: str) -> bool:
        """Take exactly these words, or nothing."""
        if self.stands(words):
            self.at += len(words)
            return True
        return False

    def take_any(self, *words: str) -> str:
        """Take one of these words and return it, or an empty string."""
        found = self.peek()
        if found and found in words:
            self.at += 1
            return found
        return ""

    def name(self) -> Optional[str]:
        """Take a name, or return None where none stands."""
        if self.done or self.items[self.at].kind not in ("word", "name"):
            return None
        self.at += 1
        return self.items[self.at - 1].name

    def rest_of_list(self: AnyReader) -> list[AnyReader]:
        """Part what is left at its commas (outside parentheses) and return a reader for each part."""
        parts: list[AnyReader] = []
        depth, start = 0, self.at
        for at in range(self.at, len(self.items)):
            word = self.items[at].word if self.items[at].kind == "other" else ""
            depth += (word == "(") - (word == ")")
            if word == "," and depth == 0:
                parts.append(self.part(start, at))
                start = at + 1
        parts.append(self.part(start, len(self.items)))
        return parts

    def parenthesis(self: AnyReader) -> Optional[AnyReader]:
        """Take ``( … )`` and return a reader of what is inside, or None where none stands."""
        if self.peek() != "(":
            return None
        depth, start = 0, self.at
        while not self.done:
            depth += (self.peek() == "(") - (self.peek() == ")")
            self.at += 1
            if depth == 0:
                return self.part(start + 1, self.at - 1)
        return None

    def part(self: AnyReader, start: int, end: int) -> AnyReader:
        """Return a reader of the items from ``start`` to ``end``."""
        part = type(self)("")
        part.sql, part.items = self.sql, self.items[start:end]
        return part


def item(kind: str, text: str, start: int, end: int) -> Item:
    """Return a token as an item; what closes a quoted name is doubled inside it."""
    if kind == "word":
        return Item(kind, text.upper(), text, start, end)
    if kind == "name":
        close = text[-1]
        return Item(kind, text, text[1:-1].replace(close * 2, close), start, end)
    return Item(kind, text, text, start, end)
