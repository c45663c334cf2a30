"""A MariaDB or MySQL server of one's own: on a loopback port and a private socket, passwords required."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pymysql

from tests.servers import unprivileged
from tests.servers.server import Server

# Durability is what these servers can do without: nothing survives them.
_SETTINGS = {
    "bind-address": "127.0.0.1",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-flush-method": "nosync",
    "innodb-buffer-pool-size": "32M",
    "max-connections": "80",
    "skip-name-resolve": "ON",
    "event-scheduler": "OFF",
}


class ClientPrograms(NamedTuple):
    """The client, and the dump program with the options that its make needs."""

    client: str
    dump: tuple[str, ...]


class Mysqld(Server):
    """A running server.

    `client_bin` is the folder with its client programs, empty where they are the system's own.
    """

    superuser = "root"
    scheme = "mysql"
    maintenance_database = "mysql"
    refusals = (pymysql.Error,)
    client_bin = ""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._settings = dict(settings or {})
        self.temporary.mkdir()
        unprivileged.give(self.temporary)
        self._install()

    @property
    @abstractmethod
    def client_programs(self) -> ClientPrograms:
        """The server's own client programs."""

    @property
    def socket(self) -> Path:
        """The server's socket."""
        return self.folder / "socket"

    @property
    def temporary(self) -> Path:
        """The folder for temporary files: a server that starts deletes those of all who share its folder."""
        return self.folder / "tmp"

    def socket_url_of(self, database: str) -> str:
        """Return the URI of `database` over the socket, as superuser."""
        login = f"{self.superuser}:{self.password}"
        return f"mysql://{login}@localhost/{quote(database, safe='')}?unix_socket={quote(str(self.socket), safe='')}"

    def connect(self, database: str | None = None, **options: Any) -> pymysql.Connection[Any]:
        """Return an autocommit connection as superuser."""
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=self.superuser, password=self.password, database=database,
            autocommit=True, **options,
        )  # fmt: skip

    def create_database(self, name: str | None = None) -> str:
        """Create a database (with a name of its own unless one is given) and return its URI."""
        name = name or self._new_name()
        self._tell(f"CREATE DATABASE {_quoted(name)} CHARACTER SET utf8mb4")
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Drop the database `name` if it is there, ending its sessions first: they could hold locks in it."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id FROM information_schema.PROCESSLIST WHERE db = %s", (name,))
            for (session,) in list(cursor.fetchall()):
                with suppress(pymysql.Error):
                    cursor.execute(f"KILL {session}")
            cursor.execute(f"DROP DATABASE IF EXISTS {_quoted(name)}")

    def _tell(self, statement: str) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)

    @abstractmethod
    def _install(self) -> None:
        """Make the data folder, and what the server reads first: the accounts."""

    @abstractmethod
    def _program_of_make(self) -> list[str]:
        """Return the server's program with the settings of its make."""

    def _write_first(self, *statements: str) -> None:
        """Write what the server does at each start."""
        first = self.folder / "first.sql"
        first.write_text("".join(f"{statement};\n" for statement in statements))
        first.chmod(0o600)
        unprivileged.give(first)

    def _command(self) -> list[str]:
        settings = {**_SETTINGS, "port": str(self.port), "socket": str(self.socket), "datadir": str(self.data)}
        settings |= {"pid-file": str(self.folder / "pid"), "init-file": str(self.folder / "first.sql")}
        settings |= {"tmpdir": str(self.temporary), **self._settings}
        return [*self._program_of_make(), *(f"--{key}={value}" for key, value in settings.items())]


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
