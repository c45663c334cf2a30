"""A walk over a batch's tokens, for what has to be understood of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional

from .lexer import tokens

#: Schema and name of an object; None where the login's own schema is meant.
Name = tuple[Optional[str], str]


class Item(NamedTuple):
    """A token: ``word`` is in capitals for a bare word, else as written; ``name`` is what it names."""

    kind: str
    word: str
    name: str
    start: int
    end: int


class Reader:
    """Takes words and names one after the other."""

    def __init__(self, sql: str, limit: int = 0) -> None:
        """Read the first ``limit`` tokens (0: all)."""
        self.sql = sql
        self.items: list[Item] = []
        self.at = 0
        for token in tokens(sql):
            self.items.append(_item(token.kind, sql[token.start : token.end], token.start, token.end))
            if limit and len(self.items) >= limit:
                break

    @property
    def done(self) -> bool:
        """Return whether nothing is left."""
        return self.at >= len(self.items)

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

    def qualified(self) -> Optional[Name]:
        """Take ``[schema.]name``, or return None where none stands or the name leads into another database."""
        parts = [self.name()]
        while self.take("."):
            parts.append(self.name())
        if len(parts) > 2 or parts[-1] is None:
            return None
        return (parts[0], parts[1]) if len(parts) == 2 and parts[1] is not None else (None, parts[-1])

    def rest_of_list(self) -> list[Reader]:
        """Part what is left at its commas (outside parentheses) and return a reader for each part."""
        parts: list[Reader] = []
        depth, start = 0, self.at
        for at in range(self.at, len(self.items)):
            word = self.items[at].word if self.items[at].kind == "other" else ""
            depth += (word == "(") - (word == ")")
            if word == "," and depth == 0:
                parts.append(self.part(start, at))
                start = at + 1
        parts.append(self.part(start, len(self.items)))
        return parts

    def parenthesis(self) -> Optional[Reader]:
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

    def part(self, start: int, end: int) -> Reader:
        """Return a reader of the items from ``start`` to ``end``."""
        part = Reader("")
        part.sql, part.items = self.sql, self.items[start:end]
        return part


def _item(kind: str, text: str, start: int, end: int) -> Item:
    if kind == "word":
        return Item(kind, text.upper(), text, start, end)
    if kind == "name":
        close = text[-1]
        return Item(kind, text, text[1:-1].replace(close * 2, close), start, end)
    return Item(kind, text, text, start, end)
