"""The journal of one database and the lock of its deployer."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Callable

from .dialects.answers import Blocker
from .errors import WindlassError
from .model import Journal, JournalEntry, Wire
from .session import ServerError, Session

_POLL_S = 0.25


def read(session: Session, texts_of: Collection[str] = ()) -> Journal:
    """Return the journal in one round trip, with the scripts' texts for the named entries only.

    Raises WindlassError (database_unreachable, preflight_failed).
    """
    try:
        rows = session.query(session.dialect.journal.read(sorted(texts_of)))
    except ServerError as error:
        if session.dialect.lacks_journal(error):
            return Journal()
        raise _unreadable(session, error) from error
    return Journal(True, tuple(_entry(row) for row in rows))


def _entry(row: Sequence[Any]) -> JournalEntry:
    """Return a row as an entry; an engine may have no truth values of its own."""
    entry = JournalEntry(*row)
    return entry if isinstance(entry.has_down, bool) else replace(entry, has_down=bool(entry.has_down))


def read_events(session: Session, limit: int = 50) -> list[Wire]:
    """Return the newest events, newest first; no journal means no events."""
    fields = ("at", "event", "run_id", "digest", "kind", "name", "who", "origin", "duration_ms", "detail")
    try:
        rows = session.query(session.dialect.journal.events(limit))
    except ServerError as error:
        if session.dialect.lacks_journal(error):
            return []
        raise _unreadable(session, error) from error
    return [dict(zip(fields, row)) for row in rows]


def last_events(session: Session, event: str) -> dict[str, int]:
    """Return how many seconds ago the last such event of each name was.  Raise ServerError."""
    return {str(name): int(age_s) for name, age_s in session.query(session.dialect.journal.last_events(event))}


def create(session: Session) -> None:
    """Make the journal where it is missing.  Raise WindlassError (preflight_failed, read_only_server)."""
    try:
        session.run(session.dialect.journal.create())
    except ServerError as error:
        session.run("ROLLBACK")
        code = "read_only_server" if session.dialect.is_read_only_failure(error) else "preflight_failed"
        raise WindlassError(
            code,
            f"the journal's schema cannot be made: {error.message}",
            hint="give the deploying role CREATE on the database, or deploy to the primary",
            where={"database": session.target.name},
        ) from error


@contextmanager
def deployer_lock(session: Session, wait_s: float, emit: Callable[[Wire], None]) -> Iterator[None]:
    """Hold the deployer lock on this very session.

    Polls for ``wait_s`` seconds with no transaction open and says who holds it.  Raises WindlassError (deploy_locked).
    The lock ends with the session, so a killed run never leaves one behind.
    """
    began = time.monotonic()
    while not session.dialect.try_lock(session.link):
        holder = session.dialect.lock_holder(session.link)
        elapsed = time.monotonic() - began
        if elapsed >= wait_s:
            raise _locked(session, holder, elapsed)
        emit({"event": "lock_waiting", "holder": holder_text(holder), "elapsed_ms": int(elapsed * 1000)})
        time.sleep(_POLL_S)
    emit({"event": "lock_acquired", "elapsed_ms": int((time.monotonic() - began) * 1000)})
    yield


def wait_until_free(session: Session, wait_s: float) -> None:
    """Wait for up to ``wait_s`` seconds until nobody holds the deployer lock: what stands before that is soon old.

    Raises ServerError.
    """
    until = time.monotonic() + wait_s
    while time.monotonic() < until and session.dialect.lock_holder(session.link):
        time.sleep(_POLL_S)


def holder_text(holder: Any) -> str:
    """Return who holds a lock, in words."""
    if not isinstance(holder, Blocker):
        return "nobody any more"
    name = holder.application or "no application name"
    return f"pid {holder.pid}, {name}, user {holder.user}, for {holder.age_s:.0f} s"


def _locked(session: Session, holder: Any, elapsed: float) -> WindlassError:
    """Return the error of a deployer that waited in vain."""
    return WindlassError(
        "deploy_locked",
        f"another run holds the deployer lock after {elapsed:.0f} s of waiting: {holder_text(holder)}",
        hint="wait for it to end (invoke status --env ENV shows it), or raise deploy_lock_wait in windlass_policy",
        where={"database": session.target.name},
    )


def _unreadable(session: Session, error: ServerError) -> WindlassError:
    """Return the error of a journal that is there but cannot be read."""
    code = "connection_lost" if error.lost else "preflight_failed"
    hint = "give the deploying role the rights of the journal's owner, or log in as that owner"
    return WindlassError(
        code,
        f"the journal cannot be read: {error.message}",
        hint=hint,
        where={"database": session.target.name},
    )
