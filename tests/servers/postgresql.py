"""A PostgreSQL server of one's own: on a loopback port and a private socket, passwords required."""

from __future__ import annotations

import itertools
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from testbed.waiting import wait_until
from tests.servers import unprivileged
from tests.servers.ports import free_port
from windlass import demo

# Durability is what these servers can do without: nothing survives them.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "max_connections": "80",
    "logging_collector": "off",
}


class PostgresServer:
    """A running server.

    `bin` is the folder with its programs (psql, pg_dump, pg_restore …), `version` its major version,
    `superuser` and `password` the account in `url`. `log` is the file that it logs to. `settings` are added to
    those of a server that nobody will miss.
    """

    superuser = "postgres"

    def __init__(self, bin_folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.bin = bin_folder
        self._settings = {**_SETTINGS, **(settings or {})}
        self.version = major_version(bin_folder)
        self.folder = Path(tempfile.mkdtemp(prefix=f"windlass-pg{self.version}-"))
        self.password = secrets.token_urlsafe(12)
        self.port = 0
        self._names = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        unprivileged.give(self.folder)
        self._initdb()

    @property
    def client_bin(self) -> str:
        """The folder with its client programs."""
        return str(self.bin)

    @property
    def socket_dir(self) -> Path:
        """The folder of the server's socket."""
        return self.folder

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.folder / "log"

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    @property
    def url(self) -> str:
        """The URI of the maintenance database, as superuser."""
        return self.url_of("postgres")

    def url_of(self, database: str, *, user: str | None = None, password: str | None = None) -> str:
        """Return the URI of `database` over TCP, as superuser or as `user`."""
        login = f"{quote(user or self.superuser, safe='')}:{quote(password or self.password, safe='')}"
        return f"postgresql://{login}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def socket_url_of(self, database: str) -> str:
        """Return the URI of `database` over the socket, as superuser."""
        host = quote(str(self.socket_dir), safe="")
        return f"postgresql://{self.superuser}:{self.password}@{host}:{self.port}/{quote(database, safe='')}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        for _attempt in range(3):  # the port may be taken between the look and the start
            self.port = self.port or free_port()
            self._launch()
            with suppress(_EndedEarly):
                wait_until(self._answers, seconds=60, what=f"PostgreSQL in {self.folder}")
                return
            self.port = 0
        raise RuntimeError(f"PostgreSQL did not start:\n{self.log.read_text()}")

    def stop(self) -> None:
        """Shut the server down, ending every session."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill the server and all its sessions with -9, as a crash would."""
        if self._process is not None:
            children = _children(self._process.pid)
            self._end(signal.SIGKILL)
            for child in children:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            # A session that still holds the shared memory would keep the next start from succeeding.
            wait_until(lambda: not any(map(_alive, children)), seconds=20, what="the sessions to end")

    def restart(self) -> None:
        """Stop the server, start it again on the same port."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """Kill the server and delete its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self, database: str = "postgres", **options: Any) -> psycopg.Connection[Any]:
        """Return an autocommit connection as superuser."""
        return psycopg.connect(self.url_of(database), autocommit=True, **options)

    def create_database(self, name: str | None = None, *, owner: str | None = None) -> str:
        """Create a database (with a name of its own unless one is given) and return its URI."""
        name = name or f"windlass_{next(self._names)}_{secrets.token_hex(4)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name))
        if owner:
            statement += sql.SQL(" OWNER {}").format(sql.Identifier(owner))
        with self.connect() as connection:
            connection.execute(statement)
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Drop the database `name` if it is there, ending its sessions."""
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextmanager
    def database(self, name: str | None = None) -> Iterator[str]:
        """Create a database for the length of a block; give its URI."""
        url = self.create_database(name)
        try:
            yield url
        finally:
            dbname = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
            self.drop_database(str(dbname))

    def program(self, name: str) -> str:
        """Return the path of one of the server's own programs."""
        return str(self.bin / name)

    def _initdb(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        unprivileged.give(password_file)
        command = [self.program("initdb"), f"--pgdata={self.data}", f"--username={self.superuser}"]
        command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C"]
        done = subprocess.run(
            unprivileged.command([*command, "--no-sync"]),
            capture_output=True, text=True, check=False, cwd=self.folder,
        )  # fmt: skip
        password_file.unlink()
        if done.returncode:
            raise RuntimeError(f"initdb failed:\n{done.stdout}{done.stderr}")

    def _launch(self) -> None:
        settings = {**self._settings, "port": str(self.port), "unix_socket_directories": str(self.socket_dir)}
        command = [self.program("postgres"), "-D", str(self.data)]
        command += [f"--{key}={value}" for key, value in settings.items()]
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
        except psycopg.OperationalError:
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


def major_version(bin_folder: Path) -> int:
    """Return the major version of the server in `bin_folder`, as its programs tell it."""
    told = subprocess.run([bin_folder / "postgres", "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"\(PostgreSQL\) (\d+)", told.stdout)
    if found is None:
        raise RuntimeError(f"{bin_folder}/postgres says {told.stdout!r}")
    return int(found[1])


def embedded_bin(version: int) -> Path | None:
    """Return the folder of programs of the PostgreSQL that comes as a wheel, if it is installed."""
    try:
        package = demo.embedded_postgresql()
    except ImportError:
        return None
    folder: Path | None = package.utils.POSTGRES_VERSIONS.get(version)
    return folder if folder is not None and (folder / "initdb").exists() else None


def system_bin() -> Path | None:
    """Return the folder of programs of the system's newest PostgreSQL server, if there is one."""
    servers = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda found: float(found.parts[-3]))
    return servers[-1].parent if servers else None


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
