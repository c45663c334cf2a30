"""A backup under way: mariadb-dump or mysqldump for the tables, several at once, and the code beside them.

All dump programs and our own session begin their snapshots at one moment (:mod:`.holding`), so the rows that we count
are those that they write.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Optional

from ...errors import WindlassError
from ...following import Look
from ...model import Target, Wire
from .. import backups
from ..link import Link, ServerError, Tick
from . import client, code, contents, driver, holding, surroundings
from .address import connect_options
from .streams import Part, Unpacking
from .text import literal

CODE, SCRIPT = "code.json", "code.sql"
#: What the manifest says of counts that are those of the rows in the dump.
EXACT = "of the dump's snapshot"
_HINT = "nothing was kept; mend the cause and start again"
#: So many bytes of data are worth a dump program of their own.
_WORTH_A_PART = 16 << 20
#: What a command line may hold of tables' names.
_NAMES_BYTES = 200_000
_TRAILER = re.compile(rb"\n-- Dump completed(?: on [^\n]*)?\s*\Z")
_SANDBOX = re.compile(rb"\A/\*M?!999999\\- [^\n]*\*/ ?\n")
_LOGIN_S = 10
_SNAPSHOT = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"


class MySQLDumping(backups.Dumping):
    """SQL text, packed, in one part or several; views, routines, triggers and events in a file of their own."""

    def __init__(self, target: Target, link: Link, asked: backups.Asked) -> None:
        """Find the programs first: without them nothing begins."""
        self.target = target
        self.link = link
        self.asked = asked
        self.database = str(connect_options(target)["database"])
        self.is_mariadb = link.server_version >= driver.MARIADB
        self.client = client.find(link.server_version, asked.client_bin)
        self.packer = client.packer()
        self.method = f"{os.path.basename(self.client.dump)} | {self.packer}"
        self.client_version, self.client_major = self.client.version, self.client.numbers[0]
        self.compression = f"{self.packer}:1"
        self.folder = ""
        self.tables: list[contents.Table] = []
        self.parts: list[Part] = []
        self.looks: dict[str, Unpacking] = {}
        self.held: Sequence[int] = ()
        self.moment = holding.Moment("")
        self.helper: Optional[Link] = None
        #: A session that does nothing else: one that has seen the server's own tables knows no savepoints any more.
        self.counting: Link = link

    def begin(self) -> None:
        """Let the session last, and look at the tables; code whose text is hidden is told now, not after the dump."""
        surroundings.require_rights(self.link, self.database, self.is_mariadb)
        surroundings.code_of(self.link, self.database)
        self._settle(self.link)
        self.tables = contents.tables(self.link, self.database)

    def sizes(self) -> tuple[int, int]:
        """Ask the server; its figures are estimates."""
        return contents.sizes(self.link, self.database)

    def start(self, folder: str, held: Sequence[int]) -> None:
        """Hold commits up until every dump program and this session see the same rows."""
        self.folder, self.held = folder, held
        os.mkdir(folder, 0o700)
        self.helper = driver.connect(self.target, "windlass backup", _LOGIN_S)
        self.counting = driver.connect(self.target, "windlass backup", _LOGIN_S)
        self._settle(self.counting)
        plain = [table.name for table in self.tables if not table.is_sequence]
        patience_s = self.asked.lock_wait_ms / 1000
        with holding.held(self.helper, self.database, plain, self.is_mariadb, patience_s) as self.moment:
            with client.login(self.target, self.is_mariadb) as way:
                for names in self._shares():
                    self.parts.append(self._part(way, names, held))
                for part in self.parts:
                    part.await_beginning()
            for link in (self.link, self.counting):
                link.run(_SNAPSHOT)
        self.jobs = len(self.parts)
        for part in self.parts:
            part.pack(client.pack_command(self.packer), held)

    def look(self, path: str) -> Optional[Look]:
        """Unpack every part, and look for the line that a dump ends with."""
        if not os.path.basename(path).startswith("part-"):
            return None
        self.looks[path] = Unpacking(client.unpack_command(self.packer), _TRAILER, self.held)
        return self.looks[path]

    def surroundings(self) -> Wire:
        """Return the database's settings, users and grants, and write its code down."""
        link = self.helper or self.link
        pieces = surroundings.code_of(link, self.database)
        _write(os.path.join(self.folder, CODE), json.dumps([piece.to_wire() for piece in pieces], ensure_ascii=False))
        _write(os.path.join(self.folder, SCRIPT), code.script(pieces))
        return surroundings.described(link, self.database, pieces)

    def read_aside(self) -> tuple[str, str]:
        """Return nothing to do: a failed query ends no transaction here."""
        return "DO 0", "DO 0"

    def count(self, tick: Tick) -> Wire:
        """Count rows; say which counts are not of the dump's own moment."""

        def watching(elapsed: float) -> None:
            tick(elapsed)
            for part in self.parts:
                part.check()

        rows = contents.count_rows(self.counting, self.database, self.tables, watching)
        loose = [t.name for t in self.tables if not t.is_sequence and not (self.moment.way and t.is_transactional)]
        return {
            "rows": rows,
            "counted": EXACT if self.moment.way else "approximate",
            "held_by": self.moment.way,
            "not_held_because": self.moment.why,
            "approximate": loose,
            "counters_behind": contents.counters_behind(self.link, self.database),
        }

    def finish(self, tick: Tick) -> None:
        """Wait for all programs."""
        for part in self.parts:
            part.finish(tick)
        with suppress(ServerError):
            self.link.run("COMMIT")

    def is_settled(self) -> bool:
        """Return False: a schema change commits at once, whatever transactions are open."""
        return False

    def read_back(self, folder: str, scratch: str, held: Sequence[int], tick: Tick) -> Wire:
        """Tell what was seen of the parts while they were written."""
        looked = {os.path.basename(path): seen for path, seen in sorted(self.looks.items())}
        if len(looked) != len(self.parts):
            raise WindlassError("backup_failed", "a part of the dump was not written", hint=_HINT)
        return {"parts": list(looked), "sandbox": [name for name, seen in looked.items() if _SANDBOX.match(seen.head)]}

    def end(self) -> None:
        """End all programs, and the other sessions."""
        for seen in list(self.looks.values()):
            seen.end()
        for link in (self.helper, self.counting):
            if link and link is not self.link:
                link.close()
        for part in self.parts:
            part.end()

    def _shares(self) -> list[list[str]]:
        """Part the tables among the dump programs; one that gets no list takes what there is but views."""
        names = [table.name for table in sorted(self.tables, key=lambda table: not table.is_sequence)]
        if sum(len(name.encode()) + 1 for name in names) > _NAMES_BYTES:
            return [[]]
        size = sum(table.data_bytes for table in self.tables)
        count = min(self.asked.jobs, len(self.tables), 1 + size // _WORTH_A_PART)
        # A table whose default asks a sequence cannot be filled before that is there.
        if count < 2 or not self.moment.way or surroundings.own_defaults(self.link, self.database):
            return [names]
        return self._parted(count)

    def _parted(self, count: int) -> list[list[str]]:
        """Return that many lists of tables of about the same size."""
        shares: list[list[str]] = [[] for _ in range(count)]
        weights = [0] * count
        for table in reversed(self.tables):
            lightest = weights.index(min(weights))
            weights[lightest] += table.data_bytes + 1
            shares[lightest].append(table.name)
        return shares

    def _settle(self, link: Link) -> None:
        """Let a session last, and its transactions see one state."""
        lock_wait_s = max(1, self.asked.lock_wait_ms // 1000)
        lasting = "/*M!100101 , max_statement_time = 0 */"
        link.run(
            [
                f"SET SESSION lock_wait_timeout = {lock_wait_s:d}, net_write_timeout = 3600 {lasting}",
                "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            ]
        )
        if not self.is_mariadb:
            link.run("SET SESSION information_schema_stats_expiry = 0")

    def _part(self, way: client.Login, names: list[str], held: Sequence[int]) -> Part:
        """Start one dump program."""
        views = [] if names else [str(name) for (name,) in self.link.query(
            f"SELECT table_name FROM information_schema.VIEWS WHERE table_schema = {literal(self.database)}"
        )]  # fmt: skip
        argv = [
            self.client.dump, way.option, "--single-transaction", "--quick", "--hex-blob", "--skip-triggers",
            "--skip-add-drop-table", "--skip-add-locks", "--no-tablespaces", "--default-character-set=utf8mb4",
            "--max-allowed-packet=1G", *self._more_options(), *(f"--ignore-table={self.database}.{v}" for v in views),
            "--", self.database, *names,
        ]  # fmt: skip
        path = os.path.join(self.folder, f"part-{len(self.parts) + 1:03d}.sql{client.ENDS[self.packer]}")
        program = os.path.basename(self.client.dump)
        return Part(program, self.packer, argv, path, way.secrets, [*held, way.descriptor], self.folder)

    def _more_options(self) -> list[str]:
        """Return what the two makes do not have in common."""
        if not self.is_mariadb:
            return ["--set-gtid-purged=OFF"]
        return ["--dump-history"] if any(table.is_versioned for table in self.tables) else []


def _write(path: str, text: str) -> None:
    """Write a file that only its owner may read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
