"""Marks: what is learnt about a backup after it is made.  A manifest is sealed, so they lie beside the backups.

``<home>/.marks/<id>.json`` holds one backup's, ``last.json`` how the last attempt to make one ended.  Each is replaced
as a whole, so a reader sees the old or the new one.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import Any

from .. import files
from ..model import Wire

_FOLDER = ".marks"
_LAST = "last"


def read(home: str, backup_id: str) -> Wire:
    """Return a backup's marks.

    ``verified``: ``{at, host, duration_ms}`` of the last restore test that went well; ``failed``: ``{at, reason}`` of
    a check that did not, until one goes well; ``offsite``: ``{repository, snapshot, at, checked_at}``.
    """
    try:
        with open(_path(home, backup_id), encoding="utf-8") as file:
            found: Any = json.load(file)
    except (OSError, ValueError):
        return {}  # a mark that cannot be read proves nothing
    return found if isinstance(found, dict) else {}


def change(home: str, backup_id: str, **marks: Any) -> Wire:
    """Set marks (None takes one away), and return them all.  Raise OSError."""
    with _locked(home):
        known = {**read(home, backup_id), **marks}
        kept = {key: value for key, value in known.items() if value is not None}
        _write(_path(home, backup_id), kept)
    return kept


def verified(home: str, backup_id: str, host: str, duration_ms: int) -> Wire:
    """Mark that a backup was restored and compared on ``host``.  Raise OSError."""
    return change(home, backup_id, verified={"at": now(), "host": host, "duration_ms": duration_ms}, failed=None)


def failed(home: str, backup_id: str, reason: str) -> Wire:
    """Mark that a backup did not pass a check; what verified it before counts no more.  Raise OSError."""
    return change(home, backup_id, failed={"at": now(), "reason": reason[:500]}, verified=None)


def attempted(home: str, backup_id: str = "", error: str = "") -> None:
    """Note how the last attempt to make a backup ended, where there is a folder for it.  Raise OSError."""
    if os.path.isdir(home):
        with _locked(home):
            _write(_path(home, _LAST), {"at": now(), "id": backup_id, "error": error[:500]})


def last_attempt(home: str) -> Wire:
    """Return ``{at, id, error}`` of the last attempt; nothing when none is known."""
    return read(home, _LAST)


def forget(home: str, backup_id: str) -> None:
    """Take away the marks of a backup that is gone."""
    with suppress(OSError):
        os.unlink(_path(home, backup_id))


def now() -> str:
    """Return the time: ISO 8601, UTC, seconds."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _path(home: str, name: str) -> str:
    return os.path.join(home, _FOLDER, f"{name}.json")


@contextmanager
def _locked(home: str) -> Iterator[None]:
    """Let one process at a time change marks."""
    folder = os.path.join(home, _FOLDER)
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    descriptor = os.open(os.path.join(folder, ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: str, data: Wire) -> None:
    """Replace a file as a whole."""
    with files.replacing(path) as file:
        json.dump(data, file, ensure_ascii=False)
