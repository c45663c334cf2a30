"""A MariaDB or MySQL server of one's own: on a loopback port and a private socket, passwords required."""

from __future__ import annotations

import itertools
import secrets
import shutil
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pymysql

from testbed.waiting import wait_until
from tests.servers import unprivileged
from tests.servers.ports import free_port

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


class Mysqld(ABC):
    """A running server; `superuser` and `password` are the account in `url`, `log` is the file that it logs to.

    `client_bin` is the folder with its client programs, empty where they are the system's own.
    """

    superuser = "root"
    make = "MariaDB or MySQL"
    client_bin = ""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"windlass-{self.make.lower()}-"))
        self.password = secrets.token_urlsafe(12)
        self._settings = dict(settings or {})
        self.port = 0
        self._names = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self.temporary.mkdir()
        unprivileged.give(self.folder)
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
    def log(self) -> Path:
        """The server's log file."""
        return self.folder / "log"

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    @property
    def temporary(self) -> Path:
        """The folder for temporary files: a server that starts deletes those of all who share its folder."""
        return self.folder / "tmp"

    @property
    def url(self) -> str:
        """The URI of the server's own database, as superuser."""
        return self.url_of("mysql")

    def url_of(self, database: str, *, user: str | None = None, password: str | None = None) -> str:
        """Return the URI of `database` over TCP, as superuser or as `user`."""
        login = f"{quote(user or self.superuser, safe='')}:{quote(password or self.password, safe='')}"
        return f"mysql://{login}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def socket_url_of(self, database: str) -> str:
        """Return the URI of `database` over the socket, as superuser."""
        login = f"{self.superuser}:{self.password}"
        return f"mysql://{login}@localhost/{quote(database, safe='')}?unix_socket={quote(str(self.socket), safe='')}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        for _attempt in range(3):  # the port may be taken between the look and the start
            self.port = self.port or free_port()
            self._launch()
            with suppress(_EndedEarly):
                wait_until(self._answers, seconds=60, what=f"{self.make} in {self.folder}")
                return
            self.port = 0
        raise RuntimeError(f"{self.make} did not start:\n{self.log.read_text()}")

    def stop(self) -> None:
        """Shut the server down, ending every session."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the server with -9, as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop the server, start it again on the same port."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """Kill the server and delete its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self, database: str | None = None, **options: Any) -> pymysql.Connection[Any]:
        """Return an autocommit connection as superuser."""
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=self.superuser, password=self.password, database=database,
            autocommit=True, **options,
        )  # fmt: skip

    def create_database(self, name: str | None = None) -> str:
        """Create a database (with a name of its own unless one is given) and return its URI."""
        name = name or f"windlass_{next(self._names)}_{secrets.token_hex(4)}"
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

    @contextmanager
    def database(self, name: str | None = None) -> Iterator[str]:
        """Create a database for the length of a block; give its URI."""
        name = name or f"windlass_{next(self._names)}_{secrets.token_hex(4)}"
        url = self.create_database(name)
        try:
            yield url
        finally:
            self.drop_database(name)

    def _tell(self, statement: str) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)

    @abstractmethod
    def _install(self) -> None:
        """Make the data folder, and what the server reads first: the accounts."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the server's program with the settings of its make."""

    def _run(self, *command: str) -> None:
        """Run a program that makes the data folder."""
        done = subprocess.run(
            unprivileged.command(list(command)), capture_output=True, text=True, check=False, cwd=self.folder
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")

    def _write_first(self, *statements: str) -> None:
        """Write what the server does at each start."""
        first = self.folder / "first.sql"
        first.write_text("".join(f"{statement};\n" for statement in statements))
        first.chmod(0o600)
        unprivileged.give(first)

    def _launch(self) -> None:
        settings = {**_SETTINGS, "port": str(self.port), "socket": str(self.socket), "datadir": str(self.data)}
        settings |= {"pid-file": str(self.folder / "pid"), "init-file": str(self.folder / "first.sql")}
        settings |= {"tmpdir": str(self.temporary), **self._settings}
        command = [*self._command(), *(f"--{key}={value}" for key, value in settings.items())]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                unprivileged.command(command, dies_with_parent=True),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
            )  # fmt: skip

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise _EndedEarly
        try:
            self.connect(connect_timeout=5).close()
        except pymysql.Error:
            return False
        return True

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
            self._process.wait(timeout=60)
            self._process = None


class _EndedEarly(Exception):
    """The server's process ended before the server answered."""


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
