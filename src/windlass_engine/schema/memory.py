"""What a schema was when Windlass last had its hands on it: kept in the journal, whole, so that drift can be told.

One row a database.  It holds for the journal's head at that time: a run that was cut off leaves another head behind,
and then nobody can tell what it did from what others did.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Optional

from ..dialects.link import ServerError
from ..model import Wire
from ..session import Session
from .introspect import Schema, fingerprint_of, objects_json, snapshot


@dataclass(frozen=True)
class Memory:
    """A schema that was kept: when (UTC, ISO), by which run and whom, and at which head of the journal."""

    schema: Schema
    fingerprint: str
    head: str
    run_id: str
    who: str
    at: str

    def facts(self) -> Wire:
        """Return what people want to know of it."""
        return {"at": self.at, "run_id": self.run_id, "who": self.who, "fingerprint": self.fingerprint}


def recall(session: Session) -> Optional[Memory]:
    """Return what was kept, None where nothing was.  Raise ServerError."""
    if not session.dialect.schema_table:
        return None
    try:
        rows = session.query(session.dialect.kept_schema())
    except ServerError as error:
        if session.dialect.lacks_journal(error):
            return None
        raise
    if not rows:
        return None
    text, mark, head, run_id, who, at = (str(value) for value in rows[0])
    return Memory(_unpacked(text), mark, head, run_id, who, at)


def keep(session: Session, head: str, run_id: str, who: str, schema: Optional[Schema] = None) -> str:
    """Keep a schema, by default the one that stands, for a head of the journal; return its fingerprint.

    It is empty where the engine's schemas are not kept.  Raise ServerError.
    """
    dialect = session.dialect
    if not dialect.schema_table:
        return ""
    objects = objects_json(schema or snapshot(session))
    mark = fingerprint_of(objects)
    rows = dialect.keep_schema(_packed(objects), mark, head, run_id, who)
    try:
        session.run([*dialect.begin(1000, 0), *rows, "COMMIT"])
    except ServerError as error:
        session.run("ROLLBACK")
        if not dialect.lacks_journal(error):
            raise
        session.run(dialect.make_schema_table())
        session.run([*dialect.begin(1000, 0), *rows, "COMMIT"])
    return mark


def keep_quietly(session: Session, head: str, run_id: str, who: str, settings: Sequence[str] = ()) -> str:
    """Keep the schema that stands and return its fingerprint.

    Work that is done and journalled is no failure because this is: then the fingerprint is empty.  ``settings``
    (:meth:`Dialect.prepare_session`) may let the commit be answered before it is safe: what a crash takes is this
    memory alone, and then it is known that there is none for the journal's head.
    """
    with suppress(ServerError):
        session.run([*session.dialect.own_session(), *settings])
        return keep(session, head, run_id, who)
    return ""


def keep_own_changes(session: Session, before: Schema, run_id: str, who: str) -> None:
    """Keep only what has changed since ``before``: what others changed earlier stays drift.  Raise ServerError."""
    known = recall(session)
    after = snapshot(session)
    if known is None or after == before:
        return
    old, new = _by_key(before), _by_key(after)
    kept = _by_key(known.schema)
    for key in old.keys() | new.keys():
        if old.get(key) != new.get(key):
            kept.pop(key, None)
            if key in new:
                kept[key] = new[key]
    merged = Schema(tuple(sorted((kind, identity, text) for (kind, identity), text in kept.items())))
    keep(session, known.head, run_id, who, merged)


def _by_key(schema: Schema) -> dict[tuple[str, str], str]:
    return {(kind, identity): definition for kind, identity, definition in schema.objects}


def _packed(objects: str) -> str:
    """Return the wire form of a schema whose objects are JSON already, compressed as quickly as can be."""
    text = f'{{"format":1,"objects":{objects}}}'
    return base64.b64encode(zlib.compress(text.encode("ascii"), 1)).decode("ascii")


def _unpacked(text: str) -> Schema:
    return Schema.from_wire(json.loads(zlib.decompress(base64.b64decode(text))))
