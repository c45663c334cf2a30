"""SQL Server 2017 and newer, on Windows, Linux or as a managed service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Callable, Optional

from ...finding import Finding
from ...model import Probe, StatementFacts, TableFacts, Target
from ..answers import Blocker, Facts, Gauge, Search, Sizes, Volumes, Wait
from ..base import Dialect
from ..link import Link, ServerError
from . import (
    databases,
    driver,
    examination,
    facts,
    gauge,
    locks,
    losses,
    measures,
    probing,
    scans,
    session_state,
    settle,
    sizes,
    text,
    weighing,
)
from .archive_sql import SQLServerArchives
from .journal_sql import BEGAN, SQLServerJournal
from .keeper import SQLServerKeeper
from .own import Own
from .schemas import SQLServerSchemas
from .scripts import SQLServerScripts

#: The driver's own word for a statement that took longer than it may.
_TIMEOUTS = ("HYT00", "HYT01")
#: The database is read-only; the transaction log cannot be written on a secondary.
_READ_ONLY = (3906, 3908)


class SQLServer(SQLServerScripts, SQLServerSchemas, Dialect):
    """SQL Server's answers."""

    name = "mssql"
    title = "SQL Server"
    capabilities = frozenset(
        {
            "transactional_ddl",
            "session_lock",
            "lock_timeout",
            "backup",
            "drift",
            "probes",
            "gauges",
            "own_sizes",
            "explains",
            "foresees",
        }
    )
    journal = SQLServerJournal()
    archives = SQLServerArchives()

    def driver(self) -> Finding:
        """Look for pyodbc and an ODBC driver."""
        return driver.examine()

    def connect(self, target: Target, application: str, timeout_s: int) -> Link:
        """Log in with pyodbc."""
        return driver.connect(target, application, timeout_s)

    def identifier(self, dotted: str) -> str:
        """Return a name in brackets."""
        return text.identifier(dotted)

    def as_text(self, expression: str) -> str:
        """Return a conversion that loses nothing of a time."""
        return f"CONVERT(nvarchar(4000), {expression}, 126)"

    def last_of_batch(self, table: str, key: str, after: str, batch: int) -> str:
        """Return the query with TOP."""
        return (
            f"SELECT TOP (1) {self.as_text('batch.k')} FROM (SELECT TOP ({batch:d}) {key} AS k FROM {table} {after} "
            f"ORDER BY {key}) batch ORDER BY batch.k DESC"
        )

    def begin(self, lock_timeout_ms: int, statement_timeout_ms: int, read_only: bool = False) -> tuple[str, ...]:
        """Return the timeouts and BEGIN TRANSACTION; the driver keeps a read-only one from changing anything."""
        (timeouts,) = self.set_timeouts(lock_timeout_ms, statement_timeout_ms)
        opening = f"{timeouts}; {BEGAN}; BEGIN TRANSACTION"
        return (Own(opening, opens=True, read_only=read_only, statement_ms=statement_timeout_ms),)

    def set_timeouts(self, lock_timeout_ms: int, statement_timeout_ms: int) -> tuple[str, ...]:
        """Return the session's lock timeout; that of statements is the driver's, in whole seconds."""
        return (Own(f"SET LOCK_TIMEOUT {lock_timeout_ms or -1:d}", statement_ms=statement_timeout_ms),)

    def own_session(self) -> tuple[str, ...]:
        """Return what gives the login its own user back before the journal is written."""
        return (Own("REVERT"),)

    def reset_session(self, link: Link) -> tuple[str, ...]:
        """Return what undoes a script's settings; the deployer lock stays."""
        return session_state.reset(link)

    def prepare_session(self, server_version: int, allow_data_loss: bool) -> tuple[str, ...]:
        """Return the word for downs: the session's context `windlass.allow_data_loss`."""
        value = "N'yes'" if allow_data_loss else "NULL"
        return (Own(f"EXEC sys.sp_set_session_context N'windlass.allow_data_loss', {value}"),)

    def tables(self, link: Link, names: Sequence[tuple[str, ...]]) -> dict[str, TableFacts]:
        """Ask the catalogue, and the server's counts of use where the login may see them."""
        return measures.tables(link, names)

    def key_columns(self, link: Link, table: tuple[str, ...]) -> tuple[str, ...]:
        """Ask the catalogue."""
        return probing.key_columns(link, table)

    def columns_stand(self, link: Link, table: tuple[str, ...], columns: Sequence[str]) -> bool:
        """Ask the catalogue."""
        return probing.columns_stand(link, table, columns)

    def first_rows(self, columns: str, source: str, count: int) -> str:
        """Return the query with TOP."""
        return f"SELECT TOP ({count:d}) {columns} FROM {source}"

    def unfit(self, link: Link, probe: Probe) -> Search:
        """Measure lengths, and let the server try the conversion."""
        return probing.unfit(probe)

    def unvalidated(self, link: Link, probe: Probe) -> Optional[Probe]:
        """Ask the catalogue for the constraint."""
        return probing.unvalidated(link, probe)

    def weigh(self, link: Link, original: str, statements: Sequence[str]) -> list[tuple[StatementFacts, ...]]:
        """Ask for edition and columns."""
        return weighing.weigh(link, statements)

    def gauge(self, link: Link, pid: int) -> Gauge:
        """Look once."""
        return gauge.gauge(link, pid)

    def volumes(self, link: Link) -> Volumes:
        """Ask the catalogue."""
        return gauge.volumes(link)

    def sizes(self, link: Link, touched: bool = False) -> Optional[Sizes]:
        """Ask the catalogue."""
        return sizes.sizes(link)

    def waits(self, link: Link) -> Optional[tuple[Wait, ...]]:
        """Ask the server's views."""
        return gauge.waits(link)

    def full_scans(self, link: Link, sql: str) -> Iterator[tuple[str, int]]:
        """Ask the optimizer, which runs nothing."""
        return scans.full_scans(link, sql)

    def is_timeout(self, error: ServerError) -> bool:
        """Return whether a statement or its wait for a lock took too long."""
        return error.state in _TIMEOUTS or error.number in losses.LOCK_FAILURES

    def url_of_database(self, url: str, name: str) -> str:
        """Return the URL with another database in its path."""
        return databases.url_of(url, name)

    def make_database(self, name: str) -> tuple[str, ...]:
        """Make one, and keep it by a lock of its name."""
        return databases.make(name)

    def drop_database(self, name: str) -> str:
        """Drop one with its sessions."""
        return databases.drop(name)

    def unkept_databases(self, link: Link, prefix: str) -> tuple[str, ...]:
        """Look for locks with the databases' names."""
        return databases.unkept(link, prefix)

    def facts(self, link: Link) -> Facts:
        """Look at the server once."""
        return facts.read(link)

    def try_lock(self, link: Link) -> bool:
        """Try the application lock."""
        return locks.try_lock(link)

    def unlock(self, link: Link) -> None:
        """Give the deployer lock back."""
        locks.unlock(link)

    def try_job_lock(self, link: Link, name: str) -> bool:
        """Try the lock of a maintenance job."""
        return locks.try_job_lock(link, name)

    def lock_holder(self, link: Link) -> Optional[Blocker]:
        """Return who holds the lock."""
        return locks.lock_holder(link)

    def lacks_journal(self, error: ServerError) -> bool:
        """Return whether there is no such table."""
        return error.number == locks.NO_SUCH_OBJECT

    def is_read_only_failure(self, error: ServerError) -> bool:
        """Return whether the database is read-only."""
        return error.number in _READ_ONLY

    def blockers(self, link: Link, pid: int) -> tuple[Blocker, ...]:
        """Return who keeps a session waiting."""
        return locks.blockers(link, pid)

    def is_lock_failure(self, error: ServerError) -> bool:
        """Return whether it was a lock timeout or a deadlock."""
        return error.number in losses.LOCK_FAILURES

    def pooler(self, connect: Callable[[], Link], link: Link) -> str:
        """Look for a proxy that moves transactions."""
        return facts.pooler(connect, link)

    def settle(self, link: Link, sql: str) -> Optional[bool]:
        """Ask the catalogue whether an interrupted statement took effect."""
        return settle.settle(link, sql)

    def prepare_online(self, link: Link, sql: str) -> tuple[str, ...]:
        """Return nothing: there is no invalid leftover."""
        return ()

    def online_result(self, link: Link, sql: str) -> bool:
        """Return True: a build is all or nothing."""
        return True

    def online_progress(self, link: Link, pid: int) -> Optional[tuple[str, int, int]]:
        """Return the server's own figures, where it gives them."""
        return locks.progress(link, pid)

    def examine(self, link: Link, extensions: Sequence[str], client_bin: str) -> Iterator[Finding]:
        """Look at version, rights, old transactions, the log and settings."""
        return examination.examine(link)

    def backups(self) -> SQLServerKeeper:
        """Return BACKUP, RESTORE and renaming."""
        return SQLServerKeeper()
