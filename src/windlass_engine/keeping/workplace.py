"""Folders to work in beside the backups, and the mark that a backup is in use.

A folder's name begins as those of unfinished backups do, and its lock ends with the last process that works in it: what
a killed run left is cleared by the next backup.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Optional

from ..errors import WindlassError
from . import manifest

#: As in the store of the backups.
PARTIAL = ".partial-"


@dataclass(frozen=True)
class Place:
    """A folder of one's own, and the descriptor of its lock."""

    path: str
    lock: int


@contextmanager
def folder(home: str, word: str) -> Iterator[Place]:
    """Give a folder in ``home`` for its owner alone, gone at the end.  Raise OSError."""
    os.makedirs(home, mode=0o700, exist_ok=True)
    path = os.path.join(home, f"{PARTIAL}{word}-{secrets.token_hex(4)}")
    with home_lock(home):
        lock = os.open(path + ".lock", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.mkdir(path, 0o700)
    try:
        yield Place(path, lock)
    finally:
        shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):
            os.unlink(path + ".lock")
        os.close(lock)


@contextmanager
def in_use(backup_path: str) -> Iterator[None]:
    """Keep a backup from being deleted meanwhile.  Raise WindlassError (backup_failed) when it is gone."""
    path = os.path.join(backup_path, manifest.NAME)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise _cannot_be_opened(backup_path, error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        _require_same(backup_path, path, descriptor)  # whoever had the lock before may have deleted it
        yield
    finally:
        os.close(descriptor)


def _require_same(backup_path: str, path: str, descriptor: int) -> None:
    """Refuse a manifest that is no longer what its path leads to."""
    try:
        there = os.stat(path)
    except OSError as error:
        raise _cannot_be_opened(backup_path, error) from None
    if not os.path.samestat(there, os.fstat(descriptor)):
        raise _cannot_be_opened(backup_path, OSError(errno.ESTALE, "it was replaced at this moment"))


def _cannot_be_opened(backup_path: str, error: OSError) -> WindlassError:
    return WindlassError(
        "backup_failed", f"the backup {backup_path} cannot be opened: {error.strerror}",
        hint="invoke backups --env ENV lists what there is",
    )  # fmt: skip


@contextmanager
def copy_in(folder: str, backup_path: str) -> Iterator[None]:
    """Delete a backup afterwards where it lies in ``folder/DATABASE``: a copy that was brought for this work only."""
    try:
        yield
    finally:
        if os.path.dirname(os.path.dirname(backup_path)) == folder:
            shutil.rmtree(os.path.dirname(backup_path), ignore_errors=True)
            with suppress(OSError):  # another database's copy waits there for its turn
                os.rmdir(folder)


def clear_copies(root: str, older_s: float = 24 * 3600.0) -> None:
    """Delete what earlier runs brought into folders of ``root`` and could not take away, as their machine went down."""
    with suppress(OSError):
        for entry in os.scandir(root):
            if time.time() - entry.stat().st_mtime > older_s and not _is_at_work(entry.path):
                shutil.rmtree(entry.path, ignore_errors=True)


def _is_at_work(folder: str) -> bool:
    """Return whether somebody uses a backup below a folder."""
    for place, _, files in os.walk(folder):
        descriptor = _claim(os.path.join(place, manifest.NAME)) if manifest.NAME in files else -1
        if descriptor is None:
            return True
        if descriptor >= 0:
            os.close(descriptor)
    return False


def remove(backup_path: str) -> bool:
    """Delete a backup at once, by a rename, and then its files; return False when it is in use.  Raise OSError.

    One that somebody else deletes at the same moment is gone as well.
    """
    home, name = os.path.split(backup_path)
    gone = os.path.join(home, f"{PARTIAL}removed-{name}-{secrets.token_hex(4)}")
    descriptor = _claim(os.path.join(backup_path, manifest.NAME))
    if descriptor is None:
        return False
    try:
        with suppress(FileNotFoundError):
            os.rename(backup_path, gone)
        manifest.sync_path(home)
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    shutil.rmtree(gone, ignore_errors=True)
    return True


def _claim(path: str) -> Optional[int]:
    """Return the descriptor of a manifest that nobody uses, -1 where there is none, None where it is in use."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return -1  # a broken backup, of which nobody can make use
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return None
    return descriptor


def identity(path: str) -> Optional[tuple[int, int]]:
    """Return what tells a folder from a later one of its name, None where there is none."""
    with suppress(OSError):
        found = os.stat(path)
        return found.st_dev, found.st_ino
    return None


@contextmanager
def home_lock(home: str) -> Iterator[None]:
    """Keep those away, for moments, who clear remains, make a folder with its lock, or bring a backup to its place."""
    descriptor = os.open(os.path.join(home, ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
