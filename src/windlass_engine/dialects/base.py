"""The contract that each engine answers: small answers and named capabilities.

Nothing outside ``dialects/`` asks which engine it talks to.  A capability is a word in :attr:`Dialect.capabilities`:

``transactional_ddl``  a schema change and its journal row commit together;
``session_lock``       the deployer lock belongs to a session and ends with it;
``lock_timeout``       a statement gives up waiting for a lock after a time;
``online_index``       an index can be built without blocking writers;
``backup``             Windlass can back this engine up and restore it (:meth:`Dialect.backups`);
``squawk``             squawk, a linter, reads this engine's scripts;
``weighs``             the server can be asked beforehand how it will do a schema change;
``probes``             rows that would make a statement fail can be searched for beforehand;
``explains``           the server tells which tables a query reads from end to end;
``gauges``             the server tells what a working session locks and how much log it writes;
``drift``              the schema is kept after each run, so that what others change can be told.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Optional, Protocol, Union

from ..finding import Finding
from ..model import Options, Plan, Probe, Script, Statement, StatementFacts, Step, TableFacts, Target
from ..project.mistakes import Mistake

if TYPE_CHECKING:
    from .archives import Archives
    from .backups import Keeper

#: Called as soon as a message is on its way, with 0, and then about ten times a second, with the seconds elapsed.
Tick = Callable[[float], None]
#: One statement or more.  Several travel together where the engine can, one after the other where it cannot.
Message = Union[str, Sequence[str]]
#: (kind, identity, definition) of a schema's object; the identity is a full name, and unique within its kind.
Object = tuple[str, str, str]
#: (kind, identity) of an object.
Key = tuple[str, str]
#: Definitions by kind and identity.
Objects = dict[Key, str]
#: What parts the statements of a message: a comment at the end of one must not swallow the semicolon.
JOINT = "\n;\n"


class ServerError(Exception):
    """What the server said of a failed message.

    ``results`` counts the statements of the message that had succeeded; ``state`` is the SQLSTATE, ``number`` the
    engine's own error number, where it has them; ``position`` is the 1-based character in the message (its statements
    joined by :data:`JOINT`), or 0.  ``lost`` says that the connection is gone.
    """

    def __init__(
        self,
        message: str,
        *,
        state: str = "",
        results: int = 0,
        position: int = 0,
        detail: str = "",
        hint: str = "",
        lost: bool = False,
        number: int = 0,
    ) -> None:
        """Keep the parts."""
        super().__init__(message)
        self.message = message
        self.state = state
        self.results = results
        self.position = position
        self.detail = detail
        self.hint = hint
        self.lost = lost
        self.number = number

    @property
    def code_text(self) -> str:
        """Return the engine's code for the error, in words, or an empty string."""
        if self.state:
            return f"SQLSTATE {self.state}"
        return f"error {self.number}" if self.number else ""


def version_numbers(version: str) -> tuple[int, ...]:
    """Return ``3.1.7`` as (3, 1, 7); what follows the digits of a part does not count."""
    parts = ["".join(sign for sign in part if sign.isdigit()) for part in version.split(".")[:3]]
    return tuple(int(part or 0) for part in parts)


class Link(Protocol):
    """A connection as a dialect's driver gives it."""

    server_version: int
    backend_pid: int

    def run(self, sql: Message, tick: Optional[Tick] = None) -> list[int]:
        """Send one message; return the rows that each of its statements affected.  Raise ServerError."""

    def stream(
        self, messages: Iterable[Message], ahead: int, tick: Optional[Tick] = None
    ) -> Generator[list[int], None, None]:
        """Run messages one after the other; yield for each, as soon as it has ended, what :meth:`run` returns.

        Where the engine can, ``ahead`` of them are with the server at once, so that it need not wait for us.  Behind
        one that fails none runs.  Nothing else may be sent before the last was had or the stream was closed.  Raise
        ServerError, as :meth:`run` does.
        """

    def copy_in(self, command: str, data: str, tick: Optional[Tick] = None) -> int:
        """Load a data block; return the rows."""

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of one statement.  Raise ServerError."""

    def ask(self, sql: str) -> tuple[int, Optional[list[tuple[Any, ...]]]]:
        """Run one statement of any kind; return the rows that it affected, and its answer's rows if it gives one."""

    def close(self) -> None:
        """End the connection."""


@dataclass(frozen=True)
class Blocker:
    """A session that keeps another waiting; ``age_s`` is its transaction's age in seconds."""

    pid: int
    application: str
    user: str
    state: str
    age_s: float
    query: str


@dataclass(frozen=True)
class Search:
    """How to find bad rows: a ``condition`` on them, or an ``attempt`` to be made on all, or why it is ``unknown``."""

    condition: str = ""
    attempt: str = ""
    unknown: str = ""


@dataclass(frozen=True)
class Facts:
    """What one look at a server tells about it and the login."""

    server_version: int
    server_version_text: str
    database: str
    user: str
    read_only: bool
    may_create_schema: bool
    backend_pid: int
    size_bytes: int
    clock: str


@dataclass(frozen=True)
class HeldLock:
    """A table lock of a session, had or (not ``granted``) waited for; ``blocks`` is whom it keeps waiting, in words."""

    table: str
    mode: str
    blocks: str
    granted: bool


@dataclass(frozen=True)
class Gauge:
    """One look at a working session: bytes of log that the server has written, and the session's locks.

    None is what the server does not tell.
    """

    log_bytes: Optional[int]
    locks: Optional[tuple[HeldLock, ...]]


@dataclass(frozen=True)
class Volumes:
    """The bytes of each table with its indexes, and those of temporary files so far (None: nobody tells)."""

    tables: dict[str, int]
    temporary: Optional[int]


class JournalWriter(Protocol):
    """SQL text for the journal; every name is full, so a script's session settings cannot touch it."""

    def create(self) -> Sequence[str]:
        """Return DDL that makes the journal where it is missing."""

    def read(self, texts_of: Sequence[str]) -> str:
        """Return the query whose columns are the fields of JournalEntry in order."""

    def prepare(self) -> tuple[str, ...]:
        """Return what lets the server parse :meth:`applied` once a session instead of once a step."""

    def applied(
        self, plan: Plan, step: Step, options: Options, prepared: bool = False, duration_ms: Optional[int] = None
    ) -> tuple[str, ...]:
        """Return what records a whole step; ``prepared`` says that the session has seen :meth:`prepare`.

        ``duration_ms`` is the step's duration, None: the age of the transaction.
        """

    def applied_together(self, plan: Plan, done: Sequence[tuple[Step, int]], options: Options) -> tuple[str, ...]:
        """Return what records steps of one transaction, each with its duration in milliseconds."""

    def reverted(self, plan: Plan, step: Step, options: Options, duration_ms: Optional[int] = None) -> tuple[str, ...]:
        """Return what records an undone step; ``duration_ms`` as for :meth:`applied`."""

    def opened(self, plan: Plan, step: Step, options: Options) -> tuple[str, ...]:
        """Return what records that a statement-by-statement step begins or goes on."""

    def statement_started(self, step: Step, number: int, digest: str) -> str:
        """Return the mark before a statement that cannot share a transaction with its journal row."""

    def statement_failed(self, step: Step, number: int) -> str:
        """Return what takes the mark before a statement back: the server refused it, and it left nothing."""

    def statement_done(self, step: Step, number: int, digest: str, rows: int) -> str:
        """Return the mark after a statement."""

    def position(self, step: Step, number: int, key: str, rows: int) -> str:
        """Return the mark after a batch of a backfill; ``rows`` is added to those counted before."""

    def read_position(self, step: Step, number: int) -> str:
        """Return the query for (last key, rows) of a backfill."""

    def event(
        self, event: str, plan: Plan, step: Optional[Step], options: Options, detail: str,
        duration_ms: Optional[int] = None,
    ) -> str:  # fmt: skip
        """Return the row of the append-only event log."""

    def last_events(self, event: str) -> str:
        """Return the query for (name, seconds since the last such event of that name)."""

    def events(self, limit: int) -> str:
        """Return the query for the newest events, newest first."""


class Dialect(ABC):
    """One engine's answers."""

    name: str
    #: What people call the engine.
    title: str
    capabilities: frozenset[str]
    #: The word for this engine's language, by which the control node chooses a parser.
    grammar: str = ""
    #: Where the journal keeps the schema as it was after the last run; empty where it does not.
    schema_table: str = ""
    #: Kinds of objects that stand in a CREATE TABLE or go with it.
    made_with_table: frozenset[str] = frozenset({"column"})
    journal: JournalWriter
    archives: Archives

    @abstractmethod
    def driver(self) -> Finding:
        """Return whether this Python has a driver that serves, for the doctor."""

    @abstractmethod
    def connect(self, target: Target, application: str, timeout_s: int) -> Link:
        """Log in.  Raise WindlassError (driver_missing, login_refused, database_unreachable)."""

    @abstractmethod
    def split(self, text: str, path: str) -> tuple[Statement, ...]:
        """Part a script into statements.  Raise WindlassError (project_invalid) with file and line."""

    @abstractmethod
    def review(self, script: Script) -> list[Mistake]:
        """Return what this engine does not allow in a script whose statements are known."""

    @abstractmethod
    def copy_parts(self, sql: str) -> tuple[str, str]:
        """Part a COPY … FROM stdin statement into command and data."""

    @abstractmethod
    def needs_no_transaction(self, sql: str) -> bool:
        """Return whether the server refuses this statement inside a transaction."""

    @abstractmethod
    def ends_transaction(self, sql: str) -> bool:
        """Return whether this statement certainly does not stay in an open transaction."""

    @abstractmethod
    def is_whole(self, script: Script) -> bool:
        """Return whether all statements of a script and its journal row can be one transaction."""

    def can_follow(self, script: Script) -> bool:
        """Return whether a script's statements may be sent before those in front of them have ended."""
        return False

    @abstractmethod
    def fails_clean(self, sql: str) -> bool:
        """Return whether this statement certainly left nothing when the server refused it outside a transaction."""

    @abstractmethod
    def sets_session(self, sql: str) -> bool:
        """Return whether a statement only prepares the session for those behind it, so a resumed script needs it."""

    def sets_role(self, sql: str) -> bool:
        """Return whether a statement takes a role which it has to take again after the journal was written."""
        return False

    @abstractmethod
    def literal(self, value: Optional[str]) -> str:
        """Return a string constant that means the same under every session setting."""

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

    def reaches_outside(self, text: str) -> bool:
        """Return whether a script may have effects that a crash of this server does not take back with its commit."""
        return False

    @abstractmethod
    def leaves_settings(self, text: str) -> bool:
        """Return whether a script may leave session settings behind."""

    def weigh(self, link: Link, original: str, statements: Sequence[str]) -> list[tuple[StatementFacts, ...]]:
        """Return what each statement will do to the tables of the database ``original``.

        ``link`` is connected to a scratch database of the same server.  Only where the engine ``weighs``.
        """
        raise NotImplementedError

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

    def full_scans(self, link: Link, sql: str) -> Iterator[tuple[str, int]]:
        """Yield (table, rows) of each table that a query reads from end to end.  Raise ServerError."""
        return iter(())

    def volumes(self, link: Link) -> Volumes:
        """Return how big each table is.  Only where the engine ``gauges``."""
        raise NotImplementedError

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
    def is_online(self, sql: str) -> bool:
        """Return whether a statement builds online: it waits for others by design, so no lock timeout may end it."""

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

    @abstractmethod
    def objects(self, link: Link) -> Sequence[Object]:
        """Return every user object of the schema but the journal's, in any order.  Raise ServerError."""

    @abstractmethod
    def loose_spelling(self, definition: str) -> str:
        """Return a definition without what the server may spell differently after a dump and a restore."""

    def backups(self) -> Keeper:
        """Return how databases of this engine are saved and restored.  Only where the engine has ``backup``."""
        raise NotImplementedError

    def make_schema_table(self) -> tuple[str, ...]:
        """Return what makes :attr:`schema_table` where it is missing."""
        return ()

    def keep_schema(self, text: str, fingerprint: str, head: str, run_id: str, who: str) -> tuple[str, ...]:
        """Return what keeps a schema in the place of the one before, inside a transaction."""
        values = ", ".join(map(self.literal, (text, fingerprint, head, run_id, who)))
        return (
            f"DELETE FROM {self.schema_table}",
            f"INSERT INTO {self.schema_table} (objects, fingerprint, head, run_id, who, at) "
            f"VALUES ({values}, {self.now_text()})",
        )

    def kept_schema(self) -> str:
        """Return the query for the kept schema: text, fingerprint, head, run, who, when."""
        return f"SELECT objects, fingerprint, head, run_id, who, at FROM {self.schema_table}"

    def now_text(self) -> str:
        """Return SQL for the time as ISO-8601 text in UTC."""
        raise NotImplementedError

    def table_of(self, key: Key, objects: Objects) -> str:
        """Return the table that an object belongs to, a table itself, or an empty string."""
        return ""

    def goes_with(self, key: Key, objects: Objects, partners: Collection[Key], making: bool) -> bool:
        """Return whether an object comes (``making``) or goes by itself with one of its ``partners``."""
        return False

    def create_object(self, key: Key, objects: Objects) -> str:
        """Return the SQL that makes an object as ``objects`` define it, an empty string where nobody can tell."""
        return ""

    def drop_object(self, key: Key, objects: Objects) -> str:
        """Return the SQL that drops an object, an empty string where nobody can tell."""
        return ""

    def change_object(self, key: Key, have: Objects, want: Objects) -> str:
        """Return the SQL that makes a standing object what it should be, an empty string where nobody can tell."""
        return ""
