"""The lexical ground of MySQL's and MariaDB's SQL: where words, strings, quoted names and comments begin and end.

What stands in an executable comment (``/*! … */``, ``/*M! … */``) is SQL to the server, so it is SQL here; its marks
are tokens of their own.  The line that MariaDB's dump begins with (the sandbox mode of its client) is a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..lexis import Token, Unterminated

_LEX = re.compile(
    r"""
      (?P<space>  [ \t\n\r\f\v]+ | \#[^\n]* | --(?=[\x00-\x20]|\Z)[^\n]* | /\*M?!999999\\-.*?\*/ )
    | (?P<open>   /\*M?!\d* )
    | (?P<block>  /\* )
    | (?P<close>  \*/ )
    | (?P<name>   ` )
    | (?P<string> ['"] )
    | (?P<word>   [A-Za-z0-9_$\x80-\U0010ffff]+ )
    | (?P<other>  . )
    """,
    re.VERBOSE | re.DOTALL,
)
_BODIES = {
    "'": re.compile(r"[^'\\]*(?:(?:\\.|'')[^'\\]*)*'", re.DOTALL),
    '"': re.compile(r'[^"\\]*(?:(?:\\.|"")[^"\\]*)*"', re.DOTALL),
    "`": re.compile(r"[^`]*(?:``[^`]*)*`"),
}


def tokens(text: str, start: int = 0, comments: bool = False) -> Iterator[Token]:
    """Yield the tokens from ``start`` on, with block comments only if asked.  Raises :class:`Unterminated`.

    A token's kind is one of word, name (quoted), string, open, close (of an executable comment), other.
    """
    opened = -1
    while start < len(text):
        token = lex(text, start, inside=opened >= 0)
        if token.kind == "open":
            opened = token.start
        elif token.kind == "close":
            opened = -1
        if token.kind != "space" and (comments or token.kind != "block"):
            yield token
        start = token.end
    if opened >= 0:
        raise Unterminated("open", opened)


def lex(text: str, start: int, inside: bool = False) -> Token:
    """Return the token at ``start``, blanks and comments too; ``inside``: an executable comment is open."""
    match = _LEX.match(text, start)
    kind = (match and match.lastgroup) or "other"
    end = match.end() if match else start + 1
    if kind == "close" and not inside:
        return Token("other", start, start + 1)
    if kind in ("name", "string"):
        body = _BODIES[text[start]].match(text, end)
        if not body:
            raise Unterminated(kind, start)
        end = body.end()
    elif kind == "block":
        end = text.find("*/", end) + 2
        if end < 2:
            raise Unterminated(kind, start)
    return Token(kind, start, end)


def skip_blanks(text: str, start: int) -> int:
    """Return the start of the next token (or the text's length).  Raises :class:`Unterminated`."""
    while start < len(text):
        token = lex(text, start)
        if token.kind not in ("space", "block"):
            break
        start = token.end
    return start
