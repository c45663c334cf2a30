r"""PostgreSQL text → statements, with the boundaries that the server's own parser finds.

What only ``psql`` understands (backslash commands) and what is Windlass's own business (transactions) is
refused with file and line; the ``\restrict`` lines that newer ``pg_dump`` writes are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from ...model import Statement
from ...project.mistakes import Mistake, raise_any, refuse
from ..lexis import Token, Unterminated
from .lexer import BLANKS, first_word, opaque_end, skip_blanks, tokens

#: What would end or part the transaction that holds a change and its journal row.
TRANSACTION_CONTROL = frozenset(
    ["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "PREPARE TRANSACTION"]
)
_NO_CONTROL = "remove it; only what cannot run in a transaction needs the header `-- windlass: no-transaction`"

_EVENT = re.compile(r"""[;'"$\\]|--|/\*""")
_RESTRICT = re.compile(r"^[ \t]*\\(?:un)?restrict\b[^\r\n]*", re.MULTILINE)
_COMMAND = re.compile(r"\\\S*")
_LINE_REST = re.compile(r"[ \t\f\v]*(?:--[^\r\n]*)?(?:\r?\n|$)")
_COPY_END = re.compile(r"^\\\.(?=\r?$)", re.MULTILINE)


class _End(NamedTuple):
    """A statement's slice ends at ``end``; the next one is looked for from ``resume``."""

    end: int
    resume: int
    copy_data: bool = False


def split(text: str, path: str) -> tuple[Statement, ...]:
    r"""Return the statements of ``text`` in order.

    A slice begins at the statement's first token and ends at its last one (or at a block comment behind it),
    without the semicolon; with COPY … FROM stdin it goes on to the end of the ``\.`` line.  ``path`` is for
    messages.  Raises WindlassError ``project_invalid`` with the line where a string, quoted name, comment or
    data block began that has no end, and with the line of each psql command and transaction statement.
    """
    statements = tuple(boundaries(text, path))
    raise_any(_transaction_control(text, path, statements))
    return statements


def boundaries(text: str, path: str) -> Iterator[Statement]:
    """Yield the statements of ``text`` without judging what they do.  Raises as :func:`split`."""
    position = counted = 0
    line = 1
    try:
        while True:
            start = _next_start(text, position)
            if start >= len(text):
                return
            end = _statement_end(text, start)
            line += text.count("\n", counted, start)
            counted = start
            yield Statement(start, end.end, line, end.copy_data)
            position = end.resume
    except Unterminated as lost:
        message = f"this {lost.what} never ends"
        raise refuse(path, line_of(text, lost.start), message, "close it, or take the opening mark away") from None
    except _Refused as refused:
        raise refuse(path, line_of(text, refused.at), *refused.told) from None


def line_of(text: str, at: int) -> int:
    """Return the 1-based line of a character."""
    return text.count("\n", 0, at) + 1


def copy_parts(sql: str) -> tuple[str, str]:
    """Return command and data of a COPY … FROM stdin slice, without semicolon and end mark."""
    semicolon = _plain_end(sql, 0).resume - 1
    data_start = sql.index("\n", semicolon) + 1
    return sql[:semicolon], sql[data_start : sql.rindex("\\.")]


class _Refused(Exception):
    def __init__(self, at: int, message: str, hint: str) -> None:
        super().__init__(message)
        self.at = at
        self.told = (message, hint)


def _next_start(text: str, position: int) -> int:
    while True:
        position = skip_blanks(text, position)
        if text.startswith(";", position):
            position += 1
        elif text.startswith("\\", position):
            position = _restrict_end(text, position)
        else:
            return position


def _restrict_end(text: str, at: int) -> int:
    match = _RESTRICT.match(text, text.rfind("\n", 0, at) + 1)
    if not match:
        raise _psql_command(text, at)
    return match.end()


def _psql_command(text: str, at: int) -> _Refused:
    command = _COMMAND.match(text, at)
    name = command.group() if command else "\\"
    if name == "\\.":
        return _Refused(at, "`\\.` ends a data block, but no COPY … FROM stdin is open", "remove the line")
    hint = "scripts are plain SQL: write what it does in SQL, or take the line out"
    return _Refused(at, f"`{name}` is a command of psql, not SQL", hint)


def _statement_end(text: str, start: int) -> _End:
    word = first_word(text, start)
    if word == "CREATE" and _is_routine(text, tokens(text, start)):
        return _routine_end(text, start)
    end = _plain_end(text, start)
    if word == "COPY" and _reads_stdin(text[start : end.end]):
        return _data_end(text, start, end.resume)
    return end


def _plain_end(text: str, start: int) -> _End:
    """Find the next semicolon outside quotes, comments and the parentheses of CREATE RULE … DO (a; b)."""
    position = floor = solid = start
    depth = 0
    while True:
        event = _EVENT.search(text, position)
        at = event.start() if event else len(text)
        depth += text.count("(", position, at) - text.count(")", position, at)
        code = len(text[position:at].rstrip(BLANKS))
        solid = position + code if code else solid
        if event is None:
            return _open_end(start, solid, depth, at)
        char = text[at]
        if char == "\\":
            raise _psql_command(text, at)
        if char == ";":
            if depth <= 0:
                return _End(solid, at + 1)
            position = floor = solid = at + 1
            continue
        position = floor = opaque_end(text, at, floor)
        solid = solid if char == "-" else position


def _open_end(start: int, solid: int, depth: int, length: int) -> _End:
    if depth > 0:
        raise _Refused(start, "a parenthesis of this statement is never closed", "add the missing `)`")
    return _End(solid, length)


def _is_routine(text: str, head: Iterator[Token]) -> bool:
    """Tell whether the statement begins CREATE [OR REPLACE] FUNCTION or PROCEDURE."""
    second = [text[token.start : token.end].upper() for token in islice(head, 1, 2)]
    if second == ["OR"]:
        second = [text[token.start : token.end].upper() for token in islice(head, 1, 2)]
    return second in (["FUNCTION"], ["PROCEDURE"])


def _routine_end(text: str, start: int) -> _End:
    """Find the end of CREATE FUNCTION or PROCEDURE, whose body may be BEGIN ATOMIC …; …; END.

    END may be a column's label inside the body; only an END behind a semicolon or behind ATOMIC closes it.
    """
    parens = bodies = 0
    before, verb, solid = ";", "", start
    for token in tokens(text, start):
        word = text[token.start : token.end].upper() if token.kind in ("word", "other") else ""
        if word == "\\":
            raise _psql_command(text, token.start)
        if word == ";" and not bodies and parens <= 0:
            return _End(solid, token.end)
        verb = word if before in (";", "ATOMIC") else verb
        parens += (word == "(") - (word == ")")
        if word == "ATOMIC" and before == "BEGIN" and verb == "CREATE" and parens <= 0:
            bodies += 1
        elif word == "END" and bodies and before in (";", "ATOMIC"):
            bodies -= 1
        before, solid = word, token.end
    if bodies:
        raise _Refused(start, "the BEGIN ATOMIC body of this statement has no END", "add `END;`")
    return _open_end(start, solid, parens, len(text))


def _reads_stdin(sql: str) -> bool:
    """Tell whether a COPY reads rows from the script (the server takes STDOUT behind FROM for the same)."""
    parens, before = 0, ""
    for token in tokens(sql):
        word = sql[token.start : token.end].upper() if token.kind in ("word", "other") else ""
        parens += (word == "(") - (word == ")")
        if before == "FROM" and not parens:
            return word in ("STDIN", "STDOUT")
        before = word
    return False


def _data_end(text: str, start: int, after: int) -> _End:
    rest = _LINE_REST.match(text, after)
    if rest is None:
        raise _Refused(start, "something stands behind `COPY … FROM stdin;` on its line", "put it behind the data")
    mark = _COPY_END.search(text, rest.end())
    if mark is None:
        raise _Refused(start, "the data of this COPY never ends", "end it with a line that holds only `\\.`")
    return _End(mark.end(), mark.end(), copy_data=True)


def _transaction_control(text: str, path: str, statements: tuple[Statement, ...]) -> Iterator[Mistake]:
    for statement in statements:
        word = first_word(text, statement.start)
        if word == "PREPARE" and _prepares_transaction(text, statement.start):
            word = "PREPARE TRANSACTION"
        if word in TRANSACTION_CONTROL:
            message = f"{word} in a script: Windlass opens and ends the transaction itself"
            yield Mistake(path, statement.line, message, _NO_CONTROL)


def _prepares_transaction(text: str, start: int) -> bool:
    return [text[t.start : t.end].upper() for t in islice(tokens(text, start), 1, 2)] == ["TRANSACTION"]
