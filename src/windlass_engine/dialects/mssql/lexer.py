"""The lexical ground of T-SQL: where words, strings, quoted names and comments begin and end."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..lexis import Token, Unterminated

_LEX = re.compile(
    r"""
      (?P<space>   [\s\x00-\x1f]+ )
    | (?P<comment> --[^\n]* )
    | (?P<block>   /\* )
    | (?P<string>  [Nn]?' )
    | (?P<name>    ["\[] )
    | (?P<word>    [A-Za-z0-9_@\#$\x80-\U0010ffff]+ )
    | (?P<other>   . )
    """,
    re.VERBOSE | re.DOTALL,
)
_BODIES = {
    "'": re.compile(r"[^']*(?:''[^']*)*'"),
    '"': re.compile(r'[^"]*(?:""[^"]*)*"'),
    "[": re.compile(r"[^\]]*(?:\]\][^\]]*)*\]"),
}
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def lex(text: str, start: int) -> Token:
    """Return the token at ``start``, blanks and comments too.  Raises :class:`Unterminated`."""
    match = _LEX.match(text, start)
    kind = (match and match.lastgroup) or "other"
    end = match.end() if match else start + 1
    if kind in ("name", "string"):
        body = _BODIES[text[end - 1]].match(text, end)
        if not body:
            raise Unterminated(kind, start)
        end = body.end()
    elif kind == "block":
        end = _block_end(text, start)
    return Token(kind, start, end)


def every(text: str) -> Iterator[Token]:
    """Yield all tokens, blanks and comments too.  Raises :class:`Unterminated`.

    A token's kind is one of word, name (quoted), string, other; space, comment and block (a comment) are no code.
    """
    start = 0
    while start < len(text):
        token = lex(text, start)
        yield token
        start = token.end


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens that are code.  Raises :class:`Unterminated`."""
    return (token for token in every(text) if token.is_code)


def _block_end(text: str, start: int) -> int:
    """Return the end of a block comment; they nest."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge.group() == "/*" else -1
        if not depth:
            return edge.end()
    raise Unterminated("block", start)
