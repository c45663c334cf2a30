"""A backup under way: the server writes it itself, in a session of its own, while ours looks at the database."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import Any, Optional

from ...errors import WindlassError
from ...following import Look
from ...model import Target, Wire
from .. import backups
from ..link import Link, ServerError, Tick
from . import backup_sql, contents, databases, driver, server_files
from .own import Own
from .text import literal

TICK_S = 0.1
_LOGIN_S = 10
#: The file of a backup whose folder the host shares with the server, and what is known of one that it does not.
FILE, HEADER = "database.bak", "header.json"
_SPARE_BYTES = 32 << 20
_SERVER = Own(
    "SELECT DB_NAME(), CAST(SERVERPROPERTY('Edition') AS nvarchar(128)), "
    "CAST(SERVERPROPERTY('EngineEdition') AS int), CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), "
    "COALESCE(HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'BACKUP DATABASE'), 0), "
    "COALESCE(HAS_PERMS_BY_NAME(NULL, NULL, 'CREATE ANY DATABASE'), 0)"
)
#: SERVERPROPERTY('EngineEdition'): Standard and its like, Enterprise and Developer; those of Azure that write no file.
_STANDARD, _ENTERPRISE = 2, 3
_IN_AZURE = {5: "Azure SQL Database", 6: "Azure Synapse", 8: "Azure SQL Managed Instance", 11: "Azure Synapse"}
_SET = """
SELECT TOP (1) s.backup_size, s.compressed_backup_size, CAST(s.backup_set_uuid AS nvarchar(36)),
  CAST(s.has_backup_checksums AS int), CAST(s.is_damaged AS int)
FROM msdb.dbo.backupset s JOIN msdb.dbo.backupmediafamily m ON m.media_set_id = s.media_set_id
WHERE m.physical_device_name = {path} ORDER BY s.backup_set_id DESC
"""
_PROGRESS = "SELECT percent_complete FROM sys.dm_exec_requests WHERE session_id = {pid:d}"
_PROGRESS_S = 1.0
_NEAR = "the server keeps these counts and writes the backup by itself: they are near, not of the same moment"
_HINT = "nothing was kept; look at the server's error log and at the room in that folder, and start again"


class _Whole:
    """What is followed only to be hashed: the server has looked into it already."""

    def feed(self, data: bytes) -> None:
        """Take it."""

    def close(self) -> None:
        """Take the end."""


class SQLServerDumping(backups.Dumping):
    """BACKUP DATABASE … COPY_ONLY, verified by the server."""

    method = "BACKUP DATABASE"
    jobs = 1

    def __init__(self, target: Target, link: Link, asked: backups.Asked) -> None:
        """Look at the server first: an edition or a login that cannot do it ends it here."""
        self.target = target
        self.link = link
        self.database, self.edition, engine, self.client_version = require_able(link)
        self.client_major = link.server_version // 10_000
        self.compress = compresses(engine, self.edition)
        self.compression = "the server's own" if self.compress else "none"
        self.folder = server_files.backup_folder(link, target)
        self.elsewhere = "" if server_files.shared(target) else f"the server's folder {self.folder}"
        self.path = ""
        self.known: Wire = {}
        self._into = ""
        self._used = 0
        self._pool: Optional[ThreadPoolExecutor] = None
        self._writing: Optional[Future[list[int]]] = None
        self._writer: Optional[driver.SQLServerLink] = None

    def outside(self, backup_id: str) -> str:
        """Return the path of the file that the server will write."""
        safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in self.database)
        self.path = server_files.join(self.folder, f"windlass-{safe[:60]}-{backup_id}.bak")
        return self.path

    def look(self, path: str) -> Optional[Look]:
        """Hash the copy of a shared file while it is made."""
        return _Whole() if path == os.path.join(backups.DUMP, FILE) else None

    def begin(self) -> None:
        """Look for the server's folder, and for room in it."""
        if server_files.sees_folder(self.link, self.folder) is False:
            raise WindlassError(
                "backup_failed", f"the server does not see its folder for backups, {self.folder}",
                hint=f"make it, or {server_files.NAME_ANOTHER}",
            )  # fmt: skip
        self._used = contents.sizes(self.link)[1]
        needed, there = self._used + _SPARE_BYTES, server_files.free(self.link, self.folder)
        # A compressed backup takes a fraction that nobody knows before: only what cannot be is refused.
        needed = needed // 10 if self.compress else needed
        if there is not None and needed > there:
            asked = f"the backup needs about {needed >> 20} MB in {self.folder} of the server"
            raise WindlassError(
                "space_missing",
                f"{asked}, and {there >> 20} MB are free",
                hint=f"make room there, or {server_files.NAME_ANOTHER}",
                detail={"needed_bytes": needed, "free_bytes": there, "directory": self.folder},
            )

    def sizes(self) -> tuple[int, int]:
        """Ask the server; a file that stays there takes no room here."""
        whole, used = contents.sizes(self.link)
        return whole, 0 if self.elsewhere else used

    def start(self, folder: str, held: Sequence[int]) -> None:
        """Let the server begin to write."""
        os.mkdir(folder, 0o700)
        self.known = {"edition": self.edition, "elsewhere": bool(self.elsewhere)}
        self._into = folder
        encrypted = bool(contents.settings(self.link, self.database)["is_encrypted"])
        self._writer = driver.connect(
            replace(self.target, url=databases.url_of(self.target.url, "master")), "windlass backup", _LOGIN_S
        )
        label = f"windlass {os.path.basename(os.path.dirname(folder)).rpartition('partial-')[2]}"
        batch = backup_sql.backup(self.database, self.path, label, self.compress, encrypted)
        self._pool = ThreadPoolExecutor(1, "windlass-backup")
        self._writing = self._pool.submit(self._writer.run, batch)

    def surroundings(self) -> Wire:
        """Return the database's own settings, the users that need logins, and what not every edition can hold."""
        return {
            "settings": contents.settings(self.link, self.database),
            "globals": {"users": contents.users(self.link), "features": contents.features(self.link)},
        }

    def read_aside(self) -> tuple[str, str]:
        """Return nothing to do: a failed query ends no transaction here."""
        return Own("SELECT 1"), Own("SELECT 1")

    def count(self, tick: Tick) -> Wire:
        """Ask the server for its counts."""
        return {
            "rows": contents.rows(self.link),
            "counted": "approximate",
            "not_held_because": _NEAR,
            "identities_behind": contents.identities_behind(self.link),
        }

    def finish(self, tick: Tick) -> None:
        """Wait for the server; let it read the file again; bring it here where that can be."""
        assert self._writing and self._writer
        began = asked = monotonic()
        while not self._writing.done():
            with suppress(NotYet):
                self._writing.result(TICK_S)
            if monotonic() - asked >= _PROGRESS_S:
                asked = monotonic()
                self._look_how_far()
            tick(monotonic() - began)
        self._writing.result()
        self._writer.run(backup_sql.verify(self.path), tick)
        self._read_header(self._writer)
        self._write_aside()
        if not self.elsewhere:
            self._bring(tick)

    def is_settled(self) -> bool:
        """Return False: a schema can change while the server writes."""
        return False

    def read_back(self, folder: str, scratch: str, held: Sequence[int], tick: Tick) -> Wire:
        """Return what the server said of the file: it has read it to its end already."""
        return self.known

    def end(self) -> None:
        """End the server's work, where it is not done, and its session."""
        if self._writing and not self._writing.done() and self._writer:
            with suppress(ServerError):
                self.link.run(Own(f"KILL {self._writer.backend_pid:d}"))
            with suppress(Exception):
                self._writing.result(_LOGIN_S)
        if self._pool:
            self._pool.shutdown(wait=False)
        if self._writer:
            self._writer.close()

    def _look_how_far(self) -> None:
        """Ask the server how much is done, where the login may know (VIEW SERVER STATE)."""
        assert self._writer
        with suppress(ServerError):
            for (percent,) in self.link.query(Own(_PROGRESS.format(pid=self._writer.backend_pid))):
                self.written = int(self._used * float(percent or 0) / 100)

    def _read_header(self, link: driver.SQLServerLink) -> None:
        """Keep what the file says of itself; refuse one that is not what was asked for."""
        heads = [backup_sql.known_header(row) for row in link.named(backup_sql.header(self.path))]
        wrong = backup_sql.damage(heads, self.database)
        if wrong:
            raise WindlassError("backup_failed", f"{self.path} is no good backup: {wrong}", hint=_HINT)
        size = self._size(link, heads[0])
        files = backup_sql.known_files(link.named(backup_sql.file_list(self.path)))
        self.known.update({"header": heads[0], "file_list": files, "server_checksum": True})
        self.known["server_name"] = server_files.server_name(link)
        if self.elsewhere:
            self.known.update({"server_file": self.path, "bytes": size})

    def _size(self, link: Link, head: Wire) -> int:
        """Return the bytes of the backup as msdb has them, else as the file's header says."""
        with suppress(ServerError):
            for plain, packed, name, has_sums, damaged in link.query(Own(_SET.format(path=literal(self.path)))):
                if damaged or not has_sums or str(name).lower() != str(head["BackupSetGUID"]).lower():
                    raise WindlassError(
                        "backup_failed", f"msdb knows another or a damaged backup as {self.path}", hint=_HINT
                    )
                return int(packed or plain)
        return int(float(head.get("CompressedBackupSize") or head["BackupSize"]))

    def _write_aside(self) -> None:
        """Write beside the backup what is known of its file."""
        told: dict[str, Any] = {key: self.known[key] for key in ("header", "file_list")}
        path = os.path.join(self._into, HEADER)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump({**told, "path": self.path}, file, indent=1, sort_keys=True)

    def _bring(self, tick: Tick) -> None:
        """Copy the file out of the shared folder; the server's one goes when the backup is published or given up."""
        source, began = server_files.on_share(self.target, self.path), monotonic()
        into = os.open(os.path.join(self._into, FILE), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(into, "wb") as copy, open(source, "rb") as original:
            while True:
                data = original.read(1 << 22)
                if not data:
                    break
                copy.write(data)
                tick(monotonic() - began)
            copy.flush()
            if copy.tell() != os.fstat(original.fileno()).st_size:
                raise WindlassError("backup_failed", f"{source} changed while it was copied", hint=_HINT)


def compresses(engine_edition: int, edition: str) -> bool:
    """Return whether an edition can write compressed backups: Enterprise, Developer and Standard can."""
    return engine_edition == _ENTERPRISE or (engine_edition == _STANDARD and edition.startswith("Standard"))


def require_able(link: Link) -> tuple[str, str, int, str]:
    """Refuse a server that writes no files, and a login that may not let it.  Raise WindlassError, ServerError.

    Returns the database's name, the server's edition, its engine edition and its version.
    """
    name, edition, engine, version, may_save, may_look = link.query(_SERVER)[0]
    engine_edition = int(engine)
    if engine_edition in _IN_AZURE:
        raise WindlassError(
            "backup_failed",
            f"{_IN_AZURE[engine_edition]} writes no backups to a disk; it keeps its own",
            hint="use the service's point-in-time restore, and set windlass_policy.backup: never for this database",
        )
    if not may_save:
        raise WindlassError(
            "backup_failed", "the login may not back this database up",
            hint="ALTER ROLE db_backupoperator ADD MEMBER the login's user",
        )  # fmt: skip
    if not may_look:
        raise WindlassError(
            "backup_failed",
            "the login may not look into a backup (CREATE ANY DATABASE), so none could be verified",
            hint="ALTER SERVER ROLE dbcreator ADD MEMBER the login",
        )
    return str(name), str(edition), engine_edition, str(version)
