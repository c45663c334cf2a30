"""MySQL text → statements, with the boundaries that the client's DELIMITER lines and the bodies of routines ask for.

What only the client understands and what is Windlass's own business (transactions, the database, table locks) is
refused with file and line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Optional

from ...model import Statement
from ...project.mistakes import Mistake, raise_any, refuse
from ..lexis import Unterminated
from .bodies import BodyEnd, has_body
from .lexer import lex, skip_blanks, tokens
from .reader import Reader

_DELIMITER = re.compile(r"delimiter(?:[ \t]+(\S+))?[^\n]*", re.IGNORECASE)
_TRANSACTION = "Windlass opens and ends the transaction itself"
_REMOVE = "remove it"


class _End(NamedTuple):
    """A statement's slice ends at ``end``; the next one is looked for from ``resume``."""

    end: int
    resume: int


class _Refused(Exception):
    def __init__(self, at: int, message: str, hint: str) -> None:
        super().__init__(message)
        self.at = at
        self.told = (message, hint)


def split(text: str, path: str) -> tuple[Statement, ...]:
    """Return the statements of ``text`` in order, without their delimiters.

    ``path`` is for messages.  Raises WindlassError ``project_invalid`` with the line where a string, quoted name,
    comment or body began that has no end, and with the line of each statement that a script may not hold.
    """
    statements = tuple(boundaries(text, path))
    raise_any(_refused(text, path, statements))
    return statements


def boundaries(text: str, path: str) -> Iterator[Statement]:
    """Yield the statements of ``text`` without judging what they do.  Raises as :func:`split`."""
    position = counted = 0
    line, delimiter = 1, ";"
    try:
        while True:
            start, delimiter = _next_start(text, position, delimiter)
            if start >= len(text):
                return
            end = _plain_end(text, start) if delimiter == ";" else _delimited_end(text, start, delimiter)
            line += text.count("\n", counted, start)
            counted = start
            yield Statement(start, end.end, line)
            position = end.resume
    except Unterminated as lost:
        hint = "close it, or take the opening mark away"
        raise refuse(path, _line_of(text, lost.start), f"this {lost.what} never ends", hint) from None
    except _Refused as refused:
        raise refuse(path, _line_of(text, refused.at), *refused.told) from None


def _line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _next_start(text: str, position: int, delimiter: str) -> tuple[int, str]:
    """Return where the next statement begins, and the delimiter in force there."""
    while True:
        position = skip_blanks(text, position)
        line_start = text.rfind("\n", 0, position) + 1
        command = _DELIMITER.match(text, position) if not text[line_start:position].strip() else None
        if command and re.match(r"[ \t\n]|\Z", text[position + len("delimiter") :]):
            if not command.group(1):
                raise _Refused(position, "DELIMITER without a delimiter", "write for example DELIMITER //")
            position, delimiter = command.end(), command.group(1)
        elif position < len(text) and text.startswith(delimiter, position):
            position += len(delimiter)
        elif text.startswith(";", position):
            position += 1
        else:
            return position, delimiter


def _plain_end(text: str, start: int) -> _End:
    """Find the semicolon that ends a statement: outside quotes, executable comments and a routine's body.

    A block comment behind the last token belongs to the statement: it may be the mark of a backfill.
    """
    body = BodyEnd() if has_body(text, start) else None
    inside, solid = False, start
    for token in tokens(text, start, comments=True):
        if token.kind in ("open", "close"):
            inside = token.kind == "open"
        word = text[token.start : token.end].upper() if token.kind in ("word", "other") else "x"
        if word == ";" and not inside and (body is None or body.is_closed):
            return _End(solid, token.end)
        if body and token.kind != "block":
            body.feed(word)
        solid = token.end
    if body and not body.is_closed:
        raise _Refused(start, "the body of this statement has no END", "add `END;`")
    return _End(solid, len(text))


def _delimited_end(text: str, start: int, delimiter: str) -> _End:
    """Find a delimiter of the script's own, outside quotes and comments."""
    position = solid = start
    inside = False
    while position < len(text):
        if not inside and text.startswith(delimiter, position):
            return _End(solid, position + len(delimiter))
        token = lex(text, position, inside)
        end = token.end
        if token.kind in ("open", "close"):
            inside = token.kind == "open"
        if token.kind == "word":
            # `END$$`: a delimiter may look like a part of the word before it.
            at = text.find(delimiter, position, end)
            end = at if at > position else end
        if token.kind != "space":
            solid = end
        position = end
    return _End(solid, len(text))


def _refused(text: str, path: str, statements: tuple[Statement, ...]) -> Iterator[Mistake]:
    for statement in statements:
        told = _refusal(Reader(text[statement.start : statement.end], 12))
        if told:
            yield Mistake(path, statement.line, *told)


def _refusal(words: Reader) -> Optional[tuple[str, str]]:
    """Return why a script may not hold a statement and what to do, or None."""
    first, second = words.peek(), words.peek(1)
    if first == "BEGIN" and second == "NOT":
        return None
    if first in ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "XA") or (first, second) == (
        "START",
        "TRANSACTION",
    ):
        return f"{first} in a script: {_TRANSACTION}", _REMOVE
    if first == "SET" and "AUTOCOMMIT" in [item.word for item in words.items]:
        return f"SET autocommit in a script: {_TRANSACTION}", _REMOVE
    if first == "SET" and second == "ROLE":
        return "SET ROLE would keep the journal from being written", "deploy as a user that has the rights itself"
    if first == "USE":
        return "USE would lead away from the database that is deployed to", "write database.table where it must be"
    if first in ("LOCK", "UNLOCK") or (first == "FLUSH" and {"TABLE", "TABLES"} & {second, words.peek(2)}):
        return f"{first} TABLES would end the transaction and keep the journal locked out", _REMOVE
    if first == "LOAD" and "LOCAL" in [item.word for item in words.items[:5]]:
        return "LOAD … LOCAL would read a file of the machine that deploys", "insert the rows in the script"
    if first in ("SOURCE", "\\"):
        return "this is a command of the client, not SQL", "put the statements into the script itself"
    return None
