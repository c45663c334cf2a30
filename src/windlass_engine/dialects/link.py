"""The contract of a connection: what a driver gives, and how a server's refusal is told."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, Callable, Optional, Protocol, Union

#: Called as soon as a message is on its way, with 0, and then about ten times a second, with the seconds elapsed.
Tick = Callable[[float], None]
#: One statement or more.  Several travel together where the engine can, one after the other where it cannot.
Message = Union[str, Sequence[str]]
#: What parts the statements of a message: a comment at the end of one must not swallow the semicolon.
JOINT = "\n;\n"


class ServerError(Exception):
    """What the server said of a failed message.

    ``results`` counts the statements of the message that had succeeded; ``state`` is the SQLSTATE, ``number`` the
    engine's own error number, where it has them; ``position`` is the 1-based character in the message (its statements
    joined by :data:`JOINT`), or 0.  ``lost`` says that the connection is gone.
    """

    def __init__(
        self,
        message: str,
        *,
        state: str = "",
        results: int = 0,
        position: int = 0,
        detail: str = "",
        hint: str = "",
        lost: bool = False,
        number: int = 0,
    ) -> None:
        """Keep the parts."""
        super().__init__(message)
        self.message = message
        self.state = state
        self.results = results
        self.position = position
        self.detail = detail
        self.hint = hint
        self.lost = lost
        self.number = number

    @property
    def code_text(self) -> str:
        """Return the engine's code for the error, in words, or an empty string."""
        if self.state:
            return f"SQLSTATE {self.state}"
        return f"error {self.number}" if self.number else ""


def version_numbers(version: str) -> tuple[int, ...]:
    """Return ``3.1.7`` as (3, 1, 7); what follows the digits of a part does not count."""
    parts = ["".join(sign for sign in part if sign.isdigit()) for part in version.split(".")[:3]]
    return tuple(int(part or 0) for part in parts)


class Link(Protocol):
    """A connection as a dialect's driver gives it."""

    server_version: int
    backend_pid: int

    def run(self, sql: Message, tick: Optional[Tick] = None) -> list[int]:
        """Send one message; return the rows that each of its statements affected.  Raise ServerError."""

    def stream(
        self, messages: Iterable[Message], ahead: int, tick: Optional[Tick] = None
    ) -> Generator[list[int], None, None]:
        """Run messages one after the other; yield for each, as soon as it has ended, what :meth:`run` returns.

        Where the engine can, ``ahead`` of them are with the server at once, so that it need not wait for us.  Behind
        one that fails none runs.  Nothing else may be sent before the last was had or the stream was closed.  Raise
        ServerError, as :meth:`run` does.
        """

    def copy_in(self, command: str, data: str, tick: Optional[Tick] = None) -> int:
        """Load a data block; return the rows."""

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of one statement.  Raise ServerError."""

    def ask(self, sql: str) -> tuple[int, Optional[list[tuple[Any, ...]]]]:
        """Run one statement of any kind; return the rows that it affected, and its answer's rows if it gives one."""

    def close(self) -> None:
        """End the connection."""
