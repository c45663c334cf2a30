"""The swap: a restored database takes the place of the original, which is kept under a dated name.

Logins are blocked and sessions ended first, for a rename waits for nobody.  Both renames and the unblocking are one
transaction, so at every moment there is a database of the name, or the old state.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import Optional

from .backup import Emit, require_engine, stamped
from .dialects.postgresql import dump
from .dialects.postgresql.surroundings import quoted
from .dialects.postgresql.text import literal
from .errors import WindlassError
from .model import Target, Wire
from .session import ServerError, Session, connect

#: The comment of a database until it is restored and verified; one that has it is not good, whoever ended the run.
UNFINISHED = "windlass: restore under way, not verified"
_NAME_BYTES = 63
_PATIENCE_S = 30.0
_POLL_S = 0.1


def swap(target: Target, side_name: str, emit: Emit) -> Wire:
    """Put the database ``side_name`` in the place of the target's, which is kept as ``<name>_before_<time>``.

    Returns ``{into, swapped, kept_as, ended_sessions, duration_ms}``; ``kept_as`` is empty when there was no database
    of that name.  Emits ``swap_started`` and ``swap_done``.  Raises WindlassError (restore_failed, connection_lost);
    then everything is as before, and logins are allowed.
    """
    require_engine(target)
    name = dump.database_name(target)
    return _exchange(target, side_name, _dated(name, "before"), emit)


def undo_swap(target: Target, emit: Emit, kept_name: str = "") -> Wire:
    """Put the newest (or the named) database that a swap kept back in its place.

    What stands there now is kept as ``<name>_undone_<time>``.  Returns and raises as :func:`swap` does.
    """
    require_engine(target)
    name = dump.database_name(target)
    return _exchange(target, kept_name or _newest_kept(target, name), _dated(name, "undone"), emit)


@contextmanager
def told(target: Target, what: str) -> Iterator[None]:
    """Tell of every failure as a WindlassError that names the database."""
    try:
        yield
    except WindlassError as error:
        raise error.located(database=target.name) from None
    except ServerError as error:
        code = "connection_lost" if error.lost else "restore_failed"
        text = ": ".join(part for part in (error.message, error.detail) if part)
        hint = error.hint or "mend the cause and start again"
        raise WindlassError(code, f"the {what} broke off: {text}", hint=hint, where={"database": target.name}) from None
    except OSError as error:
        text = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise WindlassError("restore_failed", text, where={"database": target.name}) from None


@contextmanager
def maintenance(target: Target, avoid: tuple[str, ...] = ()) -> Iterator[Session]:
    """Log in to a database of the same server that is neither restored nor renamed."""
    names = [name for name in ("postgres", "template1") if name not in avoid]
    session: Optional[Session] = None
    for name in names:
        try:
            session = connect(dump.elsewhere(target, name), "windlass restore")
            break
        except WindlassError as error:
            if error.code not in ("database_unreachable", "login_refused") or name == names[-1]:
                raise
    assert session is not None
    with session:
        yield session


def _exchange(target: Target, incoming: str, kept: str, emit: Emit) -> Wire:
    """Block, end, rename; or leave everything as it was."""
    name = dump.database_name(target)
    emit = stamped(emit, target.name)
    began = time.monotonic()
    with told(target, "swap"), maintenance(target, (name, incoming)) as admin:
        names = [name, incoming] if _exists(admin, name) else [incoming]
        _require_possible(admin, name, incoming)
        emit({"event": "swap_started", "incoming": incoming, "kept_as": kept if name in names else ""})
        with _logins_blocked(admin, names):
            ended = _end_sessions(admin, names)
            admin.run(_renames(name, incoming, kept if name in names else ""))
    result = {
        "into": name,
        "swapped": True,
        "kept_as": kept if name in names else "",
        "ended_sessions": ended,
        "duration_ms": int((time.monotonic() - began) * 1000),
    }
    emit({"event": "swap_done", **result})
    return result


def _renames(name: str, incoming: str, kept: str) -> str:
    """Return the one transaction that exchanges the names and allows logins again."""
    steps = ["BEGIN"]
    if kept:
        steps += [f"ALTER DATABASE {quoted(name)} RENAME TO {quoted(kept)}"]
    steps += [f"ALTER DATABASE {quoted(incoming)} RENAME TO {quoted(name)}"]
    steps += [f"ALTER DATABASE {quoted(each)} WITH ALLOW_CONNECTIONS true" for each in (name, kept) if each]
    return "; ".join([*steps, "COMMIT"])


@contextmanager
def _logins_blocked(admin: Session, names: list[str]) -> Iterator[None]:
    """Keep new sessions out; after a failure let them in again."""
    try:
        for each in names:
            admin.run(f"ALTER DATABASE {quoted(each)} WITH ALLOW_CONNECTIONS false")
        yield
    except BaseException:
        with suppress(ServerError):
            admin.run("ROLLBACK")
        for each in names:
            with suppress(ServerError):
                admin.run(f"ALTER DATABASE {quoted(each)} WITH ALLOW_CONNECTIONS true")
        raise


def _end_sessions(admin: Session, names: list[str]) -> int:
    """End every session of the databases; return how many there were.  Raise WindlassError when some stay."""
    listed = ", ".join(literal(each) for each in names)
    there = (
        "SELECT pid, coalesce(usename::text, backend_type), application_name FROM pg_stat_activity "
        f"WHERE datname IN ({listed}) AND pid <> pg_backend_pid() AND backend_type IS DISTINCT FROM 'autovacuum worker'"
    )
    ended: set[int] = set()
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        rows = admin.query(there)
        ended.update(pid for pid, _, _ in rows)
        if not rows:
            return len(ended)
        if time.monotonic() > deadline:
            who = ", ".join(f"pid {pid} ({user}, {application or 'no name'})" for pid, user, application in rows[:5])
            raise WindlassError(
                "restore_failed",
                f"sessions would not end: {who}",
                hint="end them, then swap again; nothing was changed",
            )
        admin.query(f"SELECT pg_terminate_backend(pid) FROM ({there}) s")
        time.sleep(_POLL_S)


def _require_possible(admin: Session, name: str, incoming: str) -> None:
    """Refuse what cannot be renamed, before anybody is thrown out."""
    if not _exists(admin, incoming):
        raise _refusal(f"there is no database {incoming!r}")
    if incoming == name:
        raise _refusal(f"{incoming!r} is the database itself")
    comment = admin.query(
        f"SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = {literal(incoming)}"
    )[0][0]
    if comment == UNFINISHED:
        raise _refusal(f"{incoming!r} was never restored to its end; drop it and restore again")
    prepared = admin.query(
        f"SELECT gid FROM pg_prepared_xacts WHERE database IN ({literal(name)}, {literal(incoming)})"
    )
    if prepared:
        gids = ", ".join(gid for (gid,) in prepared)
        raise _refusal(f"prepared transactions keep the databases in use: {gids}; commit or roll them back")


def _refusal(message: str) -> WindlassError:
    """Return the error of a swap that did not begin."""
    return WindlassError("restore_failed", message, hint="nothing was changed")


def _exists(admin: Session, name: str) -> bool:
    """Return whether there is a database of that name."""
    return bool(admin.query(f"SELECT 1 FROM pg_database WHERE datname = {literal(name)}"))


def _newest_kept(target: Target, name: str) -> str:
    """Return the database that the last swap kept.  Raise WindlassError when there is none."""
    prefix = _with_end(name, "_before_", room=len("20260131T031500Z"))
    with told(target, "undoing of the swap"), maintenance(target, (name,)) as admin:
        rows = admin.query(
            f"SELECT datname::text FROM pg_database WHERE starts_with(datname::text, {literal(prefix)}) ORDER BY 1"
        )
    if not rows:
        raise _refusal(f"no swap of {name!r} is there to undo: no database {prefix}…")
    return str(rows[-1][0])


def _dated(name: str, word: str) -> str:
    """Return ``<name>_<word>_<time>`` within the server's limit for names."""
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    return _with_end(name, f"_{word}_", room=len(stamp)) + stamp


def _with_end(name: str, end: str, room: int) -> str:
    """Return a name with an end, cut between characters so that ``room`` bytes more fit."""
    kept = name.encode("utf-8")[: _NAME_BYTES - room - len(end)]
    return kept.decode("utf-8", "ignore") + end
