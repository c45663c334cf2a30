"""A PostgreSQL server of one's own: on a loopback port and a private socket, passwords required."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from testbed.waiting import wait_until
from tests.servers import unprivileged
from tests.servers.server import Server
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
    "autovacuum": "off",  # it comes when it likes: its locks and what it takes away would be no test's own doing
}


class PostgresServer(Server):
    """A running server.

    `bin` is the folder with its programs (psql, pg_dump, pg_restore …), `version` its major version; `settings` are
    added to those of a server that nobody will miss.
    """

    title = "PostgreSQL"
    superuser = "postgres"
    scheme = "postgresql"
    maintenance_database = "postgres"
    refusals = (psycopg.OperationalError,)
    gentle = signal.SIGINT

    def __init__(self, bin_folder: Path, settings: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.bin = bin_folder
        self._settings = {**_SETTINGS, **(settings or {})}
        self.version = major_version(bin_folder)
        self._initdb()

    @property
    def client_bin(self) -> str:
        """The folder with its client programs."""
        return str(self.bin)

    @property
    def socket_dir(self) -> Path:
        """The folder of the server's socket."""
        return self.folder

    def socket_url_of(self, database: str) -> str:
        """Return the URI of `database` over the socket, as superuser."""
        host = quote(str(self.socket_dir), safe="")
        return f"postgresql://{self.superuser}:{self.password}@{host}:{self.port}/{quote(database, safe='')}"

    def kill(self) -> None:
        """Kill the server and all its sessions with -9, as a crash would."""
        if self._process is not None:
            children = _children(self._process.pid)
            super().kill()
            for child in children:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            # A session that still holds the shared memory would keep the next start from succeeding.
            wait_until(lambda: not any(map(_alive, children)), what="the sessions to end")

    def connect(self, database: str = "postgres", **options: Any) -> psycopg.Connection[Any]:
        """Return an autocommit connection as superuser."""
        return psycopg.connect(self.url_of(database), autocommit=True, **options)

    def create_database(self, name: str | None = None, *, owner: str | None = None) -> str:
        """Create a database (with a name of its own unless one is given) and return its URI."""
        name = name or self._new_name()
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name))
        if owner:
            statement += sql.SQL(" OWNER {}").format(sql.Identifier(owner))
        with self.connect() as connection:
            connection.execute(statement)
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Drop the database `name` if it is there, ending its sessions."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))

        def dropped() -> bool:
            with self.connect() as connection, suppress(psycopg.errors.ObjectInUse):
                connection.execute(statement)
                return True
            return False  # the server gives its sessions five seconds to end, and a busy machine may take longer

        wait_until(dropped, what=f"the sessions of {name} to end")

    def program(self, name: str) -> str:
        """Return the path of one of the server's own programs."""
        return str(self.bin / name)

    def _initdb(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        unprivileged.give(password_file)
        command = [self.program("initdb"), f"--pgdata={self.data}", f"--username={self.superuser}"]
        command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C"]
        self._run(*command, "--no-sync")
        password_file.unlink()

    def _command(self) -> list[str]:
        settings = {**self._settings, "port": str(self.port), "unix_socket_directories": str(self.socket_dir)}
        return [
            self.program("postgres"),
            "-D",
            str(self.data),
            *(f"--{key}={value}" for key, value in settings.items()),
        ]


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
