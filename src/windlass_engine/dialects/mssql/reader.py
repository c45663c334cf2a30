"""A walk over a batch's tokens, for what has to be understood of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from ..reader import Item, TokenReader, item
from .lexer import tokens

#: Schema and name of an object; None where the login's own schema is meant.
Name = tuple[Optional[str], str]


class Reader(TokenReader):
    """Takes words and names one after the other."""

    def items_of(self, sql: str) -> Iterator[Item]:
        """Take all that is code."""
        return (item(token.kind, sql[token.start : token.end], token.start, token.end) for token in tokens(sql))

    def qualified(self) -> Optional[Name]:
        """Take ``[schema.]name``, or return None where none stands or the name leads into another database."""
        parts = [self.name()]
        while self.take("."):
            parts.append(self.name())
        if len(parts) > 2 or parts[-1] is None:
            return None
        return (parts[0], parts[1]) if len(parts) == 2 and parts[1] is not None else (None, parts[-1])
