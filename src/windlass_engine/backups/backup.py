"""Backups: made from one snapshot, read back, hashed, and published complete or not at all.

The dump, the row counts, the journal's head and the schema's fingerprint in the manifest are all of the same snapshot,
so a restored database can be compared with exactly what was saved.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from tempfile import TemporaryDirectory
from typing import Any, Callable

from .. import following, journal
from ..dialects import for_url
from ..dialects.backups import DUMP, Asked, Keeper
from ..errors import WindlassError
from ..keeping import band, encryption, manifest, outside
from ..keeping.backup_store import Partial, catalogue, check, find, home_of, partial
from ..model import Journal, Target, Wire
from ..schema import introspect
from ..session import ServerError, Session, connect

__all__ = ["BackupSettings", "catalogue", "check", "find", "foresee", "make", "require_possible"]

Emit = Callable[[Wire], None]

SCHEMA = "schema.json"
_PROGRESS_S = 1.0
#: More workers than these would take too much of a server at work.
_JOBS = 8
#: What stays free besides the backup itself.
_SPARE_BYTES = 32 << 20
#: How much larger than the last backup, in proportion to the data, the next one may be.
_GROWTH = 1.25


@dataclass(frozen=True)
class BackupSettings:
    """How and where a backup is made, and for whom.

    ``directory`` holds a folder for each database.  ``client_bin`` is the folder of pg_dump (empty: found by itself),
    ``jobs`` the parallel workers (0: as many as processors, eight at most).  ``space_factor`` is the share of the
    data's size (tables and large objects, no indexes) that a first backup is taken to need; later ones go by the last.
    ``recipients`` are public keys of age for which the files are encrypted.  ``size_band`` says below
    how many percent of the usual size a backup is strange (0: never).  ``offsite`` says that it will be copied away.
    """

    directory: str
    client_bin: str = ""
    jobs: int = 0
    who: str = ""
    why: str = ""
    run_id: str = ""
    lock_wait_s: float = 60.0
    space_factor: float = 0.5
    recipients: tuple[str, ...] = ()
    size_band: int = 50
    offsite: bool = False


def make(target: Target, settings: BackupSettings, emit: Emit) -> Wire:
    """Make a backup of a database; return the summary of its manifest.

    Emits ``backup_started``, ``backup_progress`` and ``backup_done``.  Raises WindlassError: ``backup_failed``,
    ``space_missing``, ``connection_lost``, and those of :func:`windlass_engine.session.connect`.  Whatever happens,
    nothing incomplete is left under a backup's name.
    """
    keeper = keeper_of(target)
    with _told(target), connect(target, f"windlass backup {settings.run_id} {settings.who}".strip()) as session:
        return _Making(target, settings, stamped(emit, target.name), session, keeper).run()


def foresee(target: Target, settings: BackupSettings) -> Wire:
    """Return how a backup would be made: ``{method, client_version, compression, elsewhere}``.  Touches nothing.

    Raises WindlassError as :func:`make` does before it begins.
    """
    keeper = keeper_of(target)
    with _told(target), connect(target, "windlass backup") as session:
        dumping = _Making(target, settings, lambda _: None, session, keeper).dumping
        names = ("method", "client_version", "compression", "elsewhere")
        return {name: getattr(dumping, name) for name in names}


def require_possible(target: Target, settings: BackupSettings) -> None:
    """Refuse what :func:`make` would refuse before it writes anything: programs, rights, room.  Raises as it does."""
    with _told(target), connect(target, f"windlass backup {settings.run_id}") as session:
        _Making(target, settings, lambda _: None, session, keeper_of(target)).require_possible()


def keeper_of(target: Target) -> Keeper:
    """Return how the target's engine is backed up.  Raise WindlassError (backup_failed) where it cannot be yet."""
    dialect = for_url(target.url)
    if "backup" not in dialect.capabilities:
        raise WindlassError(
            "backup_failed",
            f"backups of {dialect.title} are not built yet",
            hint="make one with the engine's own tools, and set windlass_policy.backup: never for this database",
            where={"database": target.name},
        )
    return dialect.backups()


def server_of(target: Target) -> outside.Server:
    """Return how the target's server looks after files that backups have there."""
    keeper = keeper_of(target)
    return outside.Server(lambda known: keeper.recheck(target, known), lambda paths: keeper.clear(target, paths))


def stamped(emit: Emit, database: str) -> Emit:
    """Return an emit that adds time and database."""

    def with_stamp(event: Wire) -> None:
        emit({"at": now(), "database": database, **event})

    return with_stamp


def now() -> str:
    """Return the time: ISO 8601, UTC, milliseconds."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def job_count(asked: int) -> int:
    """Return how many workers to use: as many as processors, within limits."""
    return asked if asked > 0 else min(len(os.sched_getaffinity(0)), _JOBS)


class _Making:
    """One backup under way."""

    def __init__(self, target: Target, settings: BackupSettings, emit: Emit, session: Session, keeper: Keeper) -> None:
        """Find the programs first: without them nothing begins."""
        if settings.recipients:
            encryption.require_recipients(settings.recipients)
            encryption.program()
        self.target = target
        self.settings = settings
        self.emit = emit
        self.session = session
        self.engine = keeper.engine
        self.jobs = job_count(settings.jobs)
        asked = Asked(settings.client_bin, self.jobs, int(settings.lock_wait_s * 1000))
        self.dumping = keeper.dumping(target, session.link, asked)
        if self.dumping.elsewhere:
            _require_reach(settings, self.dumping.elsewhere)
        self.began = time.monotonic()
        self.told = 0.0
        self.written = 0
        self.earlier = _earlier(settings.directory, target.name)

    def run(self) -> Wire:
        """Go the whole way; what this or an earlier backup left on the server goes, whatever happened."""
        try:
            return self._made()
        finally:
            self._tidy()

    def _made(self) -> Wire:
        """Make the backup; return the summary of its manifest."""
        self._left_on_server()  # what is said of it is said at the end
        started = now()
        self.dumping.begin()
        database_bytes, data_bytes = self.dumping.sizes()
        self._require_space(data_bytes)
        known: Wire = {"database_bytes": database_bytes, "data_bytes": data_bytes}
        with partial(self.settings.directory, self.target.name) as made:
            self.emit({"event": "backup_started", "path": made.final_path, "id": made.id})
            try:
                seen, files = self._dump(made)
                seen.update(self._read_back(made))
            finally:
                self.dumping.end()
            files = self._sealed(made, files)
            counts = {"tables": len(seen["rows"]), "total_rows": sum(seen["rows"].values())}
            known = {**self._described(made, started, files), **known, **seen, **counts}
            known["warnings"] = band.warnings(known, self.earlier, self.settings.size_band)
            manifest.write(made.path, known)
            path = made.publish()
        told = {key: known[key] for key in ("id", "bytes", "duration_ms", "compression", "jobs")}
        for text in known["warnings"]:
            self.emit({"event": "backup_warning", "text": text})
        self.emit({"event": "backup_done", **told})
        return manifest.summary(path, known)

    def require_possible(self) -> None:
        """Go as far as before anything is written."""
        self.dumping.begin()
        try:
            self._require_space(self.dumping.sizes()[1])
        finally:
            self.dumping.end()

    def _dump(self, made: Partial) -> tuple[Wire, Wire]:
        """Write the dump and read its files meanwhile; return what was seen in the same view, and the files."""
        with following.Following(made.path, self.dumping.look, self.jobs) as read:

            def tick(_: float) -> None:
                self.written = read.bytes or self.dumping.written
                self._progress()

            path = self.dumping.outside(made.id)
            if path:
                outside.note(made.home, made.id, path)
            self.dumping.start(os.path.join(made.path, DUMP), [made.lock])
            seen = self._seen(made, tick)
            return seen, _whole(read)

    def _seen(self, made: Partial, tick: Callable[[float], None]) -> Wire:
        """Look at the view of the data until the dump is written."""
        schema = introspect.snapshot(self.session)
        _write_json(os.path.join(made.path, SCHEMA), schema.to_wire())
        kept = self._journal()
        around = self.dumping.surroundings()
        counted = self.dumping.count(tick)
        self.dumping.finish(tick)
        fingerprint = introspect.fingerprint(schema)
        self._require_settled(fingerprint)
        return {
            "fingerprint": fingerprint,
            "journal_head": kept.head,
            "journal_applied": _last_applied(kept),
            **around,
            **counted,
        }

    def _journal(self) -> Journal:
        """Read the journal; that there is none must not end our transaction."""
        before, after = self.dumping.read_aside()
        self.session.run(before)
        try:
            return journal.read(self.session)
        finally:
            self.session.run(after)

    def _require_settled(self, fingerprint: str) -> None:
        """Refuse a dump in the middle of which the schema changed."""
        if not self.dumping.is_settled() and introspect.fingerprint(introspect.snapshot(self.session)) != fingerprint:
            raise WindlassError(
                "backup_failed",
                "the schema changed while the backup was made, so nothing was kept",
                hint="start again when nobody changes tables, views, routines, triggers or events",
            )

    def _require_space(self, data_bytes: int) -> None:
        """Refuse to begin what would fill the disk."""
        needed = self._estimate(data_bytes) + _SPARE_BYTES
        free = shutil.disk_usage(_existing(self.settings.directory)).free
        if needed > free:
            raise WindlassError(
                "space_missing",
                f"the backup needs about {_size(needed)} in {self.settings.directory}, and {_size(free)} are free",
                hint="make room there, or set windlass_backup_dir to a larger disk",
                detail={"needed_bytes": needed, "free_bytes": free, "directory": self.settings.directory},
            )

    def _estimate(self, data_bytes: int) -> int:
        """Return the bytes that the backup will take: like the last one, else by the factor."""
        last = self.earlier[0] if self.earlier else {}
        if last.get("data_bytes"):
            return int(data_bytes * last["bytes"] / last["data_bytes"] * _GROWTH)
        return int(data_bytes * self.settings.space_factor)

    def _read_back(self, made: Partial) -> Wire:
        """Read of the finished dump what could not be read in passing; return what was learnt."""
        # What is needed for that lies inside, so that it goes with the rest when this process is killed.
        with TemporaryDirectory(prefix=".reading-", dir=made.path) as scratch:
            dump = os.path.join(made.path, DUMP)
            return self.dumping.read_back(dump, scratch, [made.lock], lambda _: self._progress())

    def _sealed(self, made: Partial, files: Wire) -> Wire:
        """Encrypt the files where that is asked for; return those that the manifest is to list."""
        if not self.settings.recipients:
            return files
        encryption.seal(made.path, sorted(files), self.settings.recipients, self.jobs, held=[made.lock])
        return manifest.hash_files(made.path, self.jobs)

    def _described(self, made: Partial, started: str, files: Wire) -> Wire:
        """Return the part of the manifest that tells how the backup came to be."""
        return {
            "format": manifest.FORMAT,
            "id": made.id,
            "engine": self.engine,
            "method": self.dumping.method,
            "server_version": self.session.server_version,
            "client_version": self.dumping.client_version,
            "client_major": self.dumping.client_major,
            "database": self.target.name,
            "system": self.target.system,
            "started": started,
            "finished": now(),
            "duration_ms": int((time.monotonic() - self.began) * 1000),
            "compression": self.dumping.compression,
            "jobs": self.dumping.jobs,
            "files": files,
            "encryption": encryption.described(self.settings.recipients),
            "bytes": sum(entry["bytes"] for entry in files.values()),
            "who": self.settings.who,
            "why": self.settings.why,
            "run_id": self.settings.run_id,
        }

    def _tidy(self) -> None:
        """Let files go that backups left on the server; say which stay."""
        for text in self._left_on_server():
            self.emit({"event": "backup_warning", "text": text})

    def _left_on_server(self) -> list[str]:
        """Delete what is no backup's; return a line for each file that stays."""
        return outside.tidy(home_of(self.settings.directory, self.target.name), server_of(self.target).clear)

    def _progress(self) -> None:
        """Tell how far it is, once a second."""
        elapsed = time.monotonic() - self.began
        if elapsed - self.told >= _PROGRESS_S:
            self.told = elapsed
            self.emit({"event": "backup_progress", "bytes": self.written, "elapsed_ms": int(elapsed * 1000)})


@contextmanager
def _told(target: Target) -> Iterator[None]:
    """Tell of every failure as a WindlassError that names the database."""
    try:
        yield
    except WindlassError as error:
        raise error.located(database=target.name) from None
    except ServerError as error:
        code = "connection_lost" if error.lost else "backup_failed"
        text = ": ".join(part for part in (error.message, error.detail) if part)
        raise WindlassError(
            code, f"the backup broke off: {text}", where={"database": target.name},
            hint=error.hint or "nothing was kept; mend the cause and start again",
        ) from None  # fmt: skip
    except OSError as error:
        raise _disk_error(error).located(database=target.name) from None


def _require_reach(settings: BackupSettings, place: str) -> None:
    """Refuse to encrypt, or to copy off-site, what this host cannot read."""
    wishes = (
        ("encrypted", settings.recipients, "windlass_backup_recipients to []"),
        ("copied off-site", settings.offsite, "windlass_offsite to {}"),
    )
    for what, asked, way_out in wishes:
        if asked:
            raise WindlassError(
                "backup_failed",
                f"backups are to be {what}, and this one's data would lie in {place}, which this host cannot read",
                hint="let this host share that folder (?backup_folder=…&backup_share=… in the database's URL), or set "
                f"{way_out} for it",
            )


def _disk_error(error: OSError) -> WindlassError:
    """Return what a failure of the file system means."""
    path = str(error.filename or "the backup's folder")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _disk_full(path)
    return WindlassError(
        "backup_failed",
        f"{path}: {error.strerror or error}",
        hint="the login user needs a folder to write in: set windlass_backup_dir",
    )


def _disk_full(path: str) -> WindlassError:
    """Return the error of a disk that filled up in the middle."""
    return WindlassError(
        "space_missing",
        f"the disk of {path} filled up in the middle of the backup, of which nothing was kept",
        hint="make room there, or set windlass_backup_dir to a larger disk",
    )


def _whole(read: following.Following) -> Wire:
    """Return the files that were read, which must all be whole."""
    try:
        return read.finish()
    except following.Damaged as error:
        raise WindlassError(
            "backup_failed",
            f"reading the dump back: {error}",
            hint="nothing was kept; look at the disk, and start again",
        ) from None


def _earlier(directory: str, database: str) -> list[Wire]:
    """Return the manifests of the last complete backups, the newest first."""
    complete = [entry for entry in catalogue(directory, database) if entry["state"] == "complete"]
    found = []
    for entry in complete[: band.COMPARED]:
        with suppress(WindlassError):  # its retention deletes it at this moment
            found.append(manifest.load(entry["path"]))
    return found


def _last_applied(kept: Journal) -> str:
    """Return the name of the last migration that is applied."""
    done = [entry for entry in kept.entries if entry.kind == "migration" and entry.state == "applied"]
    return max(done, key=lambda entry: entry.ordinal).name if done else ""


def _write_json(path: str, data: Any) -> None:
    """Write a file that only its owner may read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(data, file, ensure_ascii=False, separators=(",", ":"))


def _existing(path: str) -> str:
    """Return the nearest folder above a path that is there already."""
    path = os.path.abspath(path)
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _size(count: int) -> str:
    """Return a number of bytes for people."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
