"""MariaDB 10.6 and newer, MySQL 8.0 and newer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Callable, Optional

from ...finding import Finding
from ...model import Probe, StatementFacts, TableFacts, Target
from ..answers import Blocker, Facts, Gauge, Search, Sizes, Volumes, Wait
from ..base import Dialect
from ..link import Link, ServerError
from . import (
    algorithms,
    databases,
    driver,
    examination,
    facts,
    gauge,
    locks,
    measures,
    outlook,
    probing,
    scans,
    session_state,
    settle,
    sizes,
    text,
    waiting,
)
from .address import connect_options
from .archive_sql import MySQLArchives
from .journal_sql import BEGAN, MySQLJournal
from .keeper import MySQLKeeper
from .schemas import MySQLSchemas
from .scripts import MySQLScripts
from .session_state import SILENCE_S

#: Lock wait timeout, deadlock, and NOWAIT: waiting and trying again helps.  Everything else is an error.
_LOCK_FAILURES = (1205, 1213, 3572)
#: --read-only, and a transaction that is.
_READ_ONLY = (1290, 1792, 1836)
_FOREVER_S = 31_536_000


def _is_mariadb(link: Link) -> bool:
    return link.server_version >= driver.MARIADB


class MySQL(MySQLScripts, MySQLSchemas, Dialect):
    """The answers of MySQL and MariaDB."""

    name = "mysql"
    title = "MySQL/MariaDB"
    capabilities = frozenset(
        {"session_lock", "lock_timeout", "weighs", "probes", "drift", "gauges", "explains", "backup"}
    )
    journal = MySQLJournal()
    archives = MySQLArchives()

    def driver(self) -> Finding:
        """Look for PyMySQL."""
        return driver.examine()

    def connect(self, target: Target, application: str, timeout_s: int) -> Link:
        """Log in with PyMySQL."""
        return driver.connect(target, application, timeout_s)

    def identifier(self, dotted: str) -> str:
        """Return a name in backticks."""
        return text.identifier(dotted)

    def as_text(self, expression: str) -> str:
        """Return a cast."""
        return f"CAST({expression} AS CHAR)"

    def begin(self, lock_timeout_ms: int, statement_timeout_ms: int, read_only: bool = False) -> tuple[str, ...]:
        """Return the session's timeouts and START TRANSACTION."""
        opening = "START TRANSACTION READ ONLY" if read_only else "START TRANSACTION"
        return (*self.set_timeouts(lock_timeout_ms, statement_timeout_ms), opening)

    def set_timeouts(self, lock_timeout_ms: int, statement_timeout_ms: int) -> tuple[str, ...]:
        """Return the session's timeouts; the servers count locks in whole seconds, one at least."""
        lock_s = max(1, -(-lock_timeout_ms // 1000)) if lock_timeout_ms else _FOREVER_S
        statement_s = statement_timeout_ms / 1000
        return (
            f"SET lock_wait_timeout = {lock_s:d}, innodb_lock_wait_timeout = {lock_s:d}, {BEGAN} "
            f"/*M!100101 , max_statement_time = {statement_s:.3f} */ "
            f"/*!50708 , max_execution_time = {statement_timeout_ms:d} */",
        )

    def own_session(self) -> tuple[str, ...]:
        """Return what gives the session its own clock back before the journal is written."""
        return ("SET SESSION timestamp = DEFAULT",)

    def reset_session(self, link: Link) -> tuple[str, ...]:
        """Return what undoes a script's settings; the deployer lock stays."""
        return session_state.reset(link, _is_mariadb(link))

    def prepare_session(self, server_version: int, allow_data_loss: bool) -> tuple[str, ...]:
        """Return how a deployer is noticed whose machine is gone, and the word for downs, a user variable."""
        return (f"SET SESSION wait_timeout = {SILENCE_S}, @windlass_allow_data_loss = {int(allow_data_loss)}",)

    def weigh(self, link: Link, original: str, statements: Sequence[str]) -> list[tuple[StatementFacts, ...]]:
        """Try each statement on empty copies of the tables."""
        return algorithms.Trial(link, original).facts(statements)

    def free_bytes(self, link: Link, target: Target) -> Optional[int]:
        """Ask for the data folder, where the server is on this machine."""
        return outlook.free(link, str(connect_options(target)["host"]))

    def tables(self, link: Link, names: Sequence[tuple[str, ...]]) -> dict[str, TableFacts]:
        """Ask the catalogue, and the performance schema where it counts."""
        return measures.tables(link, names)

    def key_columns(self, link: Link, table: tuple[str, ...]) -> tuple[str, ...]:
        """Ask the catalogue."""
        return probing.key_columns(link, table)

    def columns_stand(self, link: Link, table: tuple[str, ...], columns: Sequence[str]) -> bool:
        """Ask the catalogue."""
        return probing.columns_stand(link, table, columns)

    def unfit(self, link: Link, probe: Probe) -> Search:
        """Know lengths, ranges and the words of an ENUM."""
        return probing.unfit(link, probe)

    def is_timeout(self, error: ServerError) -> bool:
        """Return whether a statement or its wait for a lock took too long."""
        return error.number in (1205, 1969, 3024)

    def gauge(self, link: Link, pid: int) -> Gauge:
        """Look at a session's table locks and at the server's log."""
        return gauge.gauge(link, pid, _is_mariadb(link))

    def waits(self, link: Link) -> Optional[tuple[Wait, ...]]:
        """Ask for waits for rows, and for sessions that wait for a table."""
        return waiting.waits(link, _is_mariadb(link))

    def full_scans(self, link: Link, sql: str) -> Iterator[tuple[str, int]]:
        """Ask EXPLAIN."""
        return scans.full_scans(link, sql)

    def volumes(self, link: Link) -> Volumes:
        """Measure the tables."""
        return gauge.volumes(link, _is_mariadb(link))

    def sizes(self, link: Link, touched: bool = False) -> Optional[Sizes]:
        """Ask for the files of tables."""
        return sizes.sizes(link, _is_mariadb(link))

    def url_of_database(self, url: str, name: str) -> str:
        """Return the URL with another database in its path."""
        return databases.url_of(url, name)

    def make_database(self, name: str) -> tuple[str, ...]:
        """Make one, and keep it by a lock of its name."""
        return databases.make(name)

    def keep_database(self, name: str) -> tuple[str, ...]:
        """Take the lock of its name."""
        return databases.keep(name)

    def drop_database(self, name: str) -> str:
        """Drop one."""
        return databases.drop(name)

    def unkept_databases(self, link: Link, prefix: str) -> tuple[str, ...]:
        """Look for locks with the databases' names."""
        return databases.unkept(link, prefix)

    def facts(self, link: Link) -> Facts:
        """Look at the server once."""
        return facts.read(link)

    def log_position(self, link: Link) -> str:
        """Return the binary log's file and position."""
        return facts.log_position(link)

    def try_lock(self, link: Link) -> bool:
        """Try GET_LOCK."""
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
        return error.number == locks.NO_SUCH_TABLE

    def is_read_only_failure(self, error: ServerError) -> bool:
        """Return whether the server runs with --read-only."""
        return error.number in _READ_ONLY

    def blockers(self, link: Link, pid: int) -> tuple[Blocker, ...]:
        """Return who keeps a session waiting, for rows or for a table."""
        return locks.blockers(link, pid, _is_mariadb(link))

    def is_lock_failure(self, error: ServerError) -> bool:
        """Return whether it was a lock timeout or a deadlock."""
        return error.number in _LOCK_FAILURES

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
        """Return the server's own figures for an ALTER, where it gives them."""
        return locks.progress(link, pid) if _is_mariadb(link) else None

    def examine(self, link: Link, extensions: Sequence[str], client_bin: str) -> Iterator[Finding]:
        """Look at version, rights, connections, old transactions and settings."""
        return examination.examine(link, _is_mariadb(link), client_bin)

    def backups(self) -> MySQLKeeper:
        """Return the dump programs, the client and renaming."""
        return MySQLKeeper()
