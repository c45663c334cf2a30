"""Off-site copies by restic: on a disk, over SFTP or in S3, as the repository's address says.

restic gets its password and the store's keys by its environment.  Each backup is one snapshot, tagged with its database
and its id; a copy counts only after its data was read back and agrees with the manifest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import IO, Any, Callable, Optional
from urllib.parse import quote, unquote

from .. import processes
from ..errors import WindlassError
from ..model import Wire
from . import manifest, marks, workplace

_TAG = "windlass"
_LOCKED = "unable to create lock"
#: So long others may work on the repository (seconds): the hosts of a fleet share it, and some work shuts them all out.
LOCK_PATIENCE_S, _LOCK_POLL_S = 300.0, 2.0
_CHUNK = 1 << 20
#: restic's words where there is no repository at the address.
_NO_REPOSITORY = ("Is there a repository at the following location", "unable to open config file")
Tick = Callable[[float], None]


@dataclass(frozen=True)
class Repository:
    """Where copies go.  ``password`` and the values of ``environment`` are secrets.

    ``options`` are restic's extended ones (``sftp.command=…``), which everybody on the host can see.
    """

    address: str
    password: str = field(repr=False)
    environment: Wire = field(default_factory=dict, repr=False)
    options: tuple[str, ...] = ()

    @classmethod
    def of(cls, raw: Any) -> Optional[Repository]:
        """Read ``windlass_offsite``; nothing given means no repository.  Raise WindlassError (inventory_invalid)."""
        if not raw:
            return None
        known = {"repository", "password", "environment", "options"}
        if not isinstance(raw, dict) or set(raw) - known or not raw.get("repository") or not raw.get("password"):
            raise WindlassError(
                "inventory_invalid",
                "windlass_offsite is a mapping with repository and password, and environment where the store has keys",
                hint="see docs/keeping-backups.md; nothing was touched",
            )
        environment = {str(key): str(value) for key, value in (raw.get("environment") or {}).items()}
        options = tuple(f"{key}={value}" for key, value in (raw.get("options") or {}).items())
        return cls(str(raw["repository"]), str(raw["password"]), environment, options)

    @property
    def secrets(self) -> list[str]:
        """Return what must not be shown."""
        return [self.password, *self.environment.values()]

    @property
    def shown(self) -> str:
        """Return the address without what may be a secret in it."""
        scheme, found, rest = self.address.partition("://")
        login, at, place = rest.rpartition("@")
        return f"{scheme}://{login.partition(':')[0]}{at}{place}" if found and at else self.address


def program() -> str:
    """Return the path of restic.  Raise WindlassError (preflight_failed)."""
    found = shutil.which("restic", path=f"{os.environ.get('PATH', '')}:/usr/local/bin:/usr/bin")
    if not found:
        raise WindlassError(
            "preflight_failed",
            "the program restic is not installed on this host, and backups are to be copied off it",
            hint="install it (Debian, Ubuntu: apt-get install restic)",
        )
    return found


def create(repository: Repository) -> bool:
    """Make the repository where there is none; return whether one was made.  Raise WindlassError (offsite_failed)."""
    found = _run(repository, ["cat", "config"])
    if found.code == 0:
        return False
    if not any(words in found.errors for words in _NO_REPOSITORY):
        raise _failure(repository, found, "does not answer")
    made = _run(repository, ["init"])
    if made.code and _run(repository, ["cat", "config"]).code == 0:
        return False  # another host of the same play was quicker
    _require(repository, made, "could not be created")
    return True


def no_repository() -> WindlassError:
    """Return the refusal of what only a repository could serve."""
    hint = "give the host or environment one (docs/keeping-backups.md), then: invoke offsite --create"
    return WindlassError("inventory_invalid", "windlass_offsite names no repository", hint=hint)


def snapshots(repository: Repository, database: Optional[str] = None) -> list[Wire]:
    """Return the copies of a database, or of all: ``{id, database, snapshot, at, paths}``, newest first.

    Raises WindlassError (offsite_failed).
    """
    tags = f"{_TAG},{_database_tag(database)}" if database is not None else _TAG
    with TemporaryFile() as listed:
        _require(repository, _run(repository, ["snapshots", "--json", "--tag", tags], output=listed), "does not answer")
        listed.seek(0)
        found = json.loads(listed.read() or b"[]") or []
    return sorted(map(_snapshot, found), key=lambda each: str(each["id"]), reverse=True)


def copy(repository: Repository, path: str, known: Wire, tick: Optional[Tick] = None) -> Wire:
    """Copy one backup, read the copy back, and mark it; return the mark.  Raise WindlassError (offsite_failed)."""
    tags = f"{_TAG},{_database_tag(known['database'])},id={known['id']}"
    with workplace.in_use(path):
        done = _run(repository, ["backup", "--json", "--tag", tags, os.path.abspath(path)], tick=tick)
        _require(repository, done, "did not take the copy")
        snapshot = _summary(done.output)["snapshot_id"]
        _require_same(repository, snapshot, os.path.abspath(path), known)
    mark = {"repository": repository.shown, "snapshot": snapshot, "at": marks.now(), "checked_at": marks.now()}
    marks.change(os.path.dirname(path), known["id"], offsite=mark)
    return mark


def check(repository: Repository, full: bool = False, tick: Optional[Tick] = None) -> None:
    """Let restic check the repository; ``full`` reads all its data.  Raise WindlassError (offsite_failed)."""
    more = ["--read-data"] if full else []
    done = _run(repository, ["check", *more], tick=tick)
    _require(repository, done, "is damaged, or cannot be checked")


def fetch(repository: Repository, copy_of: Wire, home: str, tick: Optional[Tick] = None) -> str:
    """Bring a copy back under the backup's own name; return its path.

    It appears whole and hashed, or not at all; a backup of that name that was here goes when the copy is, and one
    that somebody else brought meanwhile stays.  Raises WindlassError (offsite_failed, backup_failed), OSError.
    """
    final = os.path.join(home, str(copy_of["id"]))
    before = workplace.identity(final)
    with workplace.folder(home, "fetched") as place:
        found = _restored(repository, copy_of["snapshot"], place, tick)
        known = manifest.load(found)
        _refuse_damage(repository, found, known)
        manifest.sync(found)
        with workplace.home_lock(home):
            if workplace.identity(final) not in (before, None):
                return final
            replaced = _make_room(final)
            os.rename(found, final)
        manifest.sync_path(home)
    if replaced:  # what failed was the one that is gone
        marks.change(home, known["id"], failed=None)
    marks.change(
        home, known["id"], offsite={
            "repository": repository.shown, "snapshot": copy_of["snapshot"], "at": copy_of["at"],
            "checked_at": marks.now(),
        },
    )  # fmt: skip
    return final


def _make_room(path: str) -> bool:
    """Delete a backup in whose place a copy comes; return whether there was one."""
    if not os.path.isdir(path):
        return False
    if not workplace.remove(path):
        raise WindlassError(
            "backup_failed", f"the damaged backup {path} is in use",
            hint="wait until its restore or its copy ends, then fetch again",
        )  # fmt: skip
    return True


def fetch_by_id(repository: Repository, home: str, database: str, backup_id: str) -> str:
    """Bring the backup of that id back; return its path.  Raise WindlassError (offsite_failed, backup_failed)."""
    return fetch(repository, find(repository, database, backup_id), home)


def find(repository: Repository, database: str, backup_id: str) -> Wire:
    """Return what :func:`snapshots` says of that backup.  Raise WindlassError (offsite_failed, backup_failed)."""
    copies = snapshots(repository, database)
    found = next((each for each in copies if each["id"] == backup_id), None)
    if found is None:
        there = ", ".join(each["id"] for each in copies[:5]) or "none"
        raise WindlassError(
            "backup_failed",
            f"{repository.shown} has no copy of {backup_id} of {database}",
            hint=f"there are: {there}",
        )
    return found


def forget(repository: Repository, ids: Sequence[str]) -> None:
    """Delete snapshots by their ids, and the data that no other needs.  Raise WindlassError (offsite_failed)."""
    if ids:
        done = _run(repository, ["forget", "--prune", *ids])
        _require(repository, done, "did not forget old copies")


def _require_same(repository: Repository, snapshot: str, path: str, known: Wire) -> None:
    """Read a new snapshot's data back, without writing it anywhere, and hold it against the manifest."""
    reading, writing = os.pipe()
    with (
        os.fdopen(reading, "rb") as stream,
        os.fdopen(writing, "wb") as sink,
        _started(repository, ["dump", snapshot, path], output=sink) as process,
    ):
        sink.close()
        found = _hashes(stream, path)
        _require(repository, process.wait(), "did not give the new copy back")
    found.pop(manifest.NAME, None)
    if found != known["files"]:
        raise _damaged(repository, known, manifest.differences(known["files"], found))


def _hashes(stream: IO[bytes], path: str) -> Wire:
    """Return length and sum of each file of a folder that comes as an archive; a cut one gives fewer."""
    found: Wire = {}
    with suppress(tarfile.ReadError, EOFError), tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content:
                digest = hashlib.sha256()
                for chunk in iter(lambda content=content: content.read(_CHUNK), b""):  # type: ignore[misc]
                    digest.update(chunk)
                name = os.path.relpath(os.path.join("/", member.name), path)
                found[name] = {"bytes": member.size, "sha256": digest.hexdigest()}
    return found


def _restored(repository: Repository, snapshot: str, place: workplace.Place, tick: Optional[Tick]) -> str:
    """Write a snapshot's files below a folder; return the backup's own folder there."""
    done = _run(repository, ["restore", snapshot, "--target", place.path], tick=tick, held=[place.lock])
    _require(repository, done, "did not give the copy back")
    for parent, _, names in os.walk(place.path):
        if manifest.NAME in names:
            return parent
    raise WindlassError("offsite_failed", f"snapshot {snapshot[:8]} in {repository.shown} holds no backup")


def _refuse_damage(repository: Repository, folder: str, known: Wire) -> None:
    lines = manifest.damages(folder, known)
    if lines:
        raise _damaged(repository, known, lines)


def _damaged(repository: Repository, known: Wire, lines: Sequence[str]) -> WindlassError:
    return WindlassError(
        "offsite_failed",
        f"the copy of {known['id']} in {repository.shown} is damaged: {'; '.join(lines[:3])}",
        hint="look at the disk of the repository: restic check --read-data",
        where={"database": known["database"]},
    )


def _snapshot(raw: Wire) -> Wire:
    """Return what a snapshot says of the backup in it."""
    tags = dict(tag.partition("=")[::2] for tag in raw.get("tags") or ())
    return {
        "id": tags.get("id", ""), "database": unquote(tags.get("database", "")), "snapshot": raw["id"],
        "at": raw["time"], "host": raw.get("hostname", ""),
    }  # fmt: skip


def _summary(output: str) -> Wire:
    """Return the last message of a ``restic backup --json``."""
    for line in reversed(output.splitlines()):
        if '"message_type":"summary"' in line:
            found: Wire = json.loads(line)
            return found
    raise WindlassError("offsite_failed", "restic did not say which snapshot it made")


def _database_tag(database: str) -> str:
    return f"database={quote(database, safe='')}"  # a comma would part two tags


def _run(
    repository: Repository,
    arguments: Sequence[str],
    tick: Optional[Tick] = None,
    held: Sequence[int] = (),
    output: Optional[IO[bytes]] = None,
) -> processes.Finished:
    """Run restic to its end; again while only the lock of another stands in its way, one that died or goes on."""
    until, pause_s = time.monotonic() + LOCK_PATIENCE_S, 0.0
    while True:
        with _started(repository, arguments, held, output) as process:
            done = process.wait(tick)
        if done.code == 0 or _LOCKED not in done.errors or arguments[0] == "unlock" or time.monotonic() >= until:
            return done
        time.sleep(pause_s)
        pause_s = _LOCK_POLL_S
        _run(repository, ["unlock"])  # takes away locks of dead processes only


def _started(
    repository: Repository, arguments: Sequence[str], held: Sequence[int] = (), output: Optional[IO[bytes]] = None
) -> processes.Process:
    """Start restic; its secrets go by the environment."""
    env = {
        **repository.environment,
        "RESTIC_REPOSITORY": repository.address,
        "RESTIC_PASSWORD": repository.password,
        "RESTIC_PROGRESS_FPS": "0.01",
    }
    options = [word for option in repository.options for word in ("--option", option)]
    argv = [program(), *options, *arguments]
    return processes.Process(argv, env, secrets=repository.secrets, held=held, output=output)


def _require(repository: Repository, done: processes.Finished, what: str) -> None:
    if done.code != 0:
        raise _failure(repository, done, what)


def _failure(repository: Repository, done: processes.Finished, what: str) -> WindlassError:
    """Return what restic's failure means."""
    hint = "local backups are not touched; mend the repository and run the same command again"
    if any(words in done.errors for words in _NO_REPOSITORY):
        hint = "if it was never made: invoke offsite --create --env ENV; if a disk is not mounted, mount it"
    elif _LOCKED in done.errors:
        hint = "another works on it for so long; run the same command again when that has ended (restic list locks)"
    return WindlassError(
        "offsite_failed",
        f"the repository {repository.shown} {what}: restic {done.how}",
        hint=hint,
        detail={"exit_status": done.code, "errors": done.errors[-2000:]},
    )
