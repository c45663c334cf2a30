"""Restores: beside, never over.

A backup goes into a new database, which is compared with the manifest before anybody is told that it is good.  Taking
the place of the original is a step of its own, in :mod:`.exchange`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Callable

from ..dialects import for_url
from ..dialects.backups import UNFINISHED, Asked, Keeper, Restoring
from ..errors import WindlassError
from ..keeping import backup_store, encryption, manifest, workplace
from ..model import Target, Wire
from ..schema import introspect
from ..schema.introspect import Schema
from ..session import ServerError, Session, connect
from .backup import SCHEMA, Emit, job_count, keeper_of, stamped
from .exchange import is_given, kept_name, swap, told, undo_swap

__all__ = ["UNFINISHED", "beside", "look", "require_possible", "swap", "undo_swap"]


def beside(
    target: Target,
    backup_path: str,
    new_name: str,
    client_bin: str,
    jobs: int,
    emit: Emit,
    identity: str = "",
    tables: Sequence[str] = (),
) -> Wire:
    """Restore a backup into the new database ``new_name`` on the target's server, and verify it.

    ``client_bin`` is the folder of the client programs (empty: found by itself), ``jobs`` the workers (0: by the
    processors), ``identity`` the private key of age that opens an encrypted backup, ``tables`` patterns of the only
    tables whose rows are brought back (the others are there and empty; foreign keys and triggers are left out).
    Returns ``{into, backup, path, tables, total_rows, only, outlook, differences, duration_ms, swapped}``; ``outlook``
    is what was found before anything was touched, ``differences`` are notes that do not make it a bad restore.  Emits
    ``restore_started``, ``restore_outlook`` and ``restore_notes`` (before anything is touched), ``restore_progress``
    and ``restore_done``.

    Raises WindlassError: ``backup_failed`` when the backup is not whole (nothing was touched), ``restore_failed``,
    ``connection_lost``, and those of a login.
    After a failure the new database is gone, or the hint says how to drop it.
    """
    keeper = keeper_of(target)
    with told(target, "restore"), workplace.in_use(backup_path):
        emit = stamped(emit, target.name)
        began = time.monotonic()
        emit({"event": "restore_started", "path": backup_path, "into": new_name})
        with _hashed_meanwhile(backup_path, job_count(jobs)) as require_whole:
            known = manifest.load(backup_path)
            _require_engine(keeper, known)
            keeper.recheck(target, known)
            if known.get("encryption"):
                require_whole()
            with encryption.opened(backup_path, known, identity, job_count(jobs)) as folder:
                chosen = _chosen(keeper, known, tables)
                asked = Asked(client_bin, job_count(jobs), tables=chosen)
                restoring, outlook, notes = _looked(keeper, target, known, folder, new_name, asked)
                require_whole()
                _tell(emit, outlook, notes)
                given = is_given(keeper, keeper.database_name(target), new_name)
                restoring.create()
                with _dropped_on_failure(restoring, new_name, given):
                    notes += _Restoring(restoring, _login_to(target, new_name), folder, known, emit, began).run()
        result = {
            "into": new_name,
            "backup": known["id"],
            "path": backup_path,
            "tables": len(chosen) or known["tables"],
            "total_rows": sum(known["rows"][name] for name in chosen or known["rows"]),
            "only": list(chosen),
            "outlook": outlook,
            "differences": notes,
            "duration_ms": int((time.monotonic() - began) * 1000),
            "swapped": False,
        }
        emit({"event": "restore_done", **{key: result[key] for key in ("into", "backup", "duration_ms")}})
        return result


def look(target: Target, backup_path: str, new_name: str, client_bin: str, tables: Sequence[str] = ()) -> Wire:
    """Look at a backup and at the server as a restore does before it touches anything.

    Returns ``{into, backup, path, only, outlook, swapped}``.  Raises as :func:`beside` does.
    """
    keeper = keeper_of(target)
    with told(target, "restore"), workplace.in_use(backup_path):
        backup_store.check(backup_path)
        known = manifest.load(backup_path)
        _require_engine(keeper, known)
        keeper.recheck(target, known)
        chosen = _chosen(keeper, known, tables)
        _, outlook, notes = _looked(keeper, target, known, backup_path, new_name, Asked(client_bin, tables=chosen))
    found = {"into": new_name, "backup": known["id"], "path": backup_path, "only": list(chosen), "swapped": False}
    return {**found, "outlook": outlook + notes}


def require_possible(target: Target, backup_path: str, new_name: str, client_bin: str, identity: str = "") -> Wire:
    """Refuse a restore into ``new_name`` and an exchange after it that cannot end well; nothing is touched.

    Everything is hashed again, an encrypted backup is opened at one place.  Returns the backup's summary.  Raises as
    :func:`beside` does.
    """
    look(target, backup_path, new_name, client_bin)
    keeper, known = keeper_of(target), manifest.load(backup_path)
    with told(target, "restore"):
        encryption.require_opens(backup_path, known, identity)
        lines = keeper.lacking(target, known, new_name, kept_name(target))
    if lines:
        raise _obstructed(known, new_name, lines)
    return manifest.summary(backup_path, known)


@contextmanager
def _hashed_meanwhile(path: str, threads: int) -> Iterator[Callable[[], object]]:
    """Hash every file of a backup beside what only looks; give what waits for the end, and raises where one is damaged.

    Whatever else goes wrong, damage is told first: it may be the reason.
    """
    with ThreadPoolExecutor(1) as aside:
        hashing = aside.submit(backup_store.check, path, threads)
        try:
            yield hashing.result
        except Exception:
            hashing.result()
            raise


def _looked(
    keeper: Keeper, target: Target, known: Wire, folder: str, name: str, asked: Asked
) -> tuple[Restoring, list[str], list[str]]:
    """Look for obstacles, which are an error; return the restore that can begin, the outlook, and notes."""
    restoring = keeper.restoring(target, known, folder, name, asked)
    notes = _require_fit(keeper, restoring, target, known, name)
    return restoring, restoring.outlook(), notes


def _tell(emit: Emit, outlook: Sequence[str], notes: Sequence[str]) -> None:
    """Tell what was found before anything is touched."""
    for text in outlook:
        emit({"event": "restore_outlook", "text": text})
    if notes:
        emit({"event": "restore_notes", "notes": list(notes)})


def _chosen(keeper: Keeper, known: Wire, patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the tables of a backup that patterns mean; a name without schema means any that ends so."""
    if patterns and not keeper.restores_tables:
        raise _unknown(f"single tables of {keeper.engine} cannot be restored yet", "restore the whole database beside")
    found: set[str] = set()
    for pattern in patterns:
        fit = [name for name in known["rows"] if fnmatchcase(name, pattern)]
        fit = fit or [name for name in known["rows"] if fnmatchcase(name, f"*.{pattern}")]
        if not fit:
            near = get_close_matches(pattern, list(known["rows"]), 5, 0.5)
            hint = f"similar ones: {', '.join(near)}" if near else "its manifest.json lists them under rows"
            raise _unknown(f"the backup {known['id']} holds no rows of a table {pattern!r}", hint)
        found.update(fit)
    return tuple(sorted(found))


def _unknown(message: str, hint: str) -> WindlassError:
    """Return the error of tables that cannot be had."""
    return WindlassError("restore_failed", message, hint=f"nothing was touched; {hint}")


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
        wrong, different = (
            self._schema_lines(session, introspect.snapshot(session)) if self.restoring.whole else ([], [])
        )
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


def _require_fit(keeper: Keeper, restoring: Restoring, target: Target, known: Wire, name: str) -> list[str]:
    """Refuse, before anything is touched, what cannot end well; return what is worth knowing."""
    lines, notes = restoring.obstacles()
    if not 0 < keeper.name_length(name) <= keeper.name_limit:
        lines.insert(0, f"a database's name has 1 to {keeper.name_limit} {keeper.name_unit}")
    if lines:
        raise _obstructed(known, name, lines, _way_round(keeper, target, name))
    return notes


def _way_round(keeper: Keeper, target: Target, name: str) -> str:
    """Return what to do about a database of that name, where there is one beside the target's."""
    own = keeper.database_name(target)
    if name == own or name not in keeper.databases(target, name):
        return ""
    away = ", or take that database away with --drop" if is_given(keeper, own, name) else ""
    return f"; give another name with --into{away}"


def _obstructed(known: Wire, name: str, lines: list[str], way_round: str = "") -> WindlassError:
    """Return the error of a restore that would not end well."""
    return WindlassError(
        "restore_failed",
        f"the backup {known['id']} cannot be restored into {name!r}: {'; '.join(lines)}",
        hint=f"nothing was touched{way_round}",
        detail={"obstacles": lines},
    )


@contextmanager
def _dropped_on_failure(restoring: Restoring, name: str, is_ours: bool) -> Iterator[None]:
    """Take the new database away again when anything fails; where that fails too, say how to do it later."""
    try:
        yield
    except (WindlassError, ServerError) as error:
        if not restoring.drop():
            way = f"give --drop {name}" if is_ours else f"drop {name} with the server's own means"
            error.hint = f"{name} could not be dropped again: {way} when the server answers, and start again"
        raise
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
