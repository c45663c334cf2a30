"""The swap: a restored database takes the place of the original, which is kept under a dated name.

How the names are exchanged is the engine's; one that was killed in the middle goes on with the next swap or undo.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Callable

from ..dialects.backups import Exchanged, Keeper, refusal
from ..errors import WindlassError
from ..model import Target, Wire
from ..session import ServerError, connect
from .backup import Emit, keeper_of, now, stamped

_BEFORE, _UNDONE = "_before_", "_undone_"
_STAMP = "%Y%m%dT%H%M%SZ"
_STAMP_LENGTH = len("20260131T031500Z")
_STAMPED = re.compile(r"\d{8}T\d{6}Z")
#: What a restore puts behind the original's name where nobody gives another.
_RESTORED = ("_restored", "_restored_tables")


def swap(target: Target, side_name: str, emit: Emit) -> Wire:
    """Put the database ``side_name`` in the place of the target's, which is kept as ``<name>_before_<time>``.

    Returns ``{into, swapped, kept_as, ended_sessions, swapped_at, duration_ms}``; ``kept_as`` is empty when there was
    no database of that name.  Emits ``swap_started`` and ``swap_done``.  Raises WindlassError (restore_failed,
    connection_lost); then everything is as before, or the next swap or undo goes on where this one ended.
    """
    keeper = keeper_of(target)
    return _exchange(keeper, target, emit, lambda: side_name, _BEFORE)


def kept_name(target: Target) -> str:
    """Return the name under which a swap at this moment would keep the target's database."""
    keeper = keeper_of(target)
    return _dated(keeper, keeper.database_name(target), _BEFORE)


def undo_swap(target: Target, emit: Emit, kept_name: str = "") -> Wire:
    """Put the newest (or the named) database that a swap kept back in its place.

    What stands there now is kept as ``<name>_undone_<time>``.  Returns and raises as :func:`swap` does.
    """
    keeper = keeper_of(target)
    return _exchange(keeper, target, emit, lambda: kept_name or _newest_kept(keeper, target), _UNDONE)


def drop(target: Target, name: str) -> Wire:
    """Drop a database that a swap kept or a restore made beside the target's, by the name that it was given.

    Only names that such work gives are taken, so a slip of the keyboard reaches nothing else.  Sessions in it are
    ended.  Returns ``{into, dropped}``.  Raises WindlassError (restore_failed; nothing was dropped).
    """
    keeper = keeper_of(target)
    own = keeper.database_name(target)
    with told(target, "dropping"):
        if not is_given(keeper, own, name):
            raise refusal(
                f"{name!r} is no name that a restore or a swap of {own!r} gives; drop it with the server's own means"
            )
        if name not in keeper.databases(target, name):
            raise refusal(f"there is no database {name!r} on this server")
        with connect(target, "windlass restore") as session:
            session.run(session.dialect.drop_database(name))
    return {"into": own, "dropped": name}


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


def _exchange(keeper: Keeper, target: Target, emit: Emit, incoming: Callable[[], str], word: str) -> Wire:
    """Exchange the names, or end an exchange that was broken off."""
    name = keeper.database_name(target)
    emit = stamped(emit, target.name)
    began = time.monotonic()
    with told(target, "swap"):
        go_on = keeper.unfinished(target)
        if go_on:
            emit({"event": "swap_continued"})
            done = go_on()
        else:
            done = _begin(keeper, target, incoming(), _dated(keeper, name, word), emit)
    result = {
        "into": name,
        "swapped": True,
        "kept_as": done.kept_as,
        "ended_sessions": done.ended_sessions,
        "swapped_at": now(),
        "duration_ms": int((time.monotonic() - began) * 1000),
    }
    emit({"event": "swap_done", **result})
    return result


def _begin(keeper: Keeper, target: Target, incoming: str, kept: str, emit: Emit) -> Exchanged:
    """Begin an exchange and go through with it."""

    def started(kept_as: str) -> None:
        emit({"event": "swap_started", "incoming": incoming, "kept_as": kept_as})

    return keeper.exchange(target, incoming, kept, started)


def is_given(keeper: Keeper, own: str, name: str) -> bool:
    """Return whether a name is one that a restore or a swap gives beside the database ``own``."""
    begins = [_with_end(keeper, own, word) for word in (_BEFORE, _UNDONE)]
    dated = any(name.startswith(begin) and _STAMPED.fullmatch(name[len(begin) :]) for begin in begins)
    return dated or name in [own + end for end in _RESTORED]


def _newest_kept(keeper: Keeper, target: Target) -> str:
    """Return the database that the last swap kept.  Raise WindlassError when there is none."""
    name = keeper.database_name(target)
    prefix = _with_end(keeper, name, _BEFORE)
    found = keeper.databases(target, prefix)
    if not found:
        raise refusal(f"no swap of {name!r} is there to undo: no database {prefix}…")
    return found[-1]


def _dated(keeper: Keeper, name: str, word: str) -> str:
    """Return ``<name>_<word>_<time>`` within the server's limit for names."""
    return _with_end(keeper, name, word) + datetime.now(timezone.utc).strftime(_STAMP)


def _with_end(keeper: Keeper, name: str, end: str) -> str:
    """Return a name with an end, cut between characters so that the time fits behind it."""
    while keeper.name_length(name + end) + _STAMP_LENGTH > keeper.name_limit:
        name = name[:-1]
    return name + end
