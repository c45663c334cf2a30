"""The archives that a database has: listed, read page by page, put back and purged."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Callable, TypeVar

from .. import journal
from ..dialects import archives as contract
from ..dialects.link import ServerError
from ..errors import WindlassError
from ..model import Archive, Target, Wire
from ..session import Session, connect

_APPLICATION = "windlass archives"
#: So long a purge, or one archive that is put back, waits for the deployer lock (seconds).
LOCK_PATIENCE_S = 10.0
_KEPT, _GONE = "kept", "purged"
#: What to do where a run ended before all was back.
LEFT = "remove the cause, then for each that is not back: invoke archives --env ENV --put-back NAME"
T = TypeVar("T")


def listed(session: Session, condition: str = "") -> list[Archive]:
    """Return the manifest, oldest first; nothing where there is none.  Raise ServerError."""
    writer = session.dialect.archives
    if not writer.exists(session.link):
        return []
    return [_archive(row) for row in session.query(writer.listing(condition))]


def of_run(session: Session, run_id: str, migration: str) -> list[Archive]:
    """Return the archives that a run has finished of a migration, also those that an earlier one began."""
    literal = session.dialect.literal
    mine = f"migration = {literal(migration)} AND run_id = {literal(run_id)}"
    return listed(session, f"{mine} AND state = {literal(_KEPT)}")


def to_wire(archive: Archive) -> Wire:
    """Return what people and records need."""
    return {**asdict(archive), "columns": list(archive.columns), "keys": list(archive.keys)}


def look(target: Target) -> list[Wire]:
    """Return every archive with its bytes.  Raise WindlassError (archive_failed)."""

    def read(session: Session) -> list[Wire]:
        size = session.dialect.archives.size
        return [{**to_wire(item), "bytes": _bytes(session, size(item.name))} for item in listed(session)]

    return _asked(target, read)


def page(target: Target, name: str, after: int, limit: int) -> Wire:
    """Return ``{columns, rows, last}`` behind row number ``after``.  Raise WindlassError (usage, archive_failed)."""

    def read(session: Session) -> Wire:
        archive = _required(session, name)
        columns, query = session.dialect.archives.page(archive, after, limit)
        rows = session.query(query)
        texts = [[None if value is None else str(value) for value in row[1:]] for row in rows]
        return {"columns": list(columns), "rows": texts, "last": int(rows[-1][0]) if rows else after}

    return _asked(target, read)


def purge(target: Target, name: str, who: str) -> Wire:
    """Delete an archive's rows; its line in the manifest stays.

    Not while a run goes on, which may be filling it or putting it back.  Raise WindlassError (usage, deploy_locked,
    archive_failed).
    """

    def delete(session: Session) -> Wire:
        with journal.deployer_lock(session, LOCK_PATIENCE_S, lambda _: None):
            archive = _required(session, name)
            session.run(session.dialect.archives.purge(name, who))
        return to_wire(archive)

    return _asked(target, delete)


def put_back(session: Session, migration: str, emit: Callable[[Wire], None]) -> list[Wire]:
    """Put back what the last undoing of a migration took away, each batch permanent by itself.

    Rows that stand already are left as they are.  Tables that need each other's rows are tried again in another
    order.  Raises WindlassError (archive_failed), ServerError when the server is lost.
    """
    found = [item for item in listed(session) if item.migration == migration and item.state == _KEPT]
    left = [item for item in found if item.run_id == found[-1].run_id]
    done: list[Wire] = []
    while left:
        failed: list[Archive] = []
        reason = ""
        for archive in left:
            try:
                done.append(_put_back(session, archive, emit))
            except ServerError as error:
                session.run("ROLLBACK")
                if error.lost:
                    raise
                failed, reason = [*failed, archive], error.message
        if len(failed) == len(left):
            raise _not_put_back(failed, reason)
        left = failed
    return done


def put_one_back(target: Target, name: str) -> Wire:
    """Put one archive back into its table, however long ago its migration was applied again.

    Rows that stand already are left as they are, so what was broken off goes on.  Raise WindlassError (usage,
    deploy_locked, archive_failed).
    """

    def put(session: Session) -> Wire:
        with journal.deployer_lock(session, LOCK_PATIENCE_S, lambda _: None):
            archive = _required(session, name)
            if archive.state != _KEPT:
                hint = "invoke archives --env ENV lists them; --export NAME shows what is in one"
                raise WindlassError("usage", f"{name} is {archive.state}: only what is kept is put back", hint=hint)
            settings = session.dialect.prepare_session(session.server_version, False)
            if settings:
                session.run(settings)
            return _put_back(session, archive, lambda _: None)

    return _asked(target, put)


def _put_back(session: Session, archive: Archive, emit: Callable[[Wire], None]) -> Wire:
    if archive.kind == "columns" and not archive.keys:
        raise ServerError(f"{archive.table} has no primary key, so nothing says which row a value belongs to")
    writer, began, rows = session.dialect.archives, time.monotonic(), 0
    highest = int(session.query(writer.highest(archive.name))[0][0])
    for first in range(1, highest + 1, contract.BATCH):
        rows += writer.put_back(session.link, archive, first, first + contract.BATCH - 1)
    writer.put_back_done(session.link, archive, rows)
    line = {**to_wire(archive), "put_back": rows, "duration_ms": int((time.monotonic() - began) * 1000)}
    emit({"event": "put_back", **line})
    return line


def _not_put_back(failed: Sequence[Archive], reason: str) -> WindlassError:
    names = ", ".join(archive.name for archive in failed)
    return WindlassError(
        "archive_failed",
        f"the migrations are applied, but not all archives are back in their tables ({names}): {reason}",
        hint=f"the archives are untouched: invoke archives --env ENV --export NAME shows what is in one; {LEFT}",
        detail={"archives": [archive.name for archive in failed]},
    )


def _required(session: Session, name: str) -> Archive:
    """Return an archive that has its rows.  Raise WindlassError (usage)."""
    known = [item for item in listed(session) if item.state != _GONE]
    for archive in known:
        if archive.name == name:
            return archive
    there = f"there are: {', '.join(item.name for item in known) or 'none'}"
    raise WindlassError("usage", f"there is no archive {name}", hint=there, where={"database": session.target.name})


def _asked(target: Target, work: Callable[[Session], T]) -> T:
    """Work on a session of its own; what the server refuses is an error like any other."""
    with connect(target, _APPLICATION) as session:
        try:
            return work(session)
        except ServerError as error:
            hint = error.hint or "the login needs the rights on the archive that the deploying login has"
            raise WindlassError("archive_failed", error.message, hint=hint, where={"database": target.name}) from None


def _archive(row: Sequence[Any]) -> Archive:
    name, run_id, migration, kind, table, columns, keys, state, rows, at, who = row
    return Archive(
        str(name), str(run_id), str(migration), str(kind), str(table), tuple(json.loads(columns)),
        tuple(json.loads(keys)), str(state), int(rows), str(at), str(who),
    )  # fmt: skip


def _bytes(session: Session, query: str) -> int:
    rows = session.query(query)
    return int(rows[0][0]) if rows else 0
