"""The values that cross the wire between control node and target: frozen, plain, comparable."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, TypeVar

Wire = dict[str, Any]
T = TypeVar("T")


def to_wire(value: Any) -> Any:
    """Return dataclasses as dicts and tuples as lists, fit for JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_wire(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [to_wire(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_wire(item) for key, item in value.items()}
    return value


def digest_of(value: Any) -> str:
    """Return the SHA-256 (64 hex digits) of a value's canonical JSON form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=to_wire)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


@dataclass(frozen=True)
class Backfill:
    """A batched UPDATE over key ranges: ``batch`` keys at a time, ``pause_ms`` milliseconds between batches."""

    table: str
    key: str
    batch: int
    pause_ms: int = 0


@dataclass(frozen=True)
class Statement:
    """One statement of a script: the text from ``start`` to ``end`` (characters), which begins at ``line`` (1-based).

    ``copy_data`` says that the slice is a COPY … FROM stdin with its data block.  ``check`` is the name in a
    ``-- check:`` line above it.
    """

    start: int
    end: int
    line: int
    copy_data: bool = False
    check: str = ""
    backfill: Optional[Backfill] = None

    @classmethod
    def from_wire(cls, data: Wire) -> Statement:
        """Rebuild from :func:`to_wire`."""
        backfill = Backfill(**data["backfill"]) if data.get("backfill") else None
        return cls(**{**data, "backfill": backfill})


@dataclass(frozen=True)
class Directives:
    """What a script's header asks for.  Times are milliseconds; ``None`` means the policy's value.

    ``allows`` are (rule, reason) of what lint may find and the author wants.
    """

    transactional: bool = True
    lock_timeout_ms: Optional[int] = None
    lock_retries: Optional[int] = None
    statement_timeout_ms: Optional[int] = None
    requires: tuple[str, ...] = ()
    irreversible: str = ""
    scratch: bool = False
    rerunnable: bool = False
    schedule: str = ""
    repeat_ms: Optional[int] = None
    allows: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_wire(cls, data: Wire) -> Directives:
        """Rebuild from :func:`to_wire`."""
        allows = tuple((rule, reason) for rule, reason in data.get("allows", ()))
        return cls(**{**data, "requires": tuple(data.get("requires", ())), "allows": allows})


@dataclass(frozen=True)
class Script:
    """One SQL file: its project-relative ``path``, normalised ``text``, ``checksum`` and parts."""

    path: str
    text: str
    checksum: str
    directives: Directives = Directives()
    statements: tuple[Statement, ...] = ()

    def sql(self, statement: Statement) -> str:
        """Return a statement's own text."""
        return self.text[statement.start : statement.end]

    @classmethod
    def from_wire(cls, data: Wire) -> Script:
        """Rebuild from :func:`to_wire`."""
        return cls(
            path=data["path"],
            text=data["text"],
            checksum=data["checksum"],
            directives=Directives.from_wire(data.get("directives", {})),
            statements=tuple(Statement.from_wire(item) for item in data.get("statements", ())),
        )


@dataclass(frozen=True)
class JournalEntry:
    """A migration or repeatable as the journal knows it.

    ``state``: ``applied`` (whole), ``partial`` (a no-transaction migration stopped after ``statements_done``),
    ``reverting`` (its down script stopped after ``statements_done``).  ``prefix_hash`` is the cumulative hash of the
    statements done; ``started`` is the number (1-based) of a statement that began and left no end, else 0.
    """

    name: str
    kind: str
    state: str
    checksum: str
    ordinal: int
    statements_done: int = 0
    statements_total: int = 0
    prefix_hash: str = ""
    started: int = 0
    irreversible: str = ""
    has_down: bool = True
    applied_at: str = ""
    applied_by: str = ""
    run_id: str = ""
    up_text: str = ""
    down_text: str = ""
    verify_text: str = ""


@dataclass(frozen=True)
class Journal:
    """Everything the planner needs to know of one database; ``head`` changes whenever an entry does."""

    exists: bool = False
    entries: tuple[JournalEntry, ...] = ()

    @functools.cached_property
    def head(self) -> str:
        """Return the digest of what is applied and how far."""
        return digest_of(
            [[e.name, e.kind, e.state, e.checksum, e.ordinal, e.statements_done, e.started] for e in self.entries]
        )

    @functools.cached_property
    def _by_name(self) -> dict[tuple[str, str], JournalEntry]:
        """Return the entries by kind and name: a plan looks each migration up."""
        return {(entry.kind, entry.name): entry for entry in self.entries}

    def get(self, kind: str, name: str) -> Optional[JournalEntry]:
        """Return an entry, or None."""
        return self._by_name.get((kind, name))

    @classmethod
    def from_wire(cls, data: Wire) -> Journal:
        """Rebuild from :func:`to_wire`."""
        return cls(data["exists"], tuple(JournalEntry(**item) for item in data["entries"]))


@dataclass(frozen=True)
class Step:
    """One thing that a run will do.

    ``action``: ``apply``, ``resume``, ``reapply`` (a repeatable whose checksum changed), ``revert``, ``baseline``.
    ``kind``: ``migration`` or ``repeatable``.  ``reason`` tells people why it is in the plan.  ``script`` is what runs
    (up, or down for a revert; a baseline runs its verify script).  ``down`` and ``verify`` are kept in the journal.
    ``resumed``: an earlier run left it half-done; ``skip`` statements of it are done already.
    """

    action: str
    kind: str
    name: str
    reason: str
    script: Script
    reversible: bool = True
    resumed: bool = False
    skip: int = 0
    down: Optional[Script] = None
    verify: Optional[Script] = None

    @classmethod
    def from_wire(cls, data: Wire) -> Step:
        """Rebuild from :func:`to_wire`."""
        parts = {key: Script.from_wire(data[key]) if data.get(key) else None for key in ("script", "down", "verify")}
        return cls(**{**data, **parts})


@dataclass(frozen=True)
class Plan:
    """What will run on one database, in order; a pure function of the project and the journal.

    ``to`` is the migration up to which it was asked for, empty for all.
    """

    host: str
    database: str
    system: str
    direction: str
    journal_head: str
    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()
    atomic: bool = False
    to: str = ""

    @functools.cached_property
    def digest(self) -> str:
        """Return 64 hex digits that stand for exactly this work on exactly this state."""
        steps = [
            [s.action, s.kind, s.name, s.script.checksum, s.down.checksum if s.down else "", s.skip] for s in self.steps
        ]
        return digest_of([self.host, self.database, self.system, self.direction, self.journal_head, steps, self.atomic])

    @classmethod
    def from_wire(cls, data: Wire) -> Plan:
        """Rebuild from :func:`to_wire`."""
        steps = tuple(Step.from_wire(item) for item in data["steps"])
        return cls(**{**data, "steps": steps, "warnings": tuple(data["warnings"])})


@dataclass(frozen=True)
class Target:
    """How to log in to one database.  ``password`` never leaves the session; ``url`` never holds one."""

    name: str
    system: str
    url: str
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Options:
    """How a run behaves, from policy and command line.  Times are milliseconds unless named otherwise."""

    run_id: str
    who: str
    origin: str
    environment: str = "ENV"
    atomic: bool = False
    check_mode: bool = False
    lock_timeout_ms: int = 200
    lock_retries: int = 40
    deploy_lock_wait_s: float = 60.0
    on_failure: str = "stop"
    settle: str = ""
    allow_data_loss: bool = False
    remember: bool = True
    #: Why the environment's gate was passed although points of it are not met.
    broken_glass: str = ""
    archive: bool = True
    scratch: bool = False
    restore_archived: bool = False


@dataclass(frozen=True)
class Loss:
    """Rows that a down script takes away from a table that stands.

    ``kind``: ``table`` (all of it goes), ``columns`` (these go, or become another type), ``rows`` (it changes or
    deletes some, or may).  ``table`` is the full name, quoted; ``columns`` and ``keys`` (the primary key's) are bare.
    ``sparse``: rows that have nothing in these columns lose nothing.  ``rows`` and ``bytes`` are what the server
    counts or, where ``about`` says so, estimates.
    """

    kind: str
    table: str
    columns: tuple[str, ...]
    keys: tuple[str, ...] = ()
    sparse: bool = False
    rows: int = 0
    bytes: int = 0
    about: bool = False


@dataclass(frozen=True)
class Losses:
    """What each of several down scripts takes away, and how the first failed when it was tried (empty: none did).

    ``untried`` says why something of them could not be tried, ``lacking`` that there is no room for what they take
    away (``{needed_bytes, free_bytes}``).
    """

    of: tuple[tuple[Loss, ...], ...]
    failure: str = ""
    untried: str = ""
    lacking: Optional[Wire] = None


@dataclass(frozen=True)
class Archive:
    """One archive as the manifest knows it: a :class:`Loss` of a migration, kept by a run.

    ``state``: ``copying`` (not the only copy yet), ``kept``, ``put back``, ``purged``.  ``rows`` is exact once kept.
    """

    name: str
    run_id: str
    migration: str
    kind: str
    table: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    state: str
    rows: int = 0
    at: str = ""
    who: str = ""


@dataclass(frozen=True)
class StatementFacts:
    """What a statement will do to a table that stands.

    ``way`` is how the server does it, in words (``instant``, ``online``, ``copies the table, writers wait`` …); empty
    where it is not known, and ``note`` says why.  ``rows`` is the server's own estimate, ``bytes`` counts indexes too.
    ``subject`` is the column or index that is meant, empty for all that the statement does to the table.
    """

    table: str
    way: str
    rows: int
    bytes: int
    note: str = ""
    subject: str = ""


@dataclass(frozen=True)
class Probe:
    """A read-only search for rows that would make a statement fail.

    ``kind`` is one of ``nulls`` (in ``columns``), ``rows`` (any at all), ``duplicates`` (of ``expressions``, SQL, where
    ``condition`` holds), ``orphans`` (``columns`` without their match in ``other``), ``violations`` (of ``condition``,
    SQL), ``unvalidated`` (of the constraint that ``columns`` names), ``unfit`` (values of the column that ``type``, or
    ``expressions`` of it, cannot hold).  Tables are names in their parts.
    """

    kind: str
    table: tuple[str, ...]
    columns: tuple[str, ...] = ()
    expressions: tuple[str, ...] = ()
    condition: str = ""
    other: tuple[str, ...] = ()
    other_columns: tuple[str, ...] = ()
    type: str = ""
    nulls_equal: bool = False

    @classmethod
    def from_wire(cls, data: Wire) -> Probe:
        """Rebuild from :func:`to_wire`."""
        plain: Wire = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
        return cls(**plain)


@dataclass(frozen=True)
class TableFacts:
    """A table as it stands: the server's estimate of its rows, its bytes with indexes, and how it is used.

    ``reads_s`` and ``writes_s`` are rows a second over the time that the server has counted, -1 where it does not.
    """

    rows: int
    bytes: int
    reads_s: float = -1.0
    writes_s: float = -1.0


@dataclass(frozen=True)
class CheckResult:
    """One check: it passed when ``failures`` is empty; each failure is one message.  ``error`` is an engine error."""

    name: str
    path: str
    line: int
    failures: tuple[str, ...] = ()
    error: str = ""
    duration_ms: int = 0

    @property
    def passed(self) -> bool:
        """Return whether nothing was found."""
        return not self.failures and not self.error
