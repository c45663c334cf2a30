"""A MySQL server that somebody else runs, named by WINDLASS_TEST_MYSQL (compose.yaml starts one)."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit, urlunsplit

import pymysql

VARIABLE = "WINDLASS_TEST_MYSQL"


class MySQLServer:
    """The server at `url`; its login may make databases.  Those of the tests have names of their own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._prefix = f"windlass_test_{secrets.token_hex(3)}"
        self._names = itertools.count(1)

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database, dropped afterwards."""
        name = f"{self._prefix}_{next(self._names)}"
        self._tell(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        try:
            yield urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))
        finally:
            self._tell(f"DROP DATABASE IF EXISTS `{name}`")

    def _tell(self, statement: str) -> None:
        parts = urlsplit(self.url)
        with pymysql.connect(
            host=parts.hostname, port=parts.port or 3306, user=unquote(parts.username or ""),
            password=unquote(parts.password or ""), autocommit=True,
        ) as session, session.cursor() as cursor:  # fmt: skip
            cursor.execute(statement)


def named() -> MySQLServer | None:
    """Return the server that the environment names, or None."""
    url = os.environ.get(VARIABLE, "")
    return MySQLServer(url) if url else None
