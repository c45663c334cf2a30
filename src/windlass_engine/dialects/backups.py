"""The contract for backups: what an engine knows of saving and restoring a database.

The steps that all engines share stand in :mod:`..backup`, :mod:`..restore` and :mod:`..exchange`: room, publishing,
manifest, hashes, encryption, comparison.  An engine's :class:`Keeper` gives one object for each backup, restore and
exchange under way, and its manifest fields are its own: only the same engine reads them.
"""

from __future__ import annotations

import errno
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from .. import processes
from ..errors import WindlassError
from ..finding import Finding
from ..following import Look
from ..model import Target, Wire
from .link import Link, Tick

#: What a database that is being restored is marked with, until it is verified.
UNFINISHED = "windlass: restore under way, not verified"
#: How the comment of a database begins that holds the rows of some tables only.
PARTIAL = "windlass: only some tables, of backup "
#: The folder of a backup that holds the engine's own files.
DUMP = "dump"
_NO_SPACE = os.strerror(errno.ENOSPC)


@dataclass(frozen=True)
class Asked:
    """What was asked for: the folder of the client programs (empty: any), workers, patience with locked tables.

    ``tables`` are those whose rows a restore is to bring, as the manifest names them (none: all).
    """

    client_bin: str = ""
    jobs: int = 1
    lock_wait_ms: int = 60_000
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exchanged:
    """How an exchange ended: under which name the old database is kept (empty: there was none), sessions ended."""

    kept_as: str
    ended_sessions: int


class Dumping(ABC):
    """One backup under way, on the session whose view of the data is that of the dump.

    Its methods are called in the order in which they stand here.  They raise ServerError, WindlassError and OSError.
    """

    #: For the manifest: how it is done, with which program, and how its data is packed.
    method: str
    client_version: str
    client_major: int
    compression: str
    #: How many workers there are, known when the dump has started.
    jobs: int = 1
    #: How many bytes a server has written by itself so far, as far as it tells.
    written: int = 0
    #: Where the data lies, in words, when it is none of the backup's own files and out of this host's reach.
    elsewhere: str = ""

    def outside(self, backup_id: str) -> str:
        """Return the path on the server of a file that a backup of this id will write there, or an empty string.

        Called before :meth:`start`.  Unless the manifest names it as ``server_file``, the file goes in the end.
        """
        return ""

    def look(self, path: str) -> Optional[Look]:
        """Return what is to see the content of a file of the backup while it grows, or None (see :mod:`..following`).

        Files of which it sees nothing are read when the dump is written.  May be called in another thread.
        """
        return None

    @abstractmethod
    def begin(self) -> None:
        """Open the view of the data where that disturbs nobody."""

    @abstractmethod
    def sizes(self) -> tuple[int, int]:
        """Return the bytes of the whole database, and those of the data that a dump holds."""

    @abstractmethod
    def start(self, folder: str, held: Sequence[int]) -> None:
        """Start to write the dump into ``folder``, which is not there yet; ``held`` are descriptors to keep open."""

    @abstractmethod
    def surroundings(self) -> Wire:
        """Return manifest fields for what belongs to the database and is not in its schema."""

    @abstractmethod
    def read_aside(self) -> tuple[str, str]:
        """Return what to run before and after a query that may fail without ending the open transaction."""

    @abstractmethod
    def count(self, tick: Tick) -> Wire:
        """Return manifest fields for what the dump holds: ``rows`` by table, and the engine's own counts.

        Where rows are counted in the dump itself, :meth:`read_back` returns them.
        """

    @abstractmethod
    def finish(self, tick: Tick) -> None:
        """Wait until the dump is written, and let go of the view."""

    def is_settled(self) -> bool:
        """Return whether the schema could not change while the dump was written, so nobody has to look again."""
        return True

    @abstractmethod
    def read_back(self, folder: str, scratch: str, held: Sequence[int], tick: Tick) -> Wire:
        """Read a finished dump as a restore would; return more manifest fields.  ``scratch`` is an empty folder."""

    @abstractmethod
    def end(self) -> None:
        """End whatever still runs."""


class Restoring(ABC):
    """One restore under way, into a new database.

    Its methods are called in the order in which they stand here.  They raise ServerError, WindlassError and OSError.
    """

    #: Whether everything is restored, and not only the rows of some tables.
    whole = True

    @abstractmethod
    def obstacles(self) -> tuple[list[str], list[str]]:
        """Return what stands in the way, and what is only worth knowing, before anything is touched."""

    def outlook(self) -> list[str]:
        """Return what else people want to know before anything is touched: versions, room, who is there now."""
        return []

    @abstractmethod
    def create(self) -> None:
        """Make the new database, marked as not finished."""

    @abstractmethod
    def load(self, tick: Tick) -> None:
        """Restore the dump, up to its first error."""

    @abstractmethod
    def compare(self, link: Link) -> tuple[list[str], list[str]]:
        """Compare data and settings with the manifest; return what is wrong, and notes.  Leaves a view open."""

    @abstractmethod
    def excuse(self, line: str, version: int) -> bool:
        """Return whether a difference of the schema makes no bad restore on a server of that version."""

    def is_noted(self, line: str) -> bool:
        """Return whether an excused difference is worth a note."""
        return True

    @abstractmethod
    def try_writing(self, link: Link) -> None:
        """Write, change and delete in a transaction that is taken back."""

    @abstractmethod
    def polish(self, link: Link) -> None:
        """Gather statistics."""

    @abstractmethod
    def accept(self) -> None:
        """Take the mark away: the database is restored and verified."""

    @abstractmethod
    def drop(self) -> bool:
        """Take the new database away again; return whether that could be done."""


class Keeper(ABC):
    """One engine's ways of saving, restoring and exchanging databases."""

    #: The most that a database's name may have, and of what :meth:`name_length` counts.
    name_limit: int
    name_unit: str
    #: What the manifest calls the engine.
    engine: str
    #: Whether single tables can be restored.
    restores_tables = False

    @abstractmethod
    def name_length(self, name: str) -> int:
        """Return the length of a name as the server counts it."""

    @abstractmethod
    def database_name(self, target: Target) -> str:
        """Return the name that the target's database has on its server."""

    @abstractmethod
    def dumping(self, target: Target, link: Link, asked: Asked) -> Dumping:
        """Find the programs for a backup.  Raise WindlassError (backup_failed) with what is needed."""

    @abstractmethod
    def restoring(self, target: Target, known: Wire, folder: str, name: str, asked: Asked) -> Restoring:
        """Find the programs for a restore of the files in ``folder``.  Raise WindlassError (restore_failed)."""

    def recheck(self, target: Target, known: Wire) -> None:
        """Look again at a backup's data that lies on the server.  Raise WindlassError (backup_failed), ServerError."""
        return

    def clear(self, target: Target, paths: Sequence[str]) -> dict[str, str]:
        """Delete files that backups wrote on the server; return those that are still there, each with the reason.

        Raises WindlassError, ServerError.
        """
        return {path: "nobody deletes files of this server" for path in paths}

    def lacking(self, target: Target, known: Wire, name: str, kept: str) -> list[str]:
        """Return what rights are lacking, over what :meth:`Restoring.obstacles` says.

        It is about a restore into the database ``name`` that then takes the target's place, which is kept as ``kept``.
        """
        return []

    def examine(self, target: Target, link: Link) -> Iterator[Finding]:
        """Yield whatever would stop or hurt backups, over what the doctor's look at the server finds."""
        return iter(())

    @abstractmethod
    def databases(self, target: Target, prefix: str) -> list[str]:
        """Return the databases of the target's server whose names begin so, in order."""

    @abstractmethod
    def unfinished(self, target: Target) -> Optional[Callable[[], Exchanged]]:
        """Return how an exchange that was killed in the middle goes on, or None where there is none."""

    @abstractmethod
    def exchange(self, target: Target, incoming: str, kept: str, started: Callable[[str], None]) -> Exchanged:
        """Let the database ``incoming`` take the place of the target's, which is kept as ``kept``.

        Tells ``started`` under which name the old one will be kept, as soon as nothing stands in the way.  Raises
        ServerError, WindlassError (restore_failed); then everything is as before, or :meth:`unfinished` goes on.
        """


def require_success(finished: processes.Finished, name: str, code: str, hint: str, folder: str = "") -> None:
    """Raise for a process that did not end well: WindlassError (``code``), or OSError for a full disk."""
    if finished.code == 0:
        return
    if folder and _NO_SPACE in finished.errors:
        raise OSError(errno.ENOSPC, _NO_SPACE, folder)
    raise WindlassError(
        code,
        f"{name} {finished.how}",
        hint=hint,
        detail={"exit_status": finished.code, "errors": finished.errors[-4000:]},
    )


def rows_lines(expected: Wire, found: Wire) -> list[str]:
    """Return the tables whose rows are not those of the manifest."""
    return [
        f"table {name}: {found.get(name, 'no')} rows instead of {expected.get(name, 'none')}"
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]


#: So long an exchange waits for the deployer lock (seconds): a pass of a maintenance job ends, a deployment may not.
LOCK_PATIENCE_S, _LOCK_POLL_S = 10.0, 0.1


def wait_for_deployer(name: str, try_lock: Callable[[], bool], holder: Callable[[], object]) -> None:
    """Take the deployer lock of the database that is to be exchanged: nobody is thrown out in mid-deployment.

    Raises WindlassError (deploy_locked), ServerError.
    """
    until = time.monotonic() + LOCK_PATIENCE_S
    while not try_lock():
        if time.monotonic() >= until:
            raise WindlassError(
                "deploy_locked", f"another run holds the deployer lock of {name} ({holder()}); nothing was changed",
                hint="wait for it to end (invoke status --env ENV shows it)",
            )  # fmt: skip
        time.sleep(_LOCK_POLL_S)


def refusal(message: str) -> WindlassError:
    """Return the error of an exchange that did not begin."""
    return WindlassError("restore_failed", message, hint="nothing was changed")
