"""What down scripts would take away, in the way that the engine can tell it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Callable, Optional

from .. import scratch
from ..dialects.link import ServerError
from ..errors import WindlassError
from ..model import Loss, Losses, Script, Target, Wire
from ..session import Session, connect

_APPLICATION = "windlass looks what would be lost"
#: What a transaction that is taken back would not take back.
_OUTSIDE = re.compile(r"(?i)\b(dblink\w*|program|subscription)\b")
_WAY_OUT = "after a look and a backup it can be undone without an archive: --no-archive"


def find(
    session: Session,
    downs: Sequence[Script],
    *,
    another: Callable[[], Session],
    scratch_allowed: bool,
    trying: bool = False,
) -> Losses:
    """Return what each script would take away, were they run in this order.

    ``session`` is only read on; ``another`` opens a second one to the same database, for what has to be tried.
    ``trying``: scripts that say by their words what they take away are tried as well, to see that they work.
    Raises ServerError where the server refuses a script, WindlassError (archive_failed) where nobody can tell.
    """
    archives = session.dialect.archives
    if archives.together:
        _refuse_outside(downs)
        with another() as trial:
            return archives.losses(trial.link, downs, session.target.name)
    read = [archives.readable(session.link, down) for down in downs]
    if None not in read:
        found = Losses(tuple(tuple(losses) for losses in read if losses is not None))
        return _seen_to_work(session, found, downs, scratch_allowed) if trying else found
    if not scratch_allowed:
        raise _unknown(session.target, "it calls procedures, and the policy allows no scratch database to try it in")
    return _tried(session, downs)


def alone(target: Target, downs: Sequence[Script], *, scratch_allowed: bool, trying: bool = True) -> Losses:
    """Return what each script would take away.  Raise WindlassError, also for what the server refuses."""
    with connect(target, _APPLICATION) as session:
        try:
            another = partial(connect, target, _APPLICATION)
            found = find(session, downs, another=another, scratch_allowed=scratch_allowed, trying=trying)
            return replace(found, lacking=lacking_room(session, found.of))
        except ServerError as error:
            raise _unknown(target, error.message) from None


def lacking_room(session: Session, losses: Iterable[Sequence[Loss]]) -> Optional[Wire]:
    """Return ``{needed_bytes, free_bytes}`` where an archive of losses has no room, None where it has or nobody knows.

    What a loss takes is estimated; what a script only changes is not known beforehand, and counted as nothing.
    """
    needed = sum(loss.bytes for script in losses for loss in script)
    free = session.dialect.free_bytes(session.link, session.target) if needed else None
    return {"needed_bytes": needed, "free_bytes": free} if free is not None and needed > free else None


def no_room(lacking: Wire) -> WindlassError:
    """Return the error of an archive that has no room."""
    needed, free = (f"{lacking[key] / 1e6:.1f} MB" for key in ("needed_bytes", "free_bytes"))
    return WindlassError(
        "space_missing",
        f"the archive of what undoing takes away needs about {needed} in the server's data folder, and {free} are free",
        hint=f"nothing was undone; make room there (invoke archives --env ENV lists what can be purged); {_WAY_OUT}",
        detail=lacking,
    )


def _tried(session: Session, downs: Sequence[Script]) -> Losses:
    """Run the scripts in a scratch database with a copy of the tables."""
    original = session.dialect.facts(session.link).database
    try:
        with scratch.database(session.target) as place, connect(place, _APPLICATION) as trial:
            return session.dialect.archives.losses(trial.link, downs, original)
    except ServerError as error:
        raise _unknown(session.target, f"on a copy of the tables: {error.message}") from None


def _seen_to_work(session: Session, found: Losses, downs: Sequence[Script], scratch_allowed: bool) -> Losses:
    """Add how scripts failed on empty copies of what they name, or why they were not tried."""
    dry_run = session.dialect.archives.dry_run
    if dry_run is None:
        return found
    if not scratch_allowed:
        return replace(found, untried="the policy allows no scratch database (windlass_policy.scratch: allow)")
    try:
        with scratch.database(session.target) as place, connect(place, _APPLICATION) as trial:
            failure, untried = dry_run(session.link, trial.link, downs)
    except (ServerError, WindlassError) as error:
        failure, untried = "", error.message
    return replace(found, failure=failure, untried=untried)


def _refuse_outside(downs: Sequence[Script]) -> None:
    """Refuse to try what reaches other servers or programs."""
    for down in downs:
        found = _OUTSIDE.search(down.text)
        if found:
            raise WindlassError(
                "archive_failed",
                f"what it takes away cannot be tried beforehand: it reaches beyond this server ({found[0]})",
                hint=_WAY_OUT,
                where={"file": down.path},
            )


def _unknown(target: Target, reason: str) -> WindlassError:
    return WindlassError(
        "archive_failed",
        f"what the down script takes away cannot be told beforehand: {reason}",
        hint=f"windlass_policy.scratch: allow lets it be tried in a scratch database; {_WAY_OUT}",
        where={"database": target.name},
    )
