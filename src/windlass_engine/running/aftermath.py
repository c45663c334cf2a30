"""The truth after a run lost its server: asked for on new connections, until the server can tell it."""

from __future__ import annotations

import time
from typing import Callable, Optional, TypeVar

from ..dialects.link import ServerError
from ..errors import WindlassError
from ..session import Session

#: How long a run asks a server that does not answer (seconds) …
PATIENCE_S = 15.0
#: … and one that answers, but will know only soon: it is starting, is a standby, or still works for the lost session.
LONG_PATIENCE_S = 120.0
EVERY_S = 0.5
_SILENT = "the server does not answer"
T = TypeVar("T")


def ask(connect: Callable[[], Session], lost_pid: int, read: Callable[[Session], T]) -> tuple[Optional[T], str]:
    """Return what ``read`` finds on a new connection, or None and why nobody can tell.

    While the session of process ``lost_pid`` still works on the server, its message may yet commit: its end is waited
    for.  What a standby tells need not be all that was committed.
    """
    began = heard = time.monotonic()
    reason = _SILENT
    while time.monotonic() - heard < PATIENCE_S and time.monotonic() - began < LONG_PATIENCE_S:
        try:
            with connect() as session:
                reason = _hindrance(session, lost_pid)
                if not reason:
                    return read(session), ""
                heard = time.monotonic()
        except WindlassError as error:
            starting = bool(error.detail.get("starting"))
            reason, heard = (error.message, time.monotonic()) if starting else (_SILENT, heard)
        except ServerError:
            reason = _SILENT
        time.sleep(EVERY_S)
    return None, reason


def _hindrance(session: Session, lost_pid: int) -> str:
    """Return why a server that answers cannot tell yet, empty where it can."""
    holder = session.dialect.lock_holder(session.link)
    if holder is not None and holder.pid == lost_pid:
        return f"the server still works for the lost session (pid {lost_pid})"
    if session.dialect.facts(session.link).read_only:
        return "only a standby or read-only server answers"
    return ""
