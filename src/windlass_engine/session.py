"""The one seam to a driver: a session is a link to one database together with its dialect."""

from __future__ import annotations

from typing import Any, Optional

from .dialects import for_url
from .dialects.base import Dialect
from .dialects.link import Link, Message, ServerError, Tick
from .model import Target

__all__ = ["ServerError", "Session", "connect"]


class Session:
    """One logged-in connection.  Every statement commits by itself unless a message opens a transaction."""

    def __init__(self, target: Target, dialect: Dialect, link: Link) -> None:
        """Hold what :func:`connect` made."""
        self.target = target
        self.dialect = dialect
        self.link = link

    @property
    def server_version(self) -> int:
        """Return the server's version as a number, 150020 for PostgreSQL 15.20."""
        return self.link.server_version

    @property
    def backend_pid(self) -> int:
        """Return the server process that serves this session."""
        return self.link.backend_pid

    def run(self, sql: Message, tick: Optional[Tick] = None) -> list[int]:
        """Send one message; return the rows that each of its statements affected.  Raise ServerError."""
        return self.link.run(sql, tick)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of one statement.  Raise ServerError."""
        return self.link.query(sql)

    def pooler(self) -> str:
        """Return how a pooler was found that gives each transaction another session of the server, else empty."""
        return self.dialect.pooler(lambda: connect(self.target, "windlass second", 5).link, self.link)

    def close(self) -> None:
        """End the connection; never raises."""
        self.link.close()

    def __enter__(self) -> Session:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def connect(target: Target, application_name: str = "windlass", connect_timeout_s: int = 10) -> Session:
    """Log in to a database.

    Raises WindlassError: ``driver_missing``, ``login_refused``, ``database_unreachable``, ``inventory_invalid``.
    """
    dialect = for_url(target.url)
    return Session(target, dialect, dialect.connect(target, application_name, connect_timeout_s))
