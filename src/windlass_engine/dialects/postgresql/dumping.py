"""A backup under way: pg_dump and our own session read one exported snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Optional

from ... import processes
from ...following import Look
from ...model import Target, Wire
from .. import backups
from ..link import Link, ServerError, Tick
from . import contents, dump, reading, surroundings

_HINT = "nothing was kept; mend the cause and start again"


class PostgresDumping(backups.Dumping):
    """pg_dump's directory format, read while it is written."""

    method = "pg_dump directory"

    def __init__(self, target: Target, link: Link, asked: backups.Asked) -> None:
        """Find the programs first: without them nothing begins."""
        self.target = target
        self.link = link
        self.asked = asked
        self.client = dump.find_client(link.server_version // 10000, asked.client_bin)
        self.client_version, self.client_major = self.client.version, self.client.major
        self.compression = dump.compression_of(self.client)
        self.snapshot = ""
        self.tables: dict[int, str] = {}
        #: None where the dump is compressed in a way that cannot be read here.
        self.reading = reading.Reading() if reading.can(self.compression) else None
        self.folder = ""
        self.dumping: Optional[processes.Process] = None

    def begin(self) -> None:
        """Open the snapshot, and keep the tables' schema from changing."""
        contents.begin_reading(self.link, self.asked.lock_wait_ms)
        self.snapshot = contents.export_snapshot(self.link)
        self.tables = contents.tables(self.link)
        contents.hold_still(self.link, list(self.tables.values()))
        self.jobs = max(1, min(self.asked.jobs, len(self.tables)))

    def sizes(self) -> tuple[int, int]:
        """Ask the server."""
        return contents.sizes(self.link)

    def start(self, folder: str, held: Sequence[int]) -> None:
        """Start pg_dump."""
        way = dump.login(self.target)
        argv = dump.dump_command(
            self.client, way, folder, jobs=self.jobs, compression=self.compression,
            snapshot=self.snapshot, lock_wait_ms=self.asked.lock_wait_ms,
        )  # fmt: skip
        self.folder = folder
        self.dumping = processes.Process(argv, way.env, secrets=way.secrets, held=held)

    def look(self, path: str) -> Optional[Look]:
        """Look into the data files."""
        return self.reading.look(path) if self.reading else None

    def surroundings(self) -> Wire:
        """Return the database's own settings, and the server's roles."""
        return {
            "settings": surroundings.settings(self.link.query, self.link.server_version),
            "globals": surroundings.globals_of(self.link.query),
        }

    def read_aside(self) -> tuple[str, str]:
        """Return a savepoint and the way back to it."""
        return "SAVEPOINT aside", "ROLLBACK TO SAVEPOINT aside"

    def count(self, tick: Tick) -> Wire:
        """Count large objects, and rows where they cannot be counted in passing; look at the sequences."""

        def watching(elapsed: float) -> None:
            tick(elapsed)
            if self.dumping and self.dumping.has_ended():
                self._require_success(self.dumping.wait(), "pg_dump")

        rows = {} if self.reading else {"rows": contents.count_rows(self.link, list(self.tables.values()), watching)}
        return {
            **rows,
            "large_objects": contents.count_large_objects(self.link),
            "sequences_behind": contents.sequences_behind(self.link, watching),
        }

    def finish(self, tick: Tick) -> None:
        """Wait for pg_dump."""
        if self.dumping:
            self._require_success(self.dumping.wait(tick), "pg_dump")
        # The dump is whole by now: a session that was lost while it waited is no loss.
        with suppress(ServerError):
            self.link.run("COMMIT")

    def read_back(self, folder: str, scratch: str, held: Sequence[int], tick: Tick) -> Wire:
        """Let pg_restore list the dump, and read every byte where nobody could in passing."""
        listing = f"{scratch}/contents"
        self._read([dump.list_command(self.client, folder, listing)], held, tick)
        if self.reading:
            return {"rows": self.reading.rows(listing, self.tables)}
        self._read(dump.read_commands(self.client, folder, dump.part(listing, folder, self.asked.jobs)), held, tick)
        return {}

    def end(self) -> None:
        """End pg_dump."""
        if self.dumping:
            self.dumping.end()

    def _read(self, commands: list[list[str]], held: Sequence[int], tick: Tick) -> None:
        """Run pg_restore, several at once; all must end well."""
        with ExitStack() as stack:
            reading = [stack.enter_context(processes.Process(argv, {}, held=held)) for argv in commands]
            for process in reading:
                self._require_success(process.wait(tick), "pg_restore, reading it back,")

    def _require_success(self, finished: processes.Finished, name: str) -> None:
        backups.require_success(finished, name, "backup_failed", _HINT, self.folder)
