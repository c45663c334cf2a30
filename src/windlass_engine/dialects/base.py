"""The contract that each engine answers: small answers and named capabilities.

Nothing outside ``dialects/`` asks which engine it talks to.  A capability is a word in :attr:`Dialect.capabilities`:

``transactional_ddl``  a schema change and its journal row commit together;
``session_lock``       the deployer lock belongs to a session and ends with it;
``lock_timeout``       a statement gives up waiting for a lock after a time;
``online_index``       an index can be built without blocking writers;
``backup``             Windlass can back this engine up and restore it (:meth:`Dialect.backups`);
``squawk``             squawk, a linter, reads this engine's scripts;
``weighs``             the server tries a schema change beforehand, on a scratch database, and says how it does it;
``foresees``           how a schema change will be done follows from what stands, without a scratch database;
``probes``             rows that would make a statement fail can be searched for beforehand;
``explains``           the server tells which tables a query reads from end to end;
``gauges``             the server tells what a working session locks and how much log it writes;
``own_sizes``          how large a transaction has made a table is seen in its own session alone;
``drift``              the schema is kept after each run, so that what others change can be told.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Callable, Optional

from ..finding import Finding
from ..model import Probe, StatementFacts, TableFacts, Target
from .answers import Blocker, Facts, Gauge, Search, Sizes, TemporaryFiles, Volumes, Wait
from .link import Link, ServerError
from .schemas import Schemas
from .scripts import Scripts
from .writer import JournalWriter

if TYPE_CHECKING:
    from .archives import Archives
    from .backups import Keeper


class Dialect(Scripts, Schemas):
    """One engine's answers."""

    name: str
    #: What people call the engine.
    title: str
    capabilities: frozenset[str]
    journal: JournalWriter
    archives: Archives

    @abstractmethod
    def driver(self) -> Finding:
        """Return whether this Python has a driver that serves, for the doctor."""

    @abstractmethod
    def connect(self, target: Target, application: str, timeout_s: int) -> Link:
        """Log in.  Raise WindlassError (driver_missing, login_refused, database_unreachable)."""

    @abstractmethod
    def identifier(self, dotted: str) -> str:
        """Return a quoted, possibly qualified name."""

    @abstractmethod
    def as_text(self, expression: str) -> str:
        """Return SQL that gives a value as text."""

    def last_of_batch(self, table: str, key: str, after: str, batch: int) -> str:
        """Return the query for the last of a table's next ``batch`` keys as text, no row where none is left.

        ``table`` and ``key`` are quoted, ``after`` is the WHERE that begins behind the keys done, or empty.
        """
        return (
            f"SELECT {self.as_text('k')} FROM (SELECT {key} AS k FROM {table} {after} "
            f"ORDER BY {key} LIMIT {batch:d}) batch ORDER BY batch.k DESC LIMIT 1"
        )

    def first_rows(self, columns: str, source: str, count: int) -> str:
        """Return the query for some ``count`` rows at most; ``source`` is all that stands behind FROM."""
        return f"SELECT {columns} FROM {source} LIMIT {count:d}"

    @abstractmethod
    def begin(self, lock_timeout_ms: int, statement_timeout_ms: int, read_only: bool = False) -> tuple[str, ...]:
        """Return the statements that open a transaction with its timeouts (0: none).

        A ``read_only`` one cannot change any row.
        """

    @abstractmethod
    def set_timeouts(self, lock_timeout_ms: int, statement_timeout_ms: int) -> tuple[str, ...]:
        """Return the statements that set the timeouts outside a transaction (0: none)."""

    @abstractmethod
    def own_session(self) -> tuple[str, ...]:
        """Return what gives the login its own role back, inside a transaction, before the journal is written."""

    @abstractmethod
    def reset_session(self, link: Link) -> tuple[str, ...]:
        """Return what undoes every session setting that a script may have left.  Raise ServerError."""

    @abstractmethod
    def prepare_session(self, server_version: int, allow_data_loss: bool) -> tuple[str, ...]:
        """Return Windlass's own settings, for a new session and after each reset.

        ``allow_data_loss`` sets the word that a careful down script asks for before it drops rows.
        """

    def durable(self) -> tuple[str, ...]:
        """Return what makes the commit that follows it wait until all that was committed so far is safe.

        For engines whose :meth:`prepare_session` lets commits be answered earlier; a crash of the server may then
        undo the last of them, never one from the middle.
        """
        return ()

    def weigh(self, link: Link, original: str, statements: Sequence[str]) -> list[tuple[StatementFacts, ...]]:
        """Return what each statement will do to the tables of the database ``original``.

        ``link`` is connected to a scratch database of the same server where the engine ``weighs``, to the database
        itself where it ``foresees``.  Raise ServerError.
        """
        raise NotImplementedError

    def free_bytes(self, link: Link, target: Target) -> Optional[int]:
        """Return what is free where the server keeps its data, None where that cannot be seen from this machine."""
        return None

    def tables(self, link: Link, names: Sequence[tuple[str, ...]]) -> dict[str, TableFacts]:
        """Return those of these tables (names in their parts) that stand, by name with dots.  Raise ServerError."""
        return {}

    def key_columns(self, link: Link, table: tuple[str, ...]) -> tuple[str, ...]:
        """Return the columns of a table's primary key.  Raise ServerError."""
        return ()

    def columns_stand(self, link: Link, table: tuple[str, ...], columns: Sequence[str]) -> bool:
        """Return whether a table has these columns.  Raise ServerError."""
        return False

    def unfit(self, link: Link, probe: Probe) -> Search:
        """Return how to find the values that a column's new type cannot hold.  Raise ServerError."""
        return Search(unknown="this engine is not asked")

    def unvalidated(self, link: Link, probe: Probe) -> Optional[Probe]:
        """Return the search that validating a standing constraint amounts to, None where there is no such constraint.

        Raise ServerError.
        """
        return None

    def is_timeout(self, error: ServerError) -> bool:
        """Return whether a statement took longer than its statement timeout."""
        return False

    def is_bad_value(self, error: ServerError) -> bool:
        """Return whether a statement failed on a value that it met."""
        return False

    def gauge(self, link: Link, pid: int) -> Gauge:
        """Look once at what session ``pid`` holds and what the server wrote.  Only where the engine ``gauges``."""
        raise NotImplementedError

    def waits(self, link: Link) -> Optional[tuple[Wait, ...]]:
        """Return who waits for a lock in this database now, and for whom; None where nobody tells.

        Raise ServerError.
        """
        return None

    def full_scans(self, link: Link, sql: str) -> Iterator[tuple[str, int]]:
        """Yield (table, rows) of each table that a query reads from end to end.  Raise ServerError."""
        return iter(())

    def volumes(self, link: Link) -> Volumes:
        """Return how big each table is; none where the engine is not asked.  Raise ServerError."""
        return Volumes({}, None)

    def sizes(self, link: Link, touched: bool = False) -> Optional[Sizes]:
        """Return how large tables are between two statements, None where nobody tells.

        ``touched``: at least those that the open transaction of ``link`` has worked on.  Raise ServerError.
        """
        return None

    def temporary_files(self, link: Link) -> Optional[TemporaryFiles]:
        """Begin to count what the statements of a session write into temporary files; None where nobody tells it so.

        Raise ServerError.
        """
        return None

    @abstractmethod
    def url_of_database(self, url: str, name: str) -> str:
        """Return the URL of another database of the same server, for the same login."""

    @abstractmethod
    def make_database(self, name: str) -> tuple[str, ...]:
        """Return what makes an empty database, to be sent one by one."""

    def keep_database(self, name: str) -> tuple[str, ...]:
        """Return what lets this session keep a database that is made elsewhere, where its name alone does not."""
        return ()

    @abstractmethod
    def drop_database(self, name: str) -> str:
        """Return what drops a database where it is there, with the sessions in it."""

    @abstractmethod
    def unkept_databases(self, link: Link, prefix: str) -> tuple[str, ...]:
        """Return the databases whose names begin so and that no session is named after (see :mod:`scratch`)."""

    @abstractmethod
    def facts(self, link: Link) -> Facts:
        """Look at the server once."""

    def log_position(self, link: Link) -> str:
        """Return how far the server's log of changes is, in its own terms; empty where the login may not see it."""
        return ""

    @abstractmethod
    def try_lock(self, link: Link) -> bool:
        """Try to take the deployer lock of this database, without waiting."""

    @abstractmethod
    def unlock(self, link: Link) -> None:
        """Give the deployer lock back.  Raise ServerError."""

    @abstractmethod
    def try_job_lock(self, link: Link, name: str) -> bool:
        """Try to take the lock of this database's maintenance job, without waiting; it ends with the session."""

    @abstractmethod
    def lock_holder(self, link: Link) -> Optional[Blocker]:
        """Return who holds the deployer lock, or None."""

    @abstractmethod
    def lacks_journal(self, error: ServerError) -> bool:
        """Return whether an error says that there is no journal yet."""

    @abstractmethod
    def is_read_only_failure(self, error: ServerError) -> bool:
        """Return whether the server refused a change because it is read-only."""

    @abstractmethod
    def blockers(self, link: Link, pid: int) -> tuple[Blocker, ...]:
        """Return the sessions that keep backend ``pid`` waiting."""

    @abstractmethod
    def is_lock_failure(self, error: ServerError) -> bool:
        """Return whether trying again later is right: lock timeout or deadlock, nothing else."""

    @abstractmethod
    def pooler(self, connect: Callable[[], Link], link: Link) -> str:
        """Return how a pooler stands between in a way that breaks session locks, or an empty string."""

    @abstractmethod
    def settle(self, link: Link, sql: str) -> Optional[bool]:
        """Say whether an interrupted statement took effect: True, False (run it again), or None (cannot tell).

        Invalid remains of it are taken away.
        """

    @abstractmethod
    def prepare_online(self, link: Link, sql: str) -> tuple[str, ...]:
        """Clear an invalid leftover before an online build; return what was done, in words."""

    @abstractmethod
    def online_result(self, link: Link, sql: str) -> bool:
        """Return whether an online build left a valid object."""

    @abstractmethod
    def online_progress(self, link: Link, pid: int) -> Optional[tuple[str, int, int]]:
        """Return (phase, done, total) of an online build under way, or None."""

    @abstractmethod
    def examine(self, link: Link, extensions: Sequence[str], client_bin: str) -> Iterator[Finding]:
        """Yield whatever about a server would stop or hurt a deployment.

        ``extensions`` are those that it will need; ``client_bin`` is the client programs' folder, empty for the usual.
        """

    def backups(self) -> Keeper:
        """Return how databases of this engine are saved and restored.  Only where the engine has ``backup``."""
        raise NotImplementedError
