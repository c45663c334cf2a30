"""The lexical ground of PostgreSQL's SQL: where words, strings, quoted names and comments begin and end.

The rules are those of the server's own scanner with ``standard_conforming_strings`` on.  A backslash is a
token of its own here: it is never SQL, only ``psql`` gives it a meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..lexis import Token, Unterminated

#: The server's white space.  Python's ``\\s`` takes a no-break space too, which is a letter to PostgreSQL.
BLANKS = " \t\n\r\f\v"

#: Letters, the underscore and all that is not ASCII, said by what they are not: a range up to the last character of
#: Unicode takes ten times as long to compile.
_START = r"[^\x00-\x40\x5b-\x5e\x60\x7b-\x7f]"
_IN_TAG = r"[^\x00-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]"  # and digits
_REST = r"[^\x00-\x23\x25-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]"  # and digits and $
_IN_WORD = re.compile(_REST)
_WORD_REST = re.compile(f"{_REST}+")
_LEX = re.compile(
    rf"""
      (?P<space>   [{BLANKS}]+ | --[^\r\n]* )
    | (?P<block>   /\* )
    | (?P<escape>  [eE]' )
    | (?P<name>    (?:[uU]&)?" )
    | (?P<string>  (?:[bBnNxX]|[uU]&)?' )
    | (?P<word>    {_START}{_REST}* )
    | (?P<dollar>  \$ (?:{_START}{_IN_TAG}*)? \$ )
    | (?P<number>  \$?[0-9][0-9_]* (?:\.[0-9_]+)? (?:[eE][+-]?[0-9]+)? )
    | (?P<other>   . )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_ESCAPE_BODY = re.compile(r"[^'\\]*(?:(?:\\.|'')[^'\\]*)*'(?!')", re.DOTALL)
# A string goes on when the next quote stands on a later line; after E'…' the backslashes go on as well.
_CONTINUED = re.compile(r"(?:[ \t\f\v]|--[^\r\n]*)*[\r\n](?:[ \t\n\r\f\v]|--[^\r\n]*[\r\n])*'")


def tokens(text: str, start: int = 0) -> Iterator[Token]:
    """Yield the tokens from ``start`` on, without blanks and comments.  Raises :class:`Unterminated`.

    A token's kind is one of word, name (quoted), string, escape, dollar, number, other; `end` is exclusive.
    """
    while start < len(text):
        kind, end = _lex(text, start)
        if kind not in ("space", "block"):
            yield Token(kind, start, end)
        start = end


def opaque_end(text: str, at: int, floor: int) -> int:
    """Return where the quote, dollar or comment mark at ``at`` ends.

    ``floor`` is the end of the last such thing: letters before it belong to no word that reaches ``at``.
    Raises :class:`Unterminated`.
    """
    char = text[at]
    if char == "'" and at > floor and text[at - 1] in "eE":
        stands_alone = at - 1 == floor or not _IN_WORD.match(text[at - 2])
        return _lex(text, at - 1 if stands_alone else at)[1]
    if char == "$" and _inside_word(text, at, floor):
        rest = _WORD_REST.match(text, at)
        return rest.end() if rest else at + 1
    return _lex(text, at)[1]


def skip_blanks(text: str, start: int) -> int:
    """Return the start of the next token (or the text's length).  Raises :class:`Unterminated`."""
    while start < len(text):
        kind, end = _lex(text, start)
        if kind not in ("space", "block"):
            break
        start = end
    return start


def _inside_word(text: str, at: int, floor: int) -> bool:
    first = at
    while first > floor and _IN_WORD.match(text[first - 1]):
        first -= 1
    return first < at and text[first] not in "0123456789$"


def _lex(text: str, start: int) -> tuple[str, int]:
    match = _LEX.match(text, start)
    kind = (match and match.lastgroup) or "other"
    end = match.end() if match else start + 1
    if kind == "string":
        end = _quote_end(text, end, "'", kind, start)
    elif kind == "name":
        end = _quote_end(text, end, '"', kind, start)
    elif kind == "dollar":
        end = _dollar_end(text, start, end)
    elif kind == "block":
        end = _comment_end(text, start, end)
    elif kind == "escape":
        end = _escape_end(text, start, end)
    return kind, end


def _quote_end(text: str, body: int, quote: str, kind: str, start: int) -> int:
    at = text.find(quote, body)
    while at >= 0 and text.startswith(quote, at + 1):
        at = text.find(quote, at + 2)
    if at < 0:
        raise Unterminated(kind, start)
    return at + 1


def _dollar_end(text: str, start: int, body: int) -> int:
    tag = text[start:body]
    at = text.find(tag, body)
    if at < 0:
        raise Unterminated("dollar", start)
    return at + len(tag)


def _comment_end(text: str, start: int, body: int) -> int:
    depth = 1
    for edge in _COMMENT_EDGE.finditer(text, body):
        depth += 1 if edge.group() == "/*" else -1
        if not depth:
            return edge.end()
    raise Unterminated("block", start)


def _escape_end(text: str, start: int, body: int) -> int:
    while True:
        match = _ESCAPE_BODY.match(text, body)
        if not match:
            raise Unterminated("escape", start)
        more = _CONTINUED.match(text, match.end())
        if not more:
            return match.end()
        body = more.end()


def first_word(text: str, start: int = 0) -> str:
    """Return the word at ``start`` in capitals, or an empty string when something else stands there."""
    match = _LEX.match(text, start)
    return match.group().upper() if match and match.lastgroup == "word" else ""
