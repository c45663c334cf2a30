"""Where backups lie: ``<directory>/<database>/<id>/``, each complete or not there at all.

A backup is made in ``.partial-<id>`` beside its later place, under a lock that ends with the last process that works on
it, and gets its name when it is whole and on the disk.  What a killed run left is cleared by the next one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Optional
from urllib.parse import quote, unquote

from ..errors import WindlassError
from ..model import Wire
from . import manifest

_PARTIAL = ".partial-"
_LOCK_END = ".lock"
#: Held for moments only, so that nobody clears a folder between its making and its lock.
_HOME_LOCK = ".lock"
_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")


@dataclass(frozen=True)
class Partial:
    """A backup under way: its later ``id``, the folder it is made in, and the descriptor of its lock."""

    id: str
    home: str
    lock: int

    @property
    def path(self) -> str:
        """Return the folder that it is made in."""
        return os.path.join(self.home, _PARTIAL + self.id)

    @property
    def final_path(self) -> str:
        """Return the folder that it will have."""
        return os.path.join(self.home, self.id)

    def publish(self) -> str:
        """Give the finished backup its name, on the disk too.  Raise OSError."""
        manifest.sync(self.path)
        os.rename(self.path, self.final_path)
        manifest.sync_path(self.home)
        return self.final_path


def home_of(directory: str, database: str) -> str:
    """Return the folder of a database's backups; every name makes a safe and readable folder name."""
    name = quote(database, safe=" @+=,")
    return os.path.join(directory, f"%2E{name[1:]}" if name.startswith(".") else name)


@contextmanager
def partial(directory: str, database: str) -> Iterator[Partial]:
    """Give a folder for a new backup; it is gone afterwards unless it was published.  Raise OSError."""
    home = home_of(directory, database)
    _make_home(home)
    with _home_lock(home):
        _clear_remains(home)
        made = _begin(home)
    try:
        yield made
    finally:
        # Only our own folder: after a successful rename there is none.
        shutil.rmtree(made.path, ignore_errors=True)
        with suppress(OSError):
            os.unlink(made.path + _LOCK_END)
        os.close(made.lock)


def catalogue(directory: str, database: Optional[str] = None) -> list[Wire]:
    """Return the backups of a database, or of all, newest first.

    Each has ``state``: ``complete`` (its manifest is whole; :func:`check` looks at the files too) or ``damaged`` with
    a ``reason``.
    """
    homes = [home_of(directory, database)] if database is not None else _homes(directory)
    found = [entry for home in homes for name in _ids(home) for entry in _entries(home, name)]
    return sorted(found, key=lambda entry: str(entry["id"]), reverse=True)


def find(directory: str, database: str, ref: str) -> Wire:
    """Return the complete backup that ``ref`` names: an id, ``latest``, or ``before:<run_id>``.

    ``before:`` means the backup that the run itself made before it changed anything; where it made none, the newest of
    those that are older than the run, with a ``note`` that says so.  Raises WindlassError (backup_failed).
    """
    entries = catalogue(directory, database)
    fit = [entry for entry in entries if _is_meant(entry, ref)] or _older_than_run(entries, ref)
    if fit and fit[0]["state"] == "damaged":
        raise _not_found(f"the backup {fit[0]['id']} of {database} is not usable: {fit[0]['reason']}", entries)
    if not fit:
        raise _not_found(f"there is no backup {ref!r} of {database} in {home_of(directory, database)}", entries)
    return fit[0]


def check(path: str, threads: int = 4) -> Wire:
    """Hash every file of a backup again; return its summary.  Raise WindlassError (backup_failed) with each damage."""
    known = manifest.load(path)
    lines = manifest.damages(path, known, threads)
    if lines:
        raise WindlassError(
            "backup_failed",
            f"the backup {known['id']} is damaged: {'; '.join(lines[:5])}" + (" …" if len(lines) > 5 else ""),
            hint=f"choose another backup, or bring its off-site copy back (invoke backups --fetch {known['id']} "
            "--env ENV); and look at the disk that this one lies on",
            where={"database": known["database"]},
            detail={"path": path, "damages": lines},
        )
    return {**manifest.summary(path, known), "state": "complete"}


def is_under_way(home: str, backup_id: str) -> bool:
    """Return whether somebody is making the backup of that id.  Raise OSError."""
    return _is_locked(os.path.join(home, _PARTIAL + backup_id + _LOCK_END))


def _is_meant(entry: Wire, ref: str) -> bool:
    """Return whether ``ref`` means a backup."""
    if ref == "latest":
        return bool(entry["state"] == "complete")
    if ref.startswith("before:"):
        return bool(entry["state"] == "complete" and entry["run_id"] == ref[len("before:") :])
    return bool(entry["id"] == ref)


def _older_than_run(entries: list[Wire], ref: str) -> list[Wire]:
    """Return the complete backups that were begun before a run whose id tells its time, newest first."""
    run = ref[len("before:") :] if ref.startswith("before:") else ""
    if not _ID.fullmatch(run):
        return []
    note = f"run {run} made no backup of its own: this is the last one before it, and changes in between are not in it"
    older = [entry for entry in entries if entry["state"] == "complete" and entry["id"][:16] < run[:16]]
    return [{**entry, "note": note} for entry in older]


def _entries(home: str, name: str) -> list[Wire]:
    """Return what is known of a backup without reading its data; nothing of one that was deleted at this moment."""
    path = os.path.join(home, name)
    try:
        known = manifest.load(path)
    except WindlassError as error:
        damaged = {"id": name, "database": unquote(os.path.basename(home)), "path": path, "state": "damaged"}
        return [{**damaged, "reason": error.message}] if os.path.isdir(path) else []
    return [{**manifest.summary(path, known), "state": "complete", "encrypted": bool(known.get("encryption"))}]


def _not_found(message: str, entries: list[Wire]) -> WindlassError:
    """Return the error of a reference that leads nowhere, with what there is."""
    there = [str(entry["id"]) for entry in entries if entry["state"] == "complete"]
    listed = f"there are: {', '.join(there[:5])}" if there else "there is none at all; check windlass_backup_dir"
    return WindlassError("backup_failed", message, hint=listed, detail={"backups": there})


def _homes(directory: str) -> list[str]:
    """Return the folders of all databases."""
    with suppress(OSError):
        return [entry.path for entry in os.scandir(directory) if entry.is_dir() and not entry.name.startswith(".")]
    return []


def _ids(home: str) -> list[str]:
    """Return the ids of the published backups of a database."""
    with suppress(OSError):
        return [entry.name for entry in os.scandir(home) if entry.is_dir() and _ID.fullmatch(entry.name)]
    return []


def _make_home(home: str) -> None:
    """Make the folder of a database's backups, for nobody else to read."""
    parent = os.path.dirname(home)
    if not os.path.isdir(parent):
        os.makedirs(parent, exist_ok=True)
        os.chmod(parent, 0o700)
    with suppress(FileExistsError):
        os.mkdir(home, 0o700)


@contextmanager
def _home_lock(home: str) -> Iterator[None]:
    """Keep other runs of this database from making or clearing folders."""
    descriptor = os.open(os.path.join(home, _HOME_LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _begin(home: str) -> Partial:
    """Take the lock of a new backup, then make its folder."""
    moment = datetime.now(timezone.utc)
    # Ids sort by time, within a second too: half of the last part are milliseconds.
    name = f"{moment:%Y%m%dT%H%M%SZ}-{moment.microsecond // 1000:03x}{secrets.token_hex(2)[:3]}"
    lock = os.open(os.path.join(home, _PARTIAL + name + _LOCK_END), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    made = Partial(name, home, lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.mkdir(made.path, 0o700)
    except OSError:
        os.close(lock)
        raise
    return made


def _clear_remains(home: str) -> None:
    """Delete what runs left behind that are gone, with all the processes that they had started."""
    for entry in list(os.scandir(home)):
        if not entry.name.startswith(_PARTIAL):
            continue
        base = entry.name[: -len(_LOCK_END)] if entry.name.endswith(_LOCK_END) else entry.name
        if not _is_locked(os.path.join(home, base + _LOCK_END)):
            shutil.rmtree(os.path.join(home, base), ignore_errors=True)
            with suppress(OSError):
                os.unlink(os.path.join(home, base + _LOCK_END))


def _is_locked(path: str) -> bool:
    """Return whether somebody still holds a lock."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return True
    finally:
        os.close(descriptor)
    return False
