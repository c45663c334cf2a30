"""Drift: what others changed in a schema since Windlass last had its hands on it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Optional

from .. import journal
from ..errors import WindlassError
from ..model import Options, Plan, Target, Wire
from ..session import ServerError, Session, connect
from . import comparison, memory
from .introspect import fingerprint, snapshot


def look(session: Session) -> Wire:
    """Return what differs from the schema that the last run kept.  Raise ServerError, WindlassError.

    ``known`` tells of that schema, None where there is none to compare with (``unknown`` says why, ``new`` whether that
    is because nothing was ever deployed); ``changes`` are in
    an order in which the SQL that adopts them (``adopt``) can run, the SQL that undoes them (``undo``) in the reverse.
    """
    kept = memory.recall(session)
    reason = _unknown(session, kept)
    if kept is None or reason:
        new = kept is None and not journal.read(session).exists
        return {"known": None, "unknown": reason, "new": new, "changes": [], "fingerprint": ""}
    now = snapshot(session)
    found = comparison.compare(session.dialect, kept.schema, now)
    return {
        "known": kept.facts(),
        "unknown": "",
        "new": False,
        "changes": [_wire(item) for item in found],
        "fingerprint": fingerprint(now),
    }


def _wire(item: comparison.Difference) -> Wire:
    data = item.to_wire()
    return {**data, "undo": data.pop("back"), "adopt": data.pop("forth")}


def _unknown(session: Session, kept: Optional[memory.Memory]) -> str:
    if "drift" not in session.dialect.capabilities:
        return "this engine's schema is not kept"
    if kept is None:
        return "no run has kept the schema yet; the next one does"
    if kept.head != journal.read(session).head:
        return f"a run after {kept.run_id} ended without keeping the schema"
    return ""


def read(target: Target) -> Wire:
    """Return :func:`look` at a database.  Raises WindlassError where it cannot be read."""
    try:
        with connect(target, "windlass drift") as session:
            return look(session)
    except ServerError as error:
        raise WindlassError("preflight_failed", error.message, where={"database": target.name}) from error


def accept(target: Target, options: Options) -> Wire:
    """Keep the schema as it stands now and write that into the log; return what was accepted.

    Raises WindlassError (deploy_locked, preflight_failed).
    """
    try:
        with connect(target, f"windlass {options.run_id} {options.who}") as session, _locked(session, options):
            return _accept(session, options)
    except ServerError as error:
        raise WindlassError("preflight_failed", error.message, where={"database": target.name}) from error


def _locked(session: Session, options: Options) -> AbstractContextManager[None]:
    return journal.deployer_lock(session, options.deploy_lock_wait_s, lambda _: None)


def _accept(session: Session, options: Options) -> Wire:
    """Keep what stands, unless nothing differs or nothing is to be changed."""
    found, standing = look(session), journal.read(session)
    if not standing.exists:
        raise WindlassError("preflight_failed", "nothing was ever deployed here", hint="invoke deploy --env ENV")
    if options.check_mode or not (found["changes"] or found["unknown"]):
        return found
    memory.keep(session, standing.head, options.run_id, options.who)
    plan = Plan("", session.target.name, session.target.system, "drift", standing.head)
    told = f"{len(found['changes'])} changes accepted as they stand"
    session.run(session.dialect.journal.event("drift_accepted", plan, None, options, told))
    return found
