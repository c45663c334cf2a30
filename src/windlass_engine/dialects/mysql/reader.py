"""A walk over a statement's tokens, for what has to be understood of it."""

from __future__ import annotations

from typing import NamedTuple, Optional

from .lexer import tokens


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
        """Read the first ``limit`` tokens (0: all); the marks of executable comments are left out."""
        self.sql = sql
        self.items: list[Item] = []
        self.at = 0
        for token in tokens(sql):
            if token.kind not in ("open", "close"):
                self.items.append(_item(token.kind, sql[token.start : token.end], token.start, token.end))
            if limit and len(self.items) >= limit:
                break

    @property
    def done(self) -> bool:
        """Return whether nothing is left."""
        return self.at >= len(self.items)

    def peek(self, ahead: int = 0) -> str:
        """Return a word in capitals, a sign as written, or an empty string at the end and for what is quoted."""
        if self.at + ahead >= len(self.items):
            return ""
        item = self.items[self.at + ahead]
        return item.word if item.kind in ("word", "other") else ""

    def take(self, *words: str) -> bool:
        """Take exactly these words, or nothing."""
        if all(self.peek(ahead) == word for ahead, word in enumerate(words)):
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

    def qualified(self) -> Optional[tuple[Optional[str], str]]:
        """Take ``[database.]name``, or return None where none stands."""
        first = self.name()
        if first is None:
            return None
        if self.take("."):
            second = self.name()
            return (first, second) if second is not None else None
        return None, first

    def rest_of_list(self) -> list[Reader]:
        """Part what is left at its commas (outside parentheses) and return a reader for each part."""
        parts: list[Reader] = []
        depth, start = 0, self.at
        for at in range(self.at, len(self.items)):
            word = self.items[at].word if self.items[at].kind == "other" else ""
            depth += (word == "(") - (word == ")")
            if word == "," and depth == 0:
                parts.append(self._part(start, at))
                start = at + 1
        parts.append(self._part(start, len(self.items)))
        return parts

    @property
    def text(self) -> str:
        """Return the statement's text from here to the last item."""
        return "" if self.done else self.sql[self.items[self.at].start : self.items[-1].end]

    def parenthesis(self) -> Optional[Reader]:
        """Take ``( … )`` and return a reader of what is inside, or None where none stands."""
        if self.peek() != "(":
            return None
        depth, start = 0, self.at
        while not self.done:
            depth += (self.peek() == "(") - (self.peek() == ")")
            self.at += 1
            if depth == 0:
                return self._part(start + 1, self.at - 1)
        return None

    def _part(self, start: int, end: int) -> Reader:
        part = Reader("")
        part.sql, part.items = self.sql, self.items[start:end]
        return part


def _item(kind: str, text: str, start: int, end: int) -> Item:
    if kind == "word":
        return Item(kind, text.upper(), text, start, end)
    return Item(kind, text, text[1:-1].replace("``", "`") if kind == "name" else text, start, end)
