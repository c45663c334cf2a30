"""A restore under way: the parts of a dump into a new database, its code as far as that cannot reach the original.

Code that names its own schema is left out beside the original, and said; it waits in :mod:`.aside` for the swap, when
its database has the original's name again.  Events are made, but do not run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from ...errors import WindlassError
from ...model import Target, Wire
from .. import backups
from ..link import Link, ServerError, Tick
from . import aside, client, code, contents, databases, driver, outlook, surroundings
from .address import connect_options
from .dumping import CODE, EXACT
from .loading import Loading, only_rows_of, with_words
from .text import literal, quoted

_HINT = "the new database was dropped again; mend the cause and start again"
_LOGIN_S = 10
_BATCH = 50
_DENIED = 1044
_GONE = "waits for the swap, which makes it"


@contextmanager
def maintenance(target: Target) -> Iterator[Link]:
    """Log in to the target's server, to a database that is always there."""
    there = Target(target.name, target.system, databases.url_of(target.url, "information_schema"), target.password)
    link = driver.connect(there, "windlass restore", _LOGIN_S)
    try:
        yield link
    finally:
        link.close()


class MySQLRestoring(backups.Restoring):
    """Into a database with the original's character set; grants belong to names, so they are the swap's."""

    def __init__(self, target: Target, known: Wire, folder: str, name: str, asked: backups.Asked) -> None:
        """Find the programs."""
        self.target = target
        self.known = known
        self.folder = os.path.join(folder, backups.DUMP)
        self.name = name
        self.asked = asked
        self.whole = not asked.tables
        self.original = str(known["globals"]["database"])
        with maintenance(target) as admin:
            self.server_version = admin.server_version
        self.is_mariadb = self.server_version >= driver.MARIADB
        self.client = client.find(self.server_version, asked.client_bin, code="restore_failed")
        self.packer = str(known["compression"]).partition(":")[0]
        self.own_words = self._own_words()
        self.pieces: list[code.Piece] = []
        self.waiting: list[str] = []
        self._apart: list[code.Piece] = []

    def obstacles(self) -> tuple[list[str], list[str]]:
        """Look for a database of that name, another make or an older server, missing users; name what is left out."""
        known = self.known
        with maintenance(self.target) as admin:
            lines = self._misfits(admin)
            if not self.whole:
                return lines, self._near_notes()
            host = str(connect_options(self.target)["host"])
            lines += outlook.lacking_room(admin, int(known["database_bytes"]), host)
            lacking = self._lacking_users(admin)
            strange = surroundings.forbidden_definers(admin, known["globals"]["definers"], self.is_mariadb)
        absent_before = [name for name in lacking if name in known["globals"]["missing_definers"]]
        lacking = [name for name in lacking if name not in absent_before]
        if lacking:
            lines.append(f"the server lacks the users {', '.join(lacking)}, as whom code runs (CREATE USER them first)")
        if strange:
            lines.append(f"the login may not make code that runs as {', '.join(strange)} (GRANT SET USER ON *.* to it)")
        notes = [f"the user {name}, as whom code runs, is missing, as in the original" for name in absent_before]
        named = [f"{label} names the schema {self.original!r}: it {_GONE}" for label in known["names_itself"]]
        return lines, notes + self._near_notes() + named

    def outlook(self) -> list[str]:
        """Tell versions, users, room and sessions."""
        options = connect_options(self.target)
        with maintenance(self.target) as admin:
            return outlook.lines(
                admin, self.known, str(options["database"]), self.client.version, str(options["host"]), self.whole
            )

    def create(self) -> None:
        """Make the database, with the mark in its own table."""
        self.pieces = self._saved_code() if self.whole else []
        with maintenance(self.target) as admin:
            self._make(admin)
            try:
                aside.make(admin, self.name, aside.UNFINISHED)
                aside.put(admin, self.name, aside.CODE, self._kept_code())
            except BaseException:
                self.drop()
                raise

    def load(self, tick: Tick) -> None:
        """Load all parts, some at a time; then make the code, or take the foreign keys of a mere part away."""
        parts = [str(name) for name in self.known["parts"]]
        for at in range(0, len(parts), max(1, self.asked.jobs)):
            self._load_together(parts[at : at + max(1, self.asked.jobs)], tick)
        with maintenance(self.target) as admin:
            admin.run(f"USE {quoted(self.name)}")
            if self.whole:
                self._make_code(admin)
            else:
                admin.run(contents.without_foreign_keys(admin, self.name))

    def compare(self, link: Link) -> tuple[list[str], list[str]]:
        """Compare rows, counters, code and settings; of a mere part the rows alone."""
        found = surroundings.code_of(link, self.name, "restore_failed") if self.whole else []
        link.run("START TRANSACTION READ ONLY")
        failures, notes = self._rows_lines(link)
        if not self.whole:
            return failures, notes
        behind = contents.counters_behind(link, self.name)
        failures += [line for line in behind if line not in self.known["counters_behind"]]
        notes += [f"{line}, as in the original" for line in behind if line in self.known["counters_behind"]]
        settings = surroundings.settings(link, self.name)
        failures += [
            f"the database's {key} differs" for key in settings if settings[key] != self.known["settings"][key]
        ]
        failures += self._code_lines(found)
        return failures, notes + self.waiting

    def excuse(self, line: str, version: int) -> bool:
        """Excuse grants, code that waits, events (they are compared apart), and how another version prints."""
        newer = version // 100 != self.known["server_version"] // 100
        return not self.is_noted(line) or (newer and line[0] == "~")

    def is_noted(self, line: str) -> bool:
        """Return whether it is none of those that have to be, or were told already."""
        name = line[2:].partition(": ")[0]
        return not (name.startswith(("grant ", "event ")) or name in self._waiting_names())

    def try_writing(self, link: Link) -> None:
        """Write, change and delete in the mark's own table."""
        table = f"{quoted(self.name)}.{aside.TABLE}"
        link.run(
            [
                "START TRANSACTION READ WRITE",
                f"INSERT INTO {table} VALUES ('write test', 'a'), ('write test 2', 'b')",
                f"UPDATE {table} SET value = 'c' WHERE name = 'write test 2'",
                f"DELETE FROM {table} WHERE name = 'write test'",
                "ROLLBACK",
            ]
        )

    def polish(self, link: Link) -> None:
        """Let the server look at every table."""
        names = [table.name for table in contents.tables(link, self.name) if not table.is_sequence]
        for at in range(0, len(names), _BATCH):
            listed = ", ".join(f"{quoted(self.name)}.{quoted(name)}" for name in names[at : at + _BATCH])
            link.run(f"ANALYZE TABLE {listed}")

    def accept(self) -> None:
        """Change the mark; that of a mere part says so."""
        some = f"{backups.PARTIAL}{self.known['id']}: {', '.join(self.asked.tables)}"
        with maintenance(self.target) as admin:
            aside.put(admin, self.name, aside.STATE, aside.RESTORED if self.whole else some)

    def drop(self) -> bool:
        """Drop it."""
        with suppress(ServerError, WindlassError), maintenance(self.target) as admin:
            admin.run(f"DROP DATABASE IF EXISTS {quoted(self.name)}")
            return True
        return False

    def _own_words(self) -> dict[bytes, bytes]:
        """Return the defaults that name the original schema, and what they have to be here."""
        return {
            default.encode(): surroundings.pointed(default, self.original, self.name).encode()
            for _, _, default in self.known["own_defaults"]
        }

    def _near_notes(self) -> list[str]:
        """Say where counts are not of the dump's own moment."""
        if self.known["counted"] == EXACT:
            return []
        return [f"rows were counted near the dump's moment, not at it ({self.known['not_held_because']})"]

    def _rows_lines(self, link: Link) -> tuple[list[str], list[str]]:
        """Return the tables whose rows are not those of the manifest: what is wrong, and what was counted loosely."""
        wanted = self.asked.tables or tuple(self.known["rows"])
        there = [table for table in contents.tables(link, self.name) if self.whole or table.name in wanted]
        rows = contents.count_rows(link, self.name, there)
        lines = backups.rows_lines({name: self.known["rows"][name] for name in wanted}, rows)
        loose = [f"table {name}: " for name in self.known["approximate"]]
        notes = [line for line in lines if any(line.startswith(prefix) for prefix in loose) and " no rows" not in line]
        return [line for line in lines if line not in notes], notes

    def _misfits(self, admin: Link) -> list[str]:
        """Return what of the server and the name does not fit."""
        lines = []
        if admin.query(f"SELECT 1 FROM information_schema.SCHEMATA WHERE schema_name = {literal(self.name)}"):
            lines.append("there is a database of that name already, and nothing is ever restored over one")
        theirs = int(self.known["server_version"])
        if self.is_mariadb != (theirs >= driver.MARIADB):
            lines.append("the backup comes from the other of MySQL and MariaDB")
        elif self.server_version // 100 < theirs // 100:
            lines.append(f"the server is {_version(self.server_version)}, the backup comes from {_version(theirs)}")
        if not client.has_packer(self.packer):
            lines.append(f"the program {self.packer}, which unpacks it, is not installed")
        return lines

    def _lacking_users(self, admin: Link) -> list[str]:
        """Return the users of the code that the server does not have, as far as the login may know."""
        there = code.accounts(admin)
        return [name for name in self.known["globals"]["definers"] if there is not None and name not in there]

    def _saved_code(self) -> list[code.Piece]:
        with open(os.path.join(self.folder, CODE), encoding="utf-8") as file:
            return [code.Piece.from_wire(item) for item in json.load(file)]

    def _make(self, admin: Link) -> None:
        """Make the empty database."""
        try:
            admin.run(surroundings.create_statement(self.name, self.known["settings"]))
        except ServerError as error:
            if error.number != _DENIED:
                raise
            pattern = f"{self.original}_%".replace("_", "\\_")
            raise WindlassError(
                "restore_failed",
                f"the login may not make the database {self.name}",
                hint=f"GRANT ALL ON {quoted(pattern)}.* TO it: restored and kept databases are called so",
            ) from None

    def _kept_code(self) -> Wire:
        return {
            "pieces": [piece.to_wire() for piece in self.pieces],
            "defaults": self.known["own_defaults"],
            "named": self.original,
        }

    def _load_together(self, parts: Sequence[str], tick: Tick) -> None:
        """Load some parts at once; the first that fails ends all."""
        with client.login(self.target, self.is_mariadb) as way:
            loading = [self._loading(name, way) for name in parts]
            try:
                pending = loading
                while pending:
                    pending[0].pause(tick)
                    pending = [each for each in loading if not each.is_done()]
            finally:
                for each in loading:
                    each.end()

    def _loading(self, name: str, way: client.Login) -> Loading:
        """Start to load one part."""
        changes = [with_words(self.own_words)] if self.own_words else []
        changes += [] if self.whole else [only_rows_of(self.asked.tables)]
        skips = name in self.known["sandbox"] and not self.client.knows_sandbox
        unpack = client.unpack_command(self.packer, os.path.join(self.folder, name))
        argv = [
            self.client.client, way.option, "--batch", "--binary-mode", "--default-character-set=utf8mb4",
            "--max-allowed-packet=1G", "--database", self.name,
        ]  # fmt: skip
        return Loading(argv, way, unpack, changes, skips)

    def _make_code(self, admin: Link) -> None:
        """Make what cannot reach the original; what needs a piece that waits, waits too."""
        apart = [piece for piece in self.pieces if piece.names(self.original)]
        failed = code.make_all(admin, [piece.disabled() for piece in self.pieces if piece not in apart])
        if failed and not apart:
            piece, error = failed[0]
            raise WindlassError("restore_failed", f"{piece.label} cannot be made: {error.message}", hint=_HINT)
        self.waiting = [f"{piece.label} {_GONE} ({error.message})" for piece, error in failed]
        self._apart = [*apart, *(piece for piece, _ in failed)]

    def _code_lines(self, found: Sequence[code.Piece]) -> list[str]:
        """Return which pieces of code are not as they were saved."""
        there = {piece.label: piece for piece in found}
        expected = {piece.label: piece for piece in self.pieces}
        for piece in self._apart:
            del expected[piece.label]
        missing = [piece for label, piece in expected.items() if label not in there]
        # The server makes no event whose time is over.
        self.waiting += [f"{piece.label} is over, so it is not made" for piece in missing if piece.kind == "EVENT"]
        lines = [f"{piece.label} is missing" for piece in missing if piece.kind != "EVENT"]
        lines += [f"{label} was not saved" for label in there if label not in expected]
        return lines + [
            f"{label} differs" for label in expected if label in there and not there[label].is_like(expected[label])
        ]

    def _waiting_names(self) -> list[str]:
        """Return how the lines of the schema's comparison call what waits."""
        return [f"{piece.kind.lower()} {piece.name}" for piece in self._apart]


def _version(number: int) -> str:
    return f"{number // 10000}.{number // 100 % 100}"
