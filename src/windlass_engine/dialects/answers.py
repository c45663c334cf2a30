"""What the answers of an engine are made of: objects of a schema, and what one look at a server tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Protocol

#: (kind, identity, definition) of a schema's object; the identity is a full name, and unique within its kind.
Object = tuple[str, str, str]
#: (kind, identity) of an object.
Key = tuple[str, str]
#: Definitions by kind and identity.
Objects = dict[Key, str]


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

    ``temporary`` are bytes of temporary space so far, the session's where the server tells them apart, else all.  None
    is what the server does not tell; ``note`` says what of the locks is not known, and what would let it tell.
    """

    log_bytes: Optional[int]
    locks: Optional[tuple[HeldLock, ...]]
    note: str = ""
    temporary: Optional[int] = None


@dataclass(frozen=True)
class Size:
    """The bytes of a table with its indexes, and those of its ``indexes`` alone (None: not known).

    ``built`` has, where they are not, each index by its name as large as it was when it was built.
    """

    table: str
    bytes: int
    indexes: Optional[int]
    built: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Sizes:
    """One look at sizes, by what stands for a table in the catalogue.

    Of ``whole`` looks what is not there is gone; of others only what is in ``gone``.  ``note`` says what is not known.
    """

    tables: dict[str, Size]
    gone: frozenset[str] = frozenset()
    whole: bool = True
    note: str = ""


@dataclass(frozen=True)
class Wait:
    """A session that is kept waiting, ``waiter``, with the statement (``sql``) that it cannot go on with.

    ``holder`` is the session that it waits for, 0 where the server does not tell; ``table`` may be empty.
    """

    waiter: int
    holder: int
    table: str
    sql: str


class TemporaryFiles(Protocol):
    """Counts what the statements of one session write into temporary files."""

    def again(self) -> None:
        """Ask the server to tell, in a session that was put back to what it was.  Raise ServerError."""

    def forget(self) -> None:
        """Leave out what was written up to now: a statement begins."""

    def passed(self) -> None:
        """A mere setting was made: see that files are still told, and ask nothing.  Raise ServerError."""

    def take(self) -> Optional[int]:
        """Return the bytes of the statement that has ended, None where that is not known (yet).  Raise ServerError."""

    def settle(self) -> Optional[int]:
        """Return the bytes of all statements since the last call, once they can be known; None: not known (yet).

        Raise ServerError.
        """


@dataclass(frozen=True)
class Volumes:
    """The bytes of each table with its indexes, and those of temporary files so far (None: not told in this way).

    ``indexes`` are the bytes of each table's indexes alone, where the server tells them.
    """

    tables: dict[str, int]
    temporary: Optional[int]
    indexes: dict[str, int] = field(default_factory=dict)
