"""The live schema, held against the one that a system's migrations make on a scratch database of the same server."""

from __future__ import annotations

from dataclasses import replace

from .. import journal, scratch
from ..errors import WindlassError
from ..model import Options, Plan, Step, Target, Wire, to_wire
from ..running import execute
from ..schema import comparison, introspect
from ..schema.introspect import Schema
from ..session import ServerError, Session, connect
from .prove import Subject

#: Who owns what and who may do what differs from place to place by design.
LEFT_OUT = ("owner", "grant", "default privileges")


def audit(target: Target, subject: Subject, options: Options) -> Wire:
    """Return the ``gaps`` between what stands and what should, and what is ``expected``; the database is only read.

    A gap's ``sql`` closes it, None where that is work by hand; ``migration`` is the one that brings the object.
    Raises WindlassError where no scratch database can be had, or a migration does not run on it.
    """
    live, tables = _live(target)
    with scratch.database(target) as place:
        stages = list(_build(place, subject, replace(options, remember=False, check_mode=False, settle="again")))
        with connect(place, "windlass audit") as session:
            dialect = session.dialect
    wanted = stages[-1][1] if stages else Schema()
    brought = _brought_by(stages)
    found = comparison.compare(dialect, live, wanted, LEFT_OUT)
    by_key = {(kind, identity): text for kind, identity, text in wanted.objects}
    expected = [
        {
            "kind": kind,
            "identity": identity,
            "table": dialect.table_of((kind, identity), by_key),
            "migration": brought.get((kind, identity), ""),
        }
        for kind, identity, _ in wanted.objects
        if kind not in LEFT_OUT
    ]
    return {
        "expected": expected,
        "gaps": [_gap(item, brought.get((item.kind, item.identity), "")) for item in found],
        "sizes": tables,
        "grammar": dialect.grammar,
    }


def _gap(item: comparison.Difference, migration: str) -> Wire:
    words = {comparison.ADDED: "missing", comparison.MISSING: "extra", comparison.CHANGED: "different"}
    return {
        "kind": item.kind,
        "identity": item.identity,
        "table": item.table,
        "what": words[item.what],
        "live": item.before,
        "wanted": item.after,
        "sql": item.forth,
        "migration": migration,
    }


def _live(target: Target) -> tuple[Schema, Wire]:
    """Return the live schema and the sizes of its tables."""
    with connect(target, "windlass audit") as session:
        schema = _snapshot(session)
        names = [tuple(identity.split(".")) for kind, identity, _ in schema.objects if kind == "table"]
        try:
            sizes: Wire = to_wire(session.dialect.tables(session.link, names))
        except ServerError:
            sizes = {}
    return schema, sizes


def _snapshot(session: Session) -> Schema:
    try:
        return introspect.snapshot(session)
    except ServerError as error:
        raise WindlassError("preflight_failed", f"the schema cannot be read: {error.message}") from error


def _build(place: Target, subject: Subject, options: Options) -> list[tuple[str, Schema]]:
    """Return the schema after each migration, and at last after the repeatables."""
    stages = []
    for migration in subject.migrations:
        step = Step("apply", "migration", migration.name, "audit", migration.up, down=migration.down)
        stages.append((migration.name, _after(place, subject.system, step, options)))
    for repeatable in subject.repeatables:
        step = Step("apply", "repeatable", repeatable.name, "audit", repeatable.script)
        stages.append((repeatable.name, _after(place, subject.system, step, options)))
    return stages


def _after(place: Target, system: str, step: Step, options: Options) -> Schema:
    """Run one script and return the schema then."""
    with connect(place, "windlass audit") as session:
        head = journal.read(session).head
    result = execute.run(place, Plan("", place.name, system, "up", head, (step,)), options, lambda _: None)
    if result["error"]:
        raise WindlassError.from_wire(result["error"])
    with connect(place, "windlass audit") as session:
        return _snapshot(session)


def _brought_by(stages: list[tuple[str, Schema]]) -> dict[tuple[str, str], str]:
    """Return the script that last made or changed each object."""
    brought: dict[tuple[str, str], str] = {}
    before: dict[tuple[str, str], str] = {}
    for name, schema in stages:
        now = {(kind, identity): text for kind, identity, text in schema.objects}
        brought.update({key: name for key, text in now.items() if before.get(key) != text})
        before = now
    return brought


def text(target: Target) -> Wire:
    """Return a schema's objects in a stable order, its fingerprint and the server's version."""
    with connect(target, "windlass snapshot") as session:
        schema = _snapshot(session)
        try:
            version = session.dialect.facts(session.link).server_version_text
        except ServerError as error:
            raise WindlassError("preflight_failed", error.message) from error
    return {"objects": [list(item) for item in schema.objects], "fingerprint": introspect.fingerprint(schema),
            "server_version": version}  # fmt: skip
