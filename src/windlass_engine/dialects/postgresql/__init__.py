"""PostgreSQL 13 and newer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Callable, Optional

from ...finding import Finding
from ...model import Probe, TableFacts, Target
from ..answers import Blocker, Facts, Gauge, Search, Sizes, TemporaryFiles, Volumes, Wait
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
    online,
    outlook,
    probing,
    scans,
    sizes,
    text,
    tokens,
)
from .archive_sql import PostgresArchives
from .driver import PostgresLink
from .journal_sql import PostgresJournal
from .keeper import PostgresKeeper
from .schemas import PostgresSchemas
from .scripts import PostgresScripts

#: A deployer whose machine is gone says no goodbye: after a minute of silence the server gives its session up, and the
#: deployer lock with it.  The server's own default are hours.
_PROBED = ("SET tcp_keepalives_idle = 20", "SET tcp_keepalives_interval = 10", "SET tcp_keepalives_count = 4")
#: Commits are answered early but where scripts may work on other servers, whose commits would outlive a lost one here.
_EARLY = (
    "SELECT pg_catalog.set_config('synchronous_commit', 'off', false) "
    "WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_foreign_server) "
    "AND NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'dblink')"
)
#: "There is no journal yet": undefined_table, invalid_schema_name.
_NO_JOURNAL = ("42P01", "3F000")


class PostgreSQL(PostgresScripts, PostgresSchemas, Dialect):
    """PostgreSQL's answers."""

    name = "postgresql"
    title = "PostgreSQL"
    capabilities = frozenset(
        {
            "transactional_ddl",
            "session_lock",
            "lock_timeout",
            "online_index",
            "backup",
            "squawk",
            "probes",
            "gauges",
            "own_sizes",
            "drift",
            "explains",
        }
    )
    journal = PostgresJournal()
    archives = PostgresArchives()

    def driver(self) -> Finding:
        """Look for psycopg."""
        return driver.examine()

    def connect(self, target: Target, application: str, timeout_s: int) -> Link:
        """Log in with psycopg."""
        return driver.connect(target, application, timeout_s)

    def identifier(self, dotted: str) -> str:
        """Return a quoted name."""
        return text.identifier(dotted)

    def as_text(self, expression: str) -> str:
        """Return a cast."""
        return f"{expression}::text"

    def begin(self, lock_timeout_ms: int, statement_timeout_ms: int, read_only: bool = False) -> tuple[str, ...]:
        """Return BEGIN with timeouts that end with the transaction."""
        return (
            "BEGIN TRANSACTION READ ONLY" if read_only else "BEGIN",
            f"SET LOCAL lock_timeout = {lock_timeout_ms:d}",
            f"SET LOCAL statement_timeout = {statement_timeout_ms:d}",
        )

    def set_timeouts(self, lock_timeout_ms: int, statement_timeout_ms: int) -> tuple[str, ...]:
        """Return the session's timeouts."""
        return (
            f"SET lock_timeout = {lock_timeout_ms:d}",
            f"SET statement_timeout = {statement_timeout_ms:d}",
        )

    def own_session(self) -> tuple[str, ...]:
        """Return what gives the login its own role back before the journal is written."""
        return ("RESET SESSION AUTHORIZATION", "RESET ROLE")

    def reset_session(self, link: Link) -> tuple[str, ...]:
        """Return what undoes a script's settings, temporary tables and prepared statements; advisory locks stay."""
        return (
            "RESET SESSION AUTHORIZATION",
            "RESET ROLE",
            "RESET ALL",
            "CLOSE ALL",
            "DEALLOCATE ALL",
            "UNLISTEN *",
            "DISCARD TEMP",
        )

    def prepare_session(self, server_version: int, allow_data_loss: bool) -> tuple[str, ...]:
        """Return settings: when commits are answered, how a deployer that is gone is noticed, the word for downs."""
        settings = [_EARLY, *_PROBED]
        if server_version >= 120000:
            settings.append("SET tcp_user_timeout = '60s'")
        if server_version >= 140000:
            settings.append("SET client_connection_check_interval = '2s'")
        if allow_data_loss:
            settings.append("SET windlass.allow_data_loss = on")
        return tuple(settings)

    def durable(self) -> tuple[str, ...]:
        """Return the server's own way of committing, which flushes all the log that was written before."""
        return ("SET synchronous_commit TO DEFAULT",)

    def free_bytes(self, link: Link, target: Target) -> Optional[int]:
        """Ask for the data folder, where the server is on this machine and tells the login."""
        return outlook.free(link)

    def tables(self, link: Link, names: Sequence[tuple[str, ...]]) -> dict[str, TableFacts]:
        """Ask pg_class and the server's statistics."""
        return measures.tables(link, names)

    def key_columns(self, link: Link, table: tuple[str, ...]) -> tuple[str, ...]:
        """Ask pg_index."""
        return probing.key_columns(link, table)

    def columns_stand(self, link: Link, table: tuple[str, ...], columns: Sequence[str]) -> bool:
        """Ask pg_attribute."""
        return probing.columns_stand(link, table, columns)

    def unfit(self, link: Link, probe: Probe) -> Search:
        """Know lengths and ranges, and try the rest."""
        return probing.unfit(link, probe)

    def unvalidated(self, link: Link, probe: Probe) -> Optional[Probe]:
        """Ask pg_constraint."""
        return probing.unvalidated(link, probe)

    def is_timeout(self, error: ServerError) -> bool:
        """Return whether it was query_canceled or a lock timeout."""
        return error.state in ("57014", "55P03")

    def is_bad_value(self, error: ServerError) -> bool:
        """Return whether it was a data exception."""
        return error.state.startswith("22")

    def gauge(self, link: Link, pid: int) -> Gauge:
        """Look at a session's table locks and at the server's log."""
        return gauge.gauge(link, pid)

    def waits(self, link: Link) -> Optional[tuple[Wait, ...]]:
        """Ask for each waiting session's blockers."""
        return gauge.waits(link)

    def full_scans(self, link: Link, sql: str) -> Iterator[tuple[str, int]]:
        """Ask EXPLAIN."""
        return scans.full_scans(link, sql)

    def volumes(self, link: Link) -> Volumes:
        """Measure the tables."""
        return gauge.volumes(link)

    def sizes(self, link: Link, touched: bool = False) -> Optional[Sizes]:
        """Ask for the tables that this session has locked, or for all."""
        return sizes.sizes(link, touched)

    def temporary_files(self, link: Link) -> Optional[TemporaryFiles]:
        """Let the server tell the session, or ask its counter."""
        assert isinstance(link, PostgresLink)
        return sizes.TemporaryFiles(link)

    def url_of_database(self, url: str, name: str) -> str:
        """Return the URL with another database in its path."""
        return databases.url_of(url, name)

    def make_database(self, name: str) -> tuple[str, ...]:
        """Make one out of template0."""
        return databases.make(name)

    def drop_database(self, name: str) -> str:
        """Drop one by force."""
        return databases.drop(name)

    def unkept_databases(self, link: Link, prefix: str) -> tuple[str, ...]:
        """Look for sessions with the databases' names."""
        return databases.unkept(link, prefix)

    def facts(self, link: Link) -> Facts:
        """Look at the server once."""
        return facts.read(link)

    def log_position(self, link: Link) -> str:
        """Return the write-ahead log's position and timeline."""
        return facts.log_position(link)

    def try_lock(self, link: Link) -> bool:
        """Try the advisory lock."""
        return locks.try_lock(link)

    def unlock(self, link: Link) -> None:
        """Give the deployer lock back."""
        locks.unlock(link)

    def try_job_lock(self, link: Link, name: str) -> bool:
        """Try the lock of a maintenance job."""
        return locks.try_job_lock(link, name)

    def lock_holder(self, link: Link) -> Optional[Blocker]:
        """Return who holds the advisory lock."""
        return locks.lock_holder(link)

    def lacks_journal(self, error: ServerError) -> bool:
        """Return whether there is no such table or schema."""
        return error.state in _NO_JOURNAL

    def is_read_only_failure(self, error: ServerError) -> bool:
        """Return whether it was read_only_sql_transaction."""
        return error.state == "25006"

    def blockers(self, link: Link, pid: int) -> tuple[Blocker, ...]:
        """Return who keeps a backend waiting."""
        return locks.blockers(link, pid)

    def is_lock_failure(self, error: ServerError) -> bool:
        """Return whether it was a lock timeout or a deadlock."""
        return error.state in losses.LOCK_FAILURES

    def pooler(self, connect: Callable[[], Link], link: Link) -> str:
        """Look for a transaction pooler."""
        return facts.pooler(connect, link)

    def settle(self, link: Link, sql: str) -> Optional[bool]:
        """Ask the catalogue whether an interrupted statement took effect."""
        return online.settle(link, sql)

    def prepare_online(self, link: Link, sql: str) -> tuple[str, ...]:
        """Clear an invalid leftover, and name the transactions that an online build will wait for."""
        if not tokens.concurrent_index(sql):
            return ()
        waits = tuple(
            f"waits for the transaction of pid {b.pid} ({b.application or b.user}), {b.age_s:.0f} s old"
            for b in locks.old_transactions(link, 1.0)
        )
        return online.clear_invalid(link, sql) + waits

    def online_result(self, link: Link, sql: str) -> bool:
        """Return whether the build left a valid index."""
        return online.is_built(link, sql)

    def online_progress(self, link: Link, pid: int) -> Optional[tuple[str, int, int]]:
        """Return the server's own progress figures."""
        return online.progress(link, pid)

    def examine(self, link: Link, extensions: Sequence[str], client_bin: str) -> Iterator[Finding]:
        """Look at version, rights, client programs, connections, old transactions, settings and leftovers."""
        return examination.examine(link, extensions, client_bin)

    def backups(self) -> PostgresKeeper:
        """Return pg_dump, pg_restore and renaming."""
        return PostgresKeeper()
