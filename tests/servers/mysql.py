"""MySQL: a server out of Debian's newest packages, or one that somebody else runs.

The latter is named by WINDLASS_TEST_MYSQL (compose.yaml starts one).
"""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import pymysql

from tests.servers.mysqld import ClientPrograms, Mysqld

VARIABLE = "WINDLASS_TEST_MYSQL"


class MySQLServer(Mysqld):
    """A server of the programs below `root`."""

    title = "MySQL"

    def __init__(self, root: Path, settings: Mapping[str, str] | None = None) -> None:
        self._root = root / "usr"
        self.client_bin = str(self._root / "bin")
        super().__init__(settings)

    @property
    def client_programs(self) -> ClientPrograms:
        """The server's own client programs."""
        return ClientPrograms(f"{self.client_bin}/mysql", (f"{self.client_bin}/mysqldump", "--set-gtid-purged=OFF"))

    def _install(self) -> None:
        self._run(
            *self._program_of_make(), f"--datadir={self.data}", f"--tmpdir={self.temporary}", "--initialize-insecure"
        )
        self._write_first(
            f"ALTER USER root@localhost IDENTIFIED BY '{self.password}'",
            f"CREATE USER IF NOT EXISTS root@'%' IDENTIFIED BY '{self.password}'",
            "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION",
        )

    def _program_of_make(self) -> list[str]:
        share = self._root / "share/mysql"
        return [
            str(self._root / "sbin/mysqld"), "--no-defaults", f"--basedir={self._root}", f"--lc-messages-dir={share}",
            f"--character-sets-dir={share}/charsets", f"--plugin-dir={self._root}/lib/mysql/plugin", "--mysqlx=OFF",
            "--innodb-redo-log-capacity=32M", "--sync-binlog=0", "--secure-file-priv=NULL",
        ]  # fmt: skip


class GivenServer:
    """The server at `url`; its login may make databases.  Those of the tests have names of their own."""

    title = "MySQL"
    client_bin = ""

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


def named() -> GivenServer | None:
    """Return the server that the environment names, or None."""
    url = os.environ.get(VARIABLE, "")
    return GivenServer(url) if url else None
