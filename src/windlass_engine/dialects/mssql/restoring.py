"""A restore under way: RESTORE DATABASE into files of its own, closed to others until it is compared."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone

from ...errors import WindlassError
from ...model import Target, Wire
from .. import backups
from ..link import Link, ServerError, Tick
from . import backup_sql, contents, databases, server_files
from . import outlook as outlooks
from .backup_sql import Move
from .dumping import FILE
from .own import Own
from .server_files import maintenance
from .text import literal, names, quoted

#: Under which a database of some tables says what it is, as a property of the database.
PARTIAL_PROPERTY = "windlass_partial"
_WHOLE = "_whole"
_TEMPORARY = "windlass-restore-"
_LOCK_END = ".lock"
_ENDS = {"D": ".mdf", "L": ".ldf"}
_WRITE_TEST = (
    "BEGIN TRANSACTION; EXEC sys.sp_executesql N'CREATE SCHEMA windlass_write_test'; "
    "EXEC sys.sp_executesql N'CREATE TABLE windlass_write_test.t (id int PRIMARY KEY, note nvarchar(10))'; "
    "EXEC sys.sp_executesql N'INSERT INTO windlass_write_test.t VALUES (1, N''a''), (2, N''b''); "
    "UPDATE windlass_write_test.t SET note = N''c'' WHERE id = 2; DELETE FROM windlass_write_test.t WHERE id = 1'; "
    "ROLLBACK TRANSACTION"
)


class SQLServerRestoring(backups.Restoring):
    """Into a new database with files of its own; of single tables into a small one beside a whole that goes again."""

    def __init__(self, target: Target, known: Wire, folder: str, name: str, asked: backups.Asked) -> None:
        """Keep what is needed; there are no programs to find."""
        self.target = target
        self.known = known
        self.folder = folder
        self.name = name
        self.tables = asked.tables
        self.whole = not asked.tables
        #: The database that RESTORE makes.
        self.restored = name if self.whole else f"{name}{_WHOLE}"
        self.moves: list[Move] = []
        self.copied: Wire = {}
        self.made_side = False

    def obstacles(self) -> tuple[list[str], list[str]]:
        """Look at names, version, edition, certificates and room."""
        with maintenance(self.target) as admin:
            found = outlooks.obstacles(admin, self.known, self.name)
            if not self.whole and admin.query(_exists(self.restored)):
                found.append(f"there is a database {self.restored} already, through which the tables come")
        return found, []

    def outlook(self) -> list[str]:
        """Tell versions, editions, room, users, sessions, and what names the original."""
        with maintenance(self.target) as admin:
            found = outlooks.lines(admin, self.known, self.folder, databases.name_of(self.target.url))
        if not self.whole:
            found.append(f"the whole backup is restored into {self.restored} first, which is dropped again")
        return found

    def create(self) -> None:
        """Choose the database's files; for single tables make the small database, which nobody else gets into."""
        with maintenance(self.target) as admin:
            self.moves = _moves(admin, self.known["file_list"], self.restored)
            if self.whole:
                return
            admin.run(_made(self.name, str(self.known["settings"]["collation_name"])))
            self.made_side = True
            try:
                admin.run(Own(f"ALTER DATABASE {quoted(self.name)} SET RESTRICTED_USER"))
            except BaseException:
                self.drop()
                raise

    def load(self, tick: Tick) -> None:
        """Let the server restore; of single tables copy the rows, and drop the whole."""
        with self._source() as path, maintenance(self.target) as admin:
            admin.run(backup_sql.restore(self.restored, path, self.moves), tick)
            if not self.whole:
                self._copy_tables(admin, tick)
                admin.run(databases.drop(self.restored))

    def compare(self, link: Link) -> tuple[list[str], list[str]]:
        """Let the server check every page; compare rows, identity columns and settings."""
        if not self.whole:
            return self._compare_tables(link)
        link.run(Own(f"DBCC CHECKDB ({literal(self.name)}) WITH NO_INFOMSGS, ALL_ERRORMSGS, PHYSICAL_ONLY"))
        lines = backups.rows_lines(self.known["rows"], contents.rows(link))
        # A table that is not there at all is no matter of the moment at which rows were counted.
        failures = [line for line in lines if ": no rows" in line]
        notes = [f"{line} (counted while it was written)" for line in lines if line not in failures]
        behind = contents.identities_behind(link)
        failures += [line for line in behind if line not in self.known["identities_behind"]]
        notes += [f"{line}, as in the original" for line in behind if line in self.known["identities_behind"]]
        found, wanted = contents.settings(link, self.name), self.known["settings"]
        failures += [
            f"the database's {key} is {found[key]} instead of {wanted[key]}"
            for key in contents.RESTORED
            if found[key] != wanted[key]
        ]
        link.run(Own("BEGIN TRANSACTION", opens=True))
        return failures, notes

    def excuse(self, line: str, version: int) -> bool:
        """Excuse a newer server, which prints some definitions in its own way."""
        return version // 10_000 != self.known["server_version"] // 10_000 and line[0] == "~"

    def try_writing(self, link: Link) -> None:
        """Write into a table that nobody else ever sees; a read-only database is left as it is."""
        if not self.known["settings"]["is_read_only"]:
            link.run(Own(_WRITE_TEST))

    def polish(self, link: Link) -> None:
        """Gather statistics where the server is of another version: else they came with the backup."""
        if link.server_version // 10_000 != self.known["server_version"] // 10_000 and self.whole:
            link.run(Own("EXEC sys.sp_updatestats"))

    def accept(self) -> None:
        """Let others in; a database of some tables says that it is one."""
        with maintenance(self.target) as admin:
            if not self.whole:
                text = f"{backups.PARTIAL}{self.known['id']}: {', '.join(self.tables)}"
                admin.run(
                    Own(
                        f"EXEC {quoted(self.name)}.sys.sp_addextendedproperty @name = {literal(PARTIAL_PROPERTY)}, "
                        f"@value = {literal(text[:3000])}"
                    )
                )
            admin.run(Own(f"ALTER DATABASE {quoted(self.name)} SET MULTI_USER"))

    def drop(self) -> bool:
        """Drop what this restore made, and nothing else: of RESTORE's database the files tell whose it is."""
        with suppress(ServerError, WindlassError), maintenance(self.target) as admin:
            if self.made_side:
                admin.run(databases.drop(self.name))
            if self.moves and admin.query(_has_file(self.restored, self.moves)):
                admin.run(databases.drop(self.restored))
            return True
        return False

    @contextmanager
    def _source(self) -> Iterator[str]:
        """Give the backup's file as the server sees it: where it lies, or a copy in the shared folder for now."""
        if self.known.get("server_file"):
            yield str(self.known["server_file"])
            return
        share = server_files.shared(self.target)
        if not share:
            raise WindlassError(
                "restore_failed",
                "the backup's data lies here, and the server reads only its own files",
                hint="let this host share a folder with it: ?backup_folder=…&backup_share=… in the database's URL",
            )
        with _copy_in(share, os.path.join(self.folder, backups.DUMP, FILE)) as name:
            with maintenance(self.target) as admin:
                there = server_files.join(server_files.backup_folder(admin, self.target), name)
            yield there

    def _copy_tables(self, admin: Link, tick: Tick) -> None:
        """Copy the rows of the chosen tables, each into a new table of its name."""
        made: set[str] = set()
        for shown in self.tables:
            schema, table = _parts(shown)
            if schema not in made and schema.lower() != "dbo":
                text = f"CREATE SCHEMA {quoted(schema)}"
                admin.run(Own(f"EXEC {quoted(self.name)}.sys.sp_executesql {literal(text)}"))
            made.add(schema)
            into, source = (f"{quoted(place)}.{quoted(schema)}.{quoted(table)}" for place in (self.name, self.restored))
            admin.run(Own(f"SELECT * INTO {into} FROM {source}"), tick)
        self.copied = contents.exact(admin, self.restored, [_parts(shown) for shown in self.tables])

    def _compare_tables(self, link: Link) -> tuple[list[str], list[str]]:
        """Compare what was copied with what it was copied from, and that with the manifest."""
        found = contents.exact(link, "", [_parts(shown) for shown in self.tables])
        wanted = {name: self.known["rows"][name] for name in self.tables}
        link.run(Own("BEGIN TRANSACTION", opens=True))
        notes = [f"{line} (counted while it was written)" for line in backups.rows_lines(wanted, found)]
        return backups.rows_lines(self.copied, found), notes


def _moves(admin: Link, files: Sequence[Wire], name: str) -> list[Move]:
    """Return where each file of the database goes: under names that no other restore gives.  Raise ServerError."""
    data, log = server_files.database_folders(admin)
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)[:60]
    stamp = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    found = []
    for number, each in enumerate(files, start=1):
        end = _ENDS.get(str(each["Type"]), "")
        end = ".ndf" if end == ".mdf" and number > 1 else end
        place = log if each["Type"] == "L" else data
        found.append(Move(str(each["LogicalName"]), server_files.join(place, f"{safe}-{stamp}-{number}{end}")))
    return found


def _made(name: str, collation: str) -> Own:
    """Return what makes an empty database for some tables."""
    if not re.fullmatch(r"\w+", collation):
        raise WindlassError("restore_failed", f"{collation!r} is no collation", hint="nothing was touched")
    return Own(f"CREATE DATABASE {quoted(name)} COLLATE {collation}; ALTER DATABASE {quoted(name)} SET RECOVERY SIMPLE")


def _exists(name: str) -> Own:
    return Own(f"SELECT 1 WHERE DB_ID({literal(name)}) IS NOT NULL")


def _has_file(name: str, moves: Sequence[Move]) -> Own:
    """Return the query whether a database is made of one of these files."""
    listed = ", ".join(literal(move.path) for move in moves)
    return Own(
        f"SELECT TOP (1) 1 FROM sys.master_files WHERE database_id = DB_ID({literal(name)}) "
        f"AND physical_name IN ({listed})"
    )


def _parts(shown: str) -> tuple[str, str]:
    """Return schema and name of a table as the manifest names it."""
    schema, table = (part[1:-1].replace("]]", "]") if part.startswith("[") else part for part in names(shown))
    return schema, table


@contextmanager
def _copy_in(share: str, source: str) -> Iterator[str]:
    """Copy a file into the shared folder for now, and give its name there.  Raise OSError."""
    _clear_old(share)
    name = _TEMPORARY + secrets.token_hex(6)
    here, lock = (os.path.join(share, name + end) for end in (".bak", _LOCK_END))
    with open(lock, "xb") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            with os.fdopen(os.open(here, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
                os.fchmod(copy.fileno(), 0o640)  # the server reads it through the folder's group
                with open(source, "rb") as original:
                    shutil.copyfileobj(original, copy, 1 << 22)
            yield name + ".bak"
        finally:
            with suppress(OSError):
                os.unlink(here)
            os.unlink(lock)


def _clear_old(share: str) -> None:
    """Delete copies that killed restores left in the shared folder: nobody holds their lock."""
    for entry in list(os.scandir(share)):
        if not (entry.name.startswith(_TEMPORARY) and entry.name.endswith(_LOCK_END)):
            continue
        with suppress(OSError), open(entry.path, "rb+") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                os.unlink(entry.path[: -len(_LOCK_END)] + ".bak")
            os.unlink(entry.path)
