"""What stood in a database before and after an incident, written down: journal, rows, fingerprint, log position.

Afterwards it also tries to write, and runs the verify scripts of the migrations that stand, as the journal keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone

from .. import journal
from ..dialects.link import ServerError
from ..errors import WindlassError
from ..model import CheckResult, Journal, Options, Plan, Target, Wire, to_wire
from ..project import script
from ..schema import introspect
from ..session import Session, connect
from . import inspection, verify

#: Counting the rows of one table may take so long; a larger one stays uncounted (milliseconds).
COUNT_MS = 3000
_APPLICATION = "windlass incident"


def look(target: Target) -> Wire:
    """Return what stands.  Raise WindlassError (connection_lost, preflight_failed, and what connecting raises)."""
    with connect(target, _APPLICATION) as session:
        try:
            return _look(session)
        except ServerError as error:
            code = "connection_lost" if error.lost else "preflight_failed"
            raise WindlassError(code, error.message, where={"database": target.name}) from None


def afterwards(target: Target, options: Options) -> Wire:
    """Return what stands, with ``write_error`` (empty: writing works) and ``checks``, the results of verify scripts."""
    found = look(target)
    with connect(target, _APPLICATION) as session:
        found["write_error"] = _try_writing(session, options)
        found["checks"] = [to_wire(result) for result in _verified(session)]
    return found


def _look(session: Session) -> Wire:
    schema = introspect.snapshot(session)
    facts = inspection.facts_of(session)
    stands = journal.read(session)
    return {
        **facts,
        "at": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "log_position": session.dialect.log_position(session.link),
        "fingerprint": introspect.fingerprint(schema),
        "objects": len(schema.objects),
        "rows": dict(_rows(session, schema)),
        "schema_version": inspection.schema_version(stands),
        "journal_head": stands.head,
        "journal": [_entry(stands, name) for name in sorted(entry.name for entry in stands.entries)],
        "lock": _holder(session),
    }


def _holder(session: Session) -> str:
    """Return who holds the deployer lock, an empty text for nobody."""
    held = session.dialect.lock_holder(session.link)
    return journal.holder_text(held) if held else ""


def _entry(stands: Journal, name: str) -> Wire:
    entry = next(entry for entry in stands.entries if entry.name == name)
    keys = ("kind", "name", "state", "checksum", "statements_done", "applied_at", "applied_by", "run_id")
    return {key: getattr(entry, key) for key in keys}


def _rows(session: Session, schema: introspect.Schema) -> Iterator[tuple[str, object]]:
    """Yield every table with its rows, None where counting takes too long."""
    dialect = session.dialect
    session.run(dialect.set_timeouts(COUNT_MS, COUNT_MS))
    for kind, identity, _ in schema.objects:
        if kind == "table":
            try:
                yield identity, int(session.query(f"SELECT count(*) FROM {dialect.identifier(identity)}")[0][0])
            except ServerError as error:
                if error.lost:
                    raise
                yield identity, None
    session.run(dialect.set_timeouts(0, 0))


def _try_writing(session: Session, options: Options) -> str:
    """Write into the journal's log and take it back; return what speaks against it."""
    if not journal.read(session).exists:
        return ""
    plan = Plan("", session.target.name, session.target.system, "down", "")
    event = session.dialect.journal.event("write_test", plan, None, options, "")
    try:
        session.run([*session.dialect.begin(COUNT_MS, COUNT_MS), event, "ROLLBACK"])
    except ServerError as error:
        return error.message
    return ""


def _verified(session: Session) -> Iterator[CheckResult]:
    """Yield the results of the verify scripts of what is applied."""
    names = [e.name for e in journal.read(session).entries if e.kind == "migration" and e.state == "applied"]
    for entry in journal.read(session, names).entries:
        if entry.name in names and entry.verify_text:
            path = f"{entry.name}/verify.sql"
            found = script.load(entry.verify_text.encode(), path, session.dialect.split, kind="verify")
            for result in () if found.directives.scratch else verify.run_script(session, found, writable=False):
                yield replace(result, name=f"{entry.name}: {result.name}")
