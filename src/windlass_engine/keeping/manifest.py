"""The manifest of a backup: what it holds, and the means to tell later that it is still whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..errors import WindlassError
from ..model import Wire, digest_of

NAME = "manifest.json"
#: Raised when an older Windlass could misread the file.  New fields alone do not raise it.
FORMAT = 1
_CHUNK = 1 << 20
#: The disk brings many small files down together when they are asked for together.
_SYNCERS = 8
_SUMMARY = (
    "id", "database", "system", "engine", "server_version", "client_version", "started", "finished", "duration_ms",
    "bytes", "compression", "tables", "total_rows", "journal_head", "journal_applied", "fingerprint", "who", "why",
    "run_id", "warnings", "server_file",
)  # fmt: skip


def hash_files(folder: str, threads: int = 4) -> Wire:
    """Return ``{path: {"bytes": n, "sha256": hex}}`` for every file below a folder but the manifest itself.

    Raises OSError.
    """
    paths = [path for path in _files(folder) if path != NAME]
    with ThreadPoolExecutor(max_workers=max(threads, 1)) as pool:
        return dict(zip(paths, pool.map(lambda path: _hash(os.path.join(folder, path)), paths)))


def write(folder: str, manifest: Wire) -> None:
    """Write a manifest, sealed with a sum of its own.  Raise OSError."""
    sealed = {**manifest, "seal": digest_of(manifest)}
    descriptor = os.open(os.path.join(folder, NAME), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(sealed, file, indent=1, sort_keys=True, ensure_ascii=False)
        file.write("\n")


def load(folder: str) -> Wire:
    """Return the manifest of a backup.  Raise WindlassError (backup_failed) when it is missing or damaged."""
    path = os.path.join(folder, NAME)
    try:
        with open(path, encoding="utf-8") as file:
            manifest: Any = json.load(file)
    except FileNotFoundError:
        raise _bad(folder, "there is no manifest, so it is no complete backup") from None
    except (OSError, ValueError) as error:
        raise _bad(folder, f"the manifest cannot be read: {error}") from None
    if not isinstance(manifest, dict) or "seal" not in manifest:
        raise _bad(folder, "the manifest is damaged")
    seal = manifest.pop("seal")
    if seal != digest_of(manifest):
        raise _bad(folder, "the manifest is damaged: its sum does not agree with its content")
    if manifest["format"] > FORMAT:
        raise _bad(folder, f"the manifest has format {manifest['format']}, this Windlass knows {FORMAT}")
    return manifest


def damages(folder: str, manifest: Wire, threads: int = 4) -> list[str]:
    """Return one line for each file that is missing, left over, cut or changed."""
    expected = manifest["files"]
    try:
        found = hash_files(folder, threads)
    except OSError as error:
        return [f"{os.path.relpath(str(error.filename or folder), folder)}: cannot be read: {error.strerror}"]
    return differences(expected, found)


def differences(expected: Wire, found: Wire) -> list[str]:
    """Return one line for each file by which two lists of files differ."""
    lines = [f"{path}: is missing" for path in sorted(expected.keys() - found.keys())]
    lines += [f"{path}: does not belong here" for path in sorted(found.keys() - expected.keys())]
    return lines + [
        _damage(path, expected[path], found[path])
        for path in sorted(expected.keys() & found.keys())
        if expected[path] != found[path]
    ]


def summary(folder: str, manifest: Wire) -> Wire:
    """Return what people and reports need of a manifest.  No settings, which may hold secrets, and no file list."""
    return {**{key: manifest.get(key) for key in _SUMMARY}, "path": folder, "files": len(manifest["files"])}


def sync(folder: str) -> None:
    """Bring every file and folder below ``folder`` to the disk.  Raise OSError."""
    with ThreadPoolExecutor(_SYNCERS) as pool:
        list(pool.map(lambda path: sync_path(os.path.join(folder, path)), _files(folder)))
    for parent, _, _ in os.walk(folder):
        sync_path(parent)


def sync_path(path: str) -> None:
    """Bring a file's content, or a folder's entries, to the disk.  Raise OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files(folder: str) -> Iterator[str]:
    """Yield the files below a folder, as sorted relative paths."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield os.path.relpath(os.path.join(parent, name), folder)


def _hash(path: str) -> Wire:
    """Return a file's length and sum, read once."""
    digest, length = hashlib.sha256(), 0
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            digest.update(chunk)
            length += len(chunk)
    return {"bytes": length, "sha256": digest.hexdigest()}


def _damage(path: str, expected: Wire, found: Wire) -> str:
    """Return what is wrong with a file."""
    if expected["bytes"] != found["bytes"]:
        return f"{path}: has {found['bytes']} bytes instead of {expected['bytes']}"
    return f"{path}: its content changed (SHA-256 {found['sha256'][:12]} instead of {expected['sha256'][:12]})"


def _bad(folder: str, message: str) -> WindlassError:
    """Return the error of a backup that must not be used."""
    return WindlassError(
        "backup_failed",
        f"the backup {folder} is not usable: {message}",
        hint="choose another backup of this database",
        detail={"path": folder},
    )
