"""What the server and the driver say of a failure, out of the one text that pyodbc makes of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ..lexis import Unterminated
from ..link import ServerError
from .lexer import tokens

_RECORD = re.compile(r"\[(\w{5})\] (.*?) \((-?\d+)\)(?: \(\w+\))?(?=; \[\w{5}\] |\Z)", re.DOTALL)
_SPEAKERS = re.compile(r"\A(?:\[[^\]]*\])+")
#: These only say that another record says it: not prepared, terminated, see previous errors, aborted at batch's end.
_ECHOES = (8180, 3621, 1750, 1774, 3998)
#: Session killed, shutdown under way, server paused, connection broken.
_LOST_NUMBERS = (596, 6005, 17147, 10053, 10054, 10060)
#: What pyodbc says where the driver reports a failure and has no record of it.
_WORDLESS = "The driver did not supply an error!"
_QUOTED = re.compile(r"'([^']+)'|\"([^\"]+)\"")


class Record(NamedTuple):
    """One record of a failure; ``number`` is the server's own, 0 where the driver speaks."""

    state: str
    number: int
    message: str


def records(error: BaseException) -> list[Record]:
    """Return the records of an exception of pyodbc, at least one."""
    arguments = error.args
    state = str(arguments[0]) if len(arguments) > 1 else ""
    text = str(arguments[-1]) if arguments else str(error)
    found = [Record(match.group(1), int(match.group(3)), bare(match.group(2))) for match in _RECORD.finditer(text)]
    return found or [Record(state, 0, text.strip())]


def server_error(error: BaseException, batch: str, said: Sequence[str] = ()) -> ServerError:
    """Return an exception of pyodbc as the server's answer to a batch.

    ``said`` are the messages (PRINT) that came before it.
    """
    every = records(error)
    telling = [record for record in every if record.number not in _ECHOES] or every
    first = telling[0]
    more = [record.message for record in telling[1:] if record.message != first.message]
    return ServerError(
        first.message,
        state=first.state,
        number=max(first.number, 0),
        position=place(first.message, batch),
        detail="; ".join([*more, *(f"printed before: {line}" for line in said[-3:])]),
        lost=any(is_lost(record) for record in every),
    )


def bare(message: str) -> str:
    """Return a message without the names of those who passed it on."""
    return _SPEAKERS.sub("", message, count=1).strip()


def is_lost(record: Record) -> bool:
    """Return whether a record says that the connection is gone."""
    closed = record.number == 0 and "closed connection" in record.message.lower()
    return closed or record.state.startswith("08") or record.number in _LOST_NUMBERS


def is_wordless(error: ServerError) -> bool:
    """Return whether nothing is known of a failure but that there was one."""
    return error.message == _WORDLESS


def place(message: str, batch: str) -> int:
    """Return the 1-based character of the only thing in a batch that a message names in quotes, else 0.

    ODBC's way to the line of an error is not to be had through pyodbc.
    """
    for match in _QUOTED.finditer(message):
        name = (match.group(1) or match.group(2)).rpartition(".")[2].strip("[]")
        found = _places(name.lower(), batch) if name else []
        if len(found) == 1:
            return found[0] + 1
    return 0


def _places(name: str, batch: str) -> list[int]:
    """Return where a name stands in a batch's code."""
    try:
        return [token.start for token in tokens(batch) if batch[token.start : token.end].strip('[]"').lower() == name]
    except Unterminated:
        return []
