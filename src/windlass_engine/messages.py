"""One round trip carries a statement together with the bookkeeping beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from .dialects.link import JOINT, ServerError, Tick
from .session import Session


class Refused(Exception):
    """A message failed: at the script's own statement, or (``at_end``) at what closes its transaction.

    ``offset`` is the 0-based character inside the statement that the server points at, or -1.
    """

    def __init__(self, error: ServerError, at_end: bool, offset: int) -> None:
        """Keep the server's error and where it struck."""
        super().__init__(error.message)
        self.error = error
        self.at_end = at_end
        self.offset = offset


def refused(error: ServerError, before: Sequence[str]) -> Refused:
    """Return the failure of a message in which ``before`` stands in front of the script's own statement."""
    head = sum(len(statement) + len(JOINT) for statement in before)
    offset = error.position - 1 - head if error.position else -1
    return Refused(error, error.results > len(before), offset)


class Messages:
    """Sends a script's statements; what opens a transaction goes with the first, what closes it with the last."""

    def __init__(self, session: Session) -> None:
        """Speak on one session."""
        self._session = session
        self._waiting: list[str] = []

    def put_off(self, statements: Sequence[str]) -> None:
        """Let these travel with the next statement."""
        self._waiting.extend(statements)

    def forget(self) -> None:
        """Drop what was put off (the transaction is given up)."""
        self._waiting.clear()

    def send(self, sql: str, after: Sequence[str] = (), tick: Optional[Tick] = None) -> int:
        """Send a statement between what was put off and ``after``; return the rows it affected.  Raise Refused."""
        before, self._waiting = self._waiting, []
        try:
            counts = self._session.run([*before, sql, *after], tick)
        except ServerError as error:
            raise refused(error, before) from error
        return counts[len(before)] if len(counts) > len(before) else 0

    def send_copy(self, sql: str, after: Sequence[str] = (), tick: Optional[Tick] = None) -> int:
        """Send a COPY with its data block; the bookkeeping needs messages of its own.  Raise Refused."""
        command, data = self._session.dialect.copy_parts(sql)
        try:
            self.flush()
            rows = self._session.link.copy_in(command, data, tick)
        except ServerError as error:
            raise Refused(error, False, -1) from error
        self.close(after)
        return rows

    def close(self, after: Sequence[str]) -> None:
        """Send what closes a transaction by itself, where its statement was sent without.  Raise Refused."""
        self.put_off(after)
        try:
            self.flush()
        except ServerError as error:
            raise Refused(error, True, -1) from error

    def flush(self) -> None:
        """Send what was put off by itself.  Raise ServerError."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._session.run(waiting)
