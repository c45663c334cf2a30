"""A walk over a statement's tokens, for what has to be understood of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from ..reader import Item, TokenReader, item
from .lexer import tokens


class Reader(TokenReader):
    """Takes words and names one after the other."""

    def items_of(self, sql: str) -> Iterator[Item]:
        """Leave out the marks of executable comments."""
        for token in tokens(sql):
            if token.kind not in ("open", "close"):
                yield item(token.kind, sql[token.start : token.end], token.start, token.end)

    def qualified(self) -> Optional[tuple[Optional[str], str]]:
        """Take ``[database.]name``, or return None where none stands."""
        first = self.name()
        if first is None:
            return None
        if self.take("."):
            second = self.name()
            return (first, second) if second is not None else None
        return None, first
