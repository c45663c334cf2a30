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
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from tempfile import TemporaryDirectory
from typing import Any, Callable

from . import introspect, journal, manifest, processes
from .backup_store import Partial, catalogue, check, find, partial
from .dialects import for_url
from .dialects.postgresql import contents, dump, surroundings
from .errors import WindlassError
from .keeping import encryption
from .model import Journal, Target, Wire
from .session import ServerError, Session, connect

__all__ = ["BackupSettings", "catalogue", "check", "find", "make"]

Emit = Callable[[Wire], None]

DUMP = "dump"
SCHEMA = "schema.json"
_PROGRESS_S = 1.0
#: What stays free besides the backup itself.
_SPARE_BYTES = 32 << 20
#: How much larger than the last backup, in proportion to the data, the next one may be.
_GROWTH = 1.25
_NO_SPACE = os.strerror(errno.ENOSPC)


@dataclass(frozen=True)
class BackupSettings:
    """How and where a backup is made, and for whom.

    ``directory`` holds a folder for each database.  ``client_bin`` is the folder of pg_dump (empty: found by itself),
    ``jobs`` the parallel workers (0: as many as processors, four at most).  ``space_factor`` is the share of the data's
    size (tables and large objects, no indexes) that a first backup is taken to need; later ones go by the last.
    ``recipients`` are public keys of age for which the files are encrypted.
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


def make(target: Target, settings: BackupSettings, emit: Emit) -> Wire:
    """Make a backup of a database; return the summary of its manifest.

    Emits ``backup_started``, ``backup_progress`` and ``backup_done``.  Raises WindlassError: ``backup_failed``,
    ``space_missing``, ``connection_lost``, and those of :func:`windlass_engine.session.connect`.  Whatever happens,
    nothing incomplete is left under a backup's name.
    """
    require_engine(target)
    with _told(target), connect(target, f"windlass backup {settings.run_id} {settings.who}".strip()) as session:
        return _Making(target, settings, stamped(emit, target.name), session).run()


def require_engine(target: Target) -> None:
    """Refuse an engine that cannot be backed up yet.  Raise WindlassError (backup_failed)."""
    dialect = for_url(target.url)
    if "backup" not in dialect.capabilities:
        raise WindlassError(
            "backup_failed",
            f"backups of {dialect.title} are not built yet",
            hint="make one with the engine's own tools, and set windlass_policy.backup: never for this database",
            where={"database": target.name},
        )


def stamped(emit: Emit, database: str) -> Emit:
    """Return an emit that adds time and database."""

    def with_stamp(event: Wire) -> None:
        emit({"at": now(), "database": database, **event})

    return with_stamp


def now() -> str:
    """Return the time: ISO 8601, UTC, milliseconds."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def job_count(asked: int) -> int:
    """Return how many workers to use."""
    return asked if asked > 0 else min(os.cpu_count() or 1, 4)


class _Making:
    """One backup under way."""

    def __init__(self, target: Target, settings: BackupSettings, emit: Emit, session: Session) -> None:
        """Find the programs first: without them nothing begins."""
        if settings.recipients:
            encryption.require_recipients(settings.recipients)
            encryption.program()
        self.target = target
        self.settings = settings
        self.emit = emit
        self.session = session
        self.jobs = job_count(settings.jobs)
        self.client = dump.find_client(session.server_version // 10000, settings.client_bin)
        self.compression = dump.compression_of(self.client)
        self.began = time.monotonic()
        self.told = 0.0

    def run(self) -> Wire:
        """Go the whole way."""
        started = now()
        contents.begin_reading(self.session, self._lock_wait_ms)
        snapshot = contents.export_snapshot(self.session)
        seen = self._seen()
        self._require_space(seen["data_bytes"])
        with partial(self.settings.directory, self.target.name) as made:
            self.emit({"event": "backup_started", "path": made.final_path, "id": made.id})
            _write_json(os.path.join(made.path, SCHEMA), seen.pop("schema").to_wire())
            counted = self._dump(made, snapshot, seen.pop("table_names"))
            files = self._sealed(made, self._read_back(made))
            known = {**self._described(made, started, files), **seen, **counted}
            manifest.write(made.path, known)
            path = made.publish()
        self.emit(
            {"event": "backup_done", "id": known["id"], "bytes": known["bytes"], "duration_ms": known["duration_ms"]}
        )
        return manifest.summary(path, known)

    @property
    def _lock_wait_ms(self) -> int:
        """Return how long a locked table is waited for."""
        return int(self.settings.lock_wait_s * 1000)

    def _seen(self) -> Wire:
        """Return what our own session sees in the snapshot, and what surrounds the database."""
        names = contents.tables(self.session)
        contents.hold_still(self.session, names)
        schema = introspect.snapshot(self.session)
        database_bytes, data_bytes = contents.sizes(self.session)
        kept = self._journal()
        return {
            "table_names": names,
            "schema": schema,
            "fingerprint": introspect.fingerprint(schema),
            "database_bytes": database_bytes,
            "data_bytes": data_bytes,
            "journal_head": kept.head,
            "journal_applied": _last_applied(kept),
            "settings": surroundings.settings(self.session.query, self.session.server_version),
            "globals": surroundings.globals_of(self.session.query),
        }

    def _journal(self) -> Journal:
        """Read the journal; that there is none must not end our transaction."""
        self.session.run("SAVEPOINT journal")
        try:
            return journal.read(self.session)
        finally:
            self.session.run("ROLLBACK TO SAVEPOINT journal")

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
        earlier = [b for b in catalogue(self.settings.directory, self.target.name) if b["state"] == "complete"]
        last = manifest.load(earlier[0]["path"]) if earlier else {}
        if last.get("data_bytes"):
            return int(data_bytes * last["bytes"] / last["data_bytes"] * _GROWTH)
        return int(data_bytes * self.settings.space_factor)

    def _dump(self, made: Partial, snapshot: str, names: list[str]) -> Wire:
        """Run pg_dump and count the rows of the same snapshot meanwhile."""
        way = dump.login(self.target)
        argv = dump.dump_command(
            self.client, way, os.path.join(made.path, DUMP), jobs=self.jobs, compression=self.compression,
            snapshot=snapshot, lock_wait_ms=self._lock_wait_ms,
        )  # fmt: skip
        with processes.Process(argv, way.env, secrets=way.secrets, held=[made.lock]) as dumping:

            def tick(_: float) -> None:
                self._progress(made)
                if dumping.has_ended():
                    self._require_success(dumping.wait(), "pg_dump")

            rows = contents.count_rows(self.session, names, tick)
            counted = {
                "rows": rows,
                "tables": len(rows),
                "total_rows": sum(rows.values()),
                "large_objects": contents.count_large_objects(self.session),
                "sequences_behind": contents.sequences_behind(self.session, tick),
            }
            self._require_success(dumping.wait(lambda _: self._progress(made)), "pg_dump")
        # The dump is whole by now: a session that was lost while it waited is no loss.
        with suppress(ServerError):
            self.session.run("COMMIT")
        return counted

    def _read_back(self, made: Partial) -> Wire:
        """Read the dump as a restore would, and hash its files meanwhile."""
        folder = os.path.join(made.path, DUMP)
        # The listings lie inside, so that they go with the rest when this process is killed.
        with TemporaryDirectory(prefix=".reading-", dir=made.path) as lists, ThreadPoolExecutor(1) as pool:
            hashing = pool.submit(manifest.hash_files, made.path, self.jobs)
            listing = os.path.join(lists, "contents")
            self._read([dump.list_command(self.client, folder, listing)], made)
            self._read(dump.read_commands(self.client, folder, dump.part(listing, folder, self.jobs)), made)
            return {path: known for path, known in hashing.result().items() if not path.startswith(".reading-")}

    def _sealed(self, made: Partial, files: Wire) -> Wire:
        """Encrypt the files where that is asked for; return those that the manifest is to list."""
        if not self.settings.recipients:
            return files
        encryption.seal(made.path, sorted(files), self.settings.recipients, self.jobs, held=[made.lock])
        return manifest.hash_files(made.path, self.jobs)

    def _read(self, commands: list[list[str]], made: Partial) -> None:
        """Run pg_restore, several at once; all must end well."""
        with ExitStack() as stack:
            reading = [stack.enter_context(processes.Process(argv, {}, held=[made.lock])) for argv in commands]
            for process in reading:
                self._require_success(process.wait(lambda _: self._progress(made)), "pg_restore, reading it back,")

    def _described(self, made: Partial, started: str, files: Wire) -> Wire:
        """Return the part of the manifest that tells how the backup came to be."""
        return {
            "format": manifest.FORMAT,
            "id": made.id,
            "engine": "postgresql",
            "method": "pg_dump directory",
            "server_version": self.session.server_version,
            "client_version": self.client.version,
            "client_major": self.client.major,
            "database": self.target.name,
            "system": self.target.system,
            "started": started,
            "finished": now(),
            "duration_ms": int((time.monotonic() - self.began) * 1000),
            "compression": self.compression,
            "jobs": self.jobs,
            "files": files,
            "encryption": encryption.described(self.settings.recipients),
            "bytes": sum(entry["bytes"] for entry in files.values()),
            "who": self.settings.who,
            "why": self.settings.why,
            "run_id": self.settings.run_id,
        }

    def _progress(self, made: Partial) -> None:
        """Tell how far it is, once a second."""
        elapsed = time.monotonic() - self.began
        if elapsed - self.told >= _PROGRESS_S:
            self.told = elapsed
            self.emit({"event": "backup_progress", "bytes": _bytes_in(made.path), "elapsed_ms": int(elapsed * 1000)})

    def _require_success(self, finished: processes.Finished, name: str) -> None:
        """Raise for a process that did not end well."""
        if finished.code == 0:
            return
        if _NO_SPACE in finished.errors:
            raise _disk_full(self.settings.directory)
        raise WindlassError(
            "backup_failed",
            f"{name} {finished.how}",
            hint="nothing was kept; mend the cause and start again",
            where={"database": self.target.name},
            detail={"exit_status": finished.code, "errors": finished.errors[-4000:]},
        )


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


def _bytes_in(folder: str) -> int:
    """Return the bytes of the files below a folder, as they are this moment."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_size
            except OSError:
                continue  # renamed or gone since the listing
    return total


def _size(count: int) -> str:
    """Return a number of bytes for people."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
