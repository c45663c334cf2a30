"""What down scripts would take away, in the way that the engine can tell it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Callable

from .. import scratch
from ..dialects.link import ServerError
from ..errors import WindlassError
from ..model import Losses, Script, Target
from ..session import Session, connect

_APPLICATION = "windlass looks what would be lost"
#: What a transaction that is taken back would not take back.
_OUTSIDE = re.compile(r"(?i)\b(dblink\w*|program|subscription)\b")
_WAY_OUT = "after a look and a backup it can be undone without an archive: --no-archive"


def find(session: Session, downs: Sequence[Script], *, another: Callable[[], Session], scratch_allowed: bool) -> Losses:
    """Return what each script would take away, were they run in this order.

    ``session`` is only read on; ``another`` opens a second one to the same database, for what has to be tried.
    Raises ServerError where the server refuses a script, WindlassError (archive_failed) where nobody can tell.
    """
    archives = session.dialect.archives
    if archives.together:
        _refuse_outside(downs)
        with another() as trial:
            return archives.losses(trial.link, downs, session.target.name)
    read = [archives.readable(session.link, down) for down in downs]
    if None not in read:
        return Losses(tuple(tuple(losses) for losses in read if losses is not None))
    if not scratch_allowed:
        raise _unknown(session.target, "it calls procedures, and the policy allows no scratch database to try it in")
    return _tried(session, downs)


def alone(target: Target, downs: Sequence[Script], *, scratch_allowed: bool) -> Losses:
    """Return what each script would take away.  Raise WindlassError, also for what the server refuses."""
    with connect(target, _APPLICATION) as session:
        try:
            return find(session, downs, another=lambda: connect(target, _APPLICATION), scratch_allowed=scratch_allowed)
        except ServerError as error:
            raise _unknown(target, error.message) from None


def _tried(session: Session, downs: Sequence[Script]) -> Losses:
    """Run the scripts in a scratch database with a copy of the tables."""
    original = session.dialect.facts(session.link).database
    try:
        with scratch.database(session.target) as place, connect(place, _APPLICATION) as trial:
            return session.dialect.archives.losses(trial.link, downs, original)
    except ServerError as error:
        raise _unknown(session.target, f"on a copy of the tables: {error.message}") from None


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
