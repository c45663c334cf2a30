"""One look at a database: journal, server facts, who holds the deployer lock.  Changes nothing."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .. import journal
from ..errors import WindlassError
from ..model import Journal, Target, Wire, to_wire
from ..session import ServerError, Session, connect


def look(
    target: Target, texts_of: Collection[str] = (), history: int = 0, lock_wait_s: float = 0.0, newest: int = 0
) -> Wire:
    """Return what stands in a database, as plain data; an error is part of the answer, not raised.

    ``journal`` is the wire form of :class:`Journal`, with the texts of the named entries and of the ``newest``
    migrations that stand; ``history`` the newest events of its log.  For up to ``lock_wait_s`` seconds the end of
    whoever holds the deployer lock is waited for.
    """
    found: Wire = {"system": target.system, "error": None, "journal": None, "lock": None}
    found |= {"history": [], "maintained": {}}
    try:
        with connect(target, "windlass info") as session:
            journal.wait_until_free(session, lock_wait_s)
            found.update(_read(session, texts_of, history, newest))
    except WindlassError as error:
        found["error"] = error.located(database=target.name).to_wire()
    except ServerError as error:
        code = "connection_lost" if error.lost else "preflight_failed"
        found["error"] = WindlassError(code, error.message, where={"database": target.name}).to_wire()
    return found


def _read(session: Session, texts_of: Collection[str], history: int, newest: int) -> Wire:
    """Return facts, lock and journal of a database that is open."""
    stands = journal.read(session, texts_of)
    if newest:
        stands = journal.read(session, {*texts_of, *_newest(stands, newest)})
    lock = session.dialect.lock_holder(session.link)
    facts = facts_of(session)
    return {
        **facts,
        # A pooler gives itself away by another number than the server's: only then is it looked for.
        "pooler": session.pooler() if facts["backend_pid"] != session.backend_pid else "",
        "schema_version": schema_version(stands),
        "applied": sum(entry.state == "applied" for entry in stands.entries),
        "journal_head": stands.head,
        "journal": to_wire(stands),
        "lock": {**to_wire(lock), "holder": journal.holder_text(lock)} if lock else None,
        "history": journal.read_events(session, history) if history else [],
        "maintained": journal.last_events(session, "maintained") if history and stands.exists else {},
    }


def _newest(stands: Journal, count: int) -> list[str]:
    """Return the names of the migrations that came last, half-done ones among them."""
    standing = [e for e in stands.entries if e.kind == "migration" and e.state in ("applied", "partial", "reverting")]
    return [entry.name for entry in sorted(standing, key=lambda entry: entry.ordinal)[-count:]]


def facts_of(session: Session) -> Wire:
    """Return the server's facts under the names that people see.  Raise ServerError."""
    facts: dict[str, Any] = to_wire(session.dialect.facts(session.link))
    number = facts.pop("server_version")
    return {**facts, "server_version": facts.pop("server_version_text"), "server_version_num": number}


def schema_version(stands: Journal) -> str:
    """Return the name of the migration that was applied last, or an empty string."""
    applied = [entry for entry in stands.entries if entry.kind == "migration" and entry.state == "applied"]
    return max(applied, key=lambda entry: entry.ordinal).name if applied else ""


def applied(target: Target) -> tuple[str, ...]:
    """Return the names of the migrations that are applied, in the order in which they were.

    Raises WindlassError (login_refused, database_unreachable, preflight_failed).
    """
    with connect(target, "windlass info") as session:
        entries = journal.read(session).entries
    return tuple(entry.name for entry in entries if entry.kind == "migration" and entry.state == "applied")
