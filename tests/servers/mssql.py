"""A SQL Server that somebody else runs, named by WINDLASS_TEST_MSSQL (compose.yaml starts one)."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

from windlass_engine import session
from windlass_engine.dialects.mssql.text import literal, quoted
from windlass_engine.model import Target
from windlass_engine.session import ServerError

VARIABLE = "WINDLASS_TEST_MSSQL"


class SQLServer:
    """The server at `url`; its login may make databases.  Those of the tests have names of their own."""

    client_bin = ""

    def __init__(self, url: str) -> None:
        self.url = url
        self._prefix = f"windlass_test_{secrets.token_hex(3)}"
        self._names = itertools.count(1)

    def url_of(self, database: str) -> str:
        """Return the URL of another database, for the same login."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database, dropped afterwards with the sessions in it."""
        name = f"{self._prefix}_{next(self._names)}"
        with session.connect(Target("server", "test", self.url), "windlass tests") as server:
            server.run(f"CREATE DATABASE {quoted(name)}")
            try:
                yield self.url_of(name)
            finally:
                # A server that speaks the protocol but has no such option drops the database all the same.
                with suppress(ServerError):
                    server.run(f"ALTER DATABASE {quoted(name)} SET SINGLE_USER WITH ROLLBACK IMMEDIATE")
                server.run(f"IF DB_ID({literal(name)}) IS NOT NULL DROP DATABASE {quoted(name)}")


def named() -> SQLServer | None:
    """Return the server that the environment names, or None."""
    url = os.environ.get(VARIABLE, "")
    return SQLServer(url) if url else None
