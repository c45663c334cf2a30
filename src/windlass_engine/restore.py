"""Restores: beside, never over.

A backup goes into a new database, which is compared with the manifest before anybody is told that it is good.  Taking
the place of the original is a step of its own, in :mod:`.exchange`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Callable

from . import backup_store, introspect, manifest
from .backup import SCHEMA, Emit, job_count, keeper_of, stamped
from .dialects import for_url
from .dialects.backups import UNFINISHED, Asked, Keeper, Restoring
from .errors import WindlassError
from .exchange import swap, told, undo_swap
from .introspect import Schema
from .keeping import encryption, workplace
from .model import Target, Wire
from .session import Session, connect

__all__ = ["UNFINISHED", "beside", "swap", "undo_swap"]


def beside(
    target: Target, backup_path: str, new_name: str, client_bin: str, jobs: int, emit: Emit, identity: str = ""
) -> Wire:
    """Restore a backup into the new database ``new_name`` on the target's server, and verify it.

    ``client_bin`` is the folder of the client programs (empty: found by itself), ``jobs`` the workers (0: by the
    processors), ``identity`` the private key of age that opens an encrypted backup.
    Returns ``{into, backup, path, tables, total_rows, differences, duration_ms, swapped}``; ``differences`` are notes
    that do not make it a bad restore.  Emits ``restore_started``, ``restore_notes`` (before anything is touched),
    ``restore_progress`` and ``restore_done``.

    Raises WindlassError: ``backup_failed`` when the backup is not whole (nothing was touched), ``restore_failed``,
    ``connection_lost``, and those of a login.  After a failure the new database is gone.
    """
    keeper = keeper_of(target)
    with told(target, "restore"), workplace.in_use(backup_path):
        emit = stamped(emit, target.name)
        began = time.monotonic()
        emit({"event": "restore_started", "path": backup_path, "into": new_name})
        backup_store.check(backup_path, job_count(jobs))
        known = manifest.load(backup_path)
        with encryption.opened(backup_path, known, identity, job_count(jobs)) as folder:
            notes = _restored(keeper, target, known, folder, new_name, Asked(client_bin, job_count(jobs)), emit, began)
        result = {
            "into": new_name,
            "backup": known["id"],
            "path": backup_path,
            "tables": known["tables"],
            "total_rows": known["total_rows"],
            "differences": notes,
            "duration_ms": int((time.monotonic() - began) * 1000),
            "swapped": False,
        }
        emit({"event": "restore_done", **{key: result[key] for key in ("into", "backup", "duration_ms")}})
        return result


def _restored(
    keeper: Keeper, target: Target, known: Wire, folder: str, name: str, asked: Asked, emit: Emit, began: float
) -> list[str]:
    """Look for obstacles, restore, verify; return the notes."""
    _require_engine(keeper, known)
    restoring = keeper.restoring(target, known, folder, name, asked)
    notes = _require_fit(keeper, restoring, known, name)
    if notes:
        emit({"event": "restore_notes", "notes": notes})
    restoring.create()
    with _dropped_on_failure(restoring):
        there = _login_to(target, name)
        return notes + _Restoring(restoring, there, folder, known, emit, began).run()


def _login_to(target: Target, name: str) -> Callable[[], Session]:
    """Return how to log in to another database of the target's server."""
    url = for_url(target.url).url_of_database(target.url, name)
    return lambda: connect(replace(target, url=url), "windlass restore")


class _Restoring:
    """One restore under way, into a database that is there and empty."""

    def __init__(
        self, restoring: Restoring, there: Callable[[], Session], folder: str, known: Wire, emit: Emit, began: float
    ) -> None:
        """Keep what is needed."""
        self.restoring = restoring
        self.there = there
        self.folder = folder
        self.known = known
        self.emit = emit
        self.began = began

    def run(self) -> list[str]:
        """Restore and verify; return the notes.  Raise WindlassError, ServerError."""
        self._phase("restoring")
        self.restoring.load(_throttled(lambda: self._phase("restoring")))
        self._phase("verifying")
        with self.there() as session:
            failures, notes = self._compare(session)
            if failures:
                raise _differs(self.known["id"], failures)
            self.restoring.try_writing(session.link)
            self._phase("analysing")
            self.restoring.polish(session.link)
        self.restoring.accept()
        return notes

    def _compare(self, session: Session) -> tuple[list[str], list[str]]:
        """Compare the new database with the manifest; return what is wrong, and what is worth a note."""
        failures, notes = self.restoring.compare(session.link)
        wrong, different = self._schema_lines(session, introspect.snapshot(session))
        session.run("COMMIT")
        return failures + wrong, notes + different

    def _schema_lines(self, session: Session, found: Schema) -> tuple[list[str], list[str]]:
        """Return the differences of the schema that matter, and those that are another spelling or version."""
        if introspect.fingerprint(found) == self.known["fingerprint"]:
            return [], []
        with open(os.path.join(self.folder, SCHEMA), encoding="utf-8") as file:
            saved = Schema.from_wire(json.load(file))
        real = introspect.real_difference(saved, found, session.dialect.loose_spelling)
        wrong = [line for line in real if not self.restoring.excuse(line, session.server_version)]
        excused = [line for line in introspect.difference(saved, found) if line not in wrong]
        return wrong, [line for line in excused if self.restoring.is_noted(line)]

    def _phase(self, phase: str) -> None:
        """Tell what is going on."""
        self.emit(
            {"event": "restore_progress", "phase": phase, "elapsed_ms": int((time.monotonic() - self.began) * 1000)}
        )


def _require_engine(keeper: Keeper, known: Wire) -> None:
    """Refuse a backup of another engine."""
    if known["engine"] != keeper.engine:
        raise WindlassError(
            "restore_failed",
            f"the backup {known['id']} is one of {known['engine']}, the server is {keeper.engine}",
            hint="nothing was touched; choose a backup of this database",
        )


def _require_fit(keeper: Keeper, restoring: Restoring, known: Wire, name: str) -> list[str]:
    """Refuse, before anything is touched, what cannot end well; return what is worth knowing."""
    lines, notes = restoring.obstacles()
    if not 0 < keeper.name_length(name) <= keeper.name_limit:
        lines.insert(0, f"a database's name has 1 to {keeper.name_limit} {keeper.name_unit}")
    if lines:
        raise WindlassError(
            "restore_failed",
            f"the backup {known['id']} cannot be restored into {name!r}: {'; '.join(lines)}",
            hint="nothing was touched",
            detail={"obstacles": lines},
        )
    return notes


@contextmanager
def _dropped_on_failure(restoring: Restoring) -> Iterator[None]:
    """Take the new database away again when anything fails."""
    try:
        yield
    except BaseException:
        restoring.drop()
        raise


def _differs(backup: str, lines: list[str]) -> WindlassError:
    """Return the error of a restored database that is not what was saved."""
    return WindlassError(
        "restore_failed",
        f"what was restored from {backup} is not what was saved: {'; '.join(lines[:5])}"
        + (f"; and {len(lines) - 5} more" if len(lines) > 5 else ""),
        hint="the new database was dropped again; choose another backup",
        detail={"differences": lines},
    )


def _throttled(tell: Callable[[], None]) -> Callable[[float], None]:
    """Return a tick that tells once a second."""
    last = [0.0]

    def tick(elapsed: float) -> Any:
        if elapsed - last[0] >= 1.0:
            last[0] = elapsed
            tell()

    return tick
