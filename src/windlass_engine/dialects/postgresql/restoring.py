"""A restore under way: pg_restore into a database made like the original, and the comparison with the manifest."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from tempfile import TemporaryDirectory
from typing import Optional

from ... import processes
from ...errors import WindlassError
from ...model import Target, Wire
from .. import backups
from ..link import Link, ServerError, Tick
from . import contents, driver, dump, outlook, surroundings, together, unfolding
from .exchange import LOGIN_S, maintenance
from .surroundings import quoted

#: What a restored database must have in common with the original, besides its content.
_COMPARED = ("owner", "encoding", "collate", "ctype", "connection_limit", "acl", "settings", "role_settings")
#: While the data is brought in: no commit has to wait for the disk, for the last one, which takes the mark away, waits
#: for all; and nothing is compiled for statements that run once.
_LOADING = {"synchronous_commit": "off", "jit": "off"}
_CONTROL = "windlass_write_test"
_HINT = "the new database was dropped again; mend the cause and start again"


class PostgresRestoring(backups.Restoring):
    """Into a database made from an untouched template, with the original's owner, rights and settings."""

    def __init__(self, target: Target, known: Wire, folder: str, name: str, asked: backups.Asked) -> None:
        """Find the programs."""
        self.target = target
        self.known = known
        self.folder = folder
        self.name = name
        self.asked = asked
        self.whole = not asked.tables
        self.settling: Optional[together.Settling] = None
        with maintenance(target) as admin:
            self.major = admin.server_version // 10000
        self.client = dump.find_client(self.major, asked.client_bin, known["client_major"], code="restore_failed")

    def obstacles(self) -> tuple[list[str], list[str]]:
        """Look at name, version, roles, extensions, tablespaces and room."""
        with maintenance(self.target) as admin:
            return outlook.obstacles(admin, self.known, self.name, self.whole), []

    def outlook(self) -> list[str]:
        """Tell versions, needs, room, sessions, and what names the original."""
        original = dump.database_name(self.target)
        with maintenance(self.target) as admin:
            return outlook.lines(admin, self.known, self.folder, original, self.client.version, self.whole)

    def create(self) -> None:
        """Make the database, with the mark as its comment."""
        with maintenance(self.target) as admin:
            admin.run(surroundings.create_statement(self.name, self.known["settings"]))
            try:
                admin.run(surroundings.comment_statement(self.name, backups.UNFINISHED))
            except BaseException:
                self.drop()
                raise

    def load(self, tick: Tick) -> None:
        """Run pg_restore to its end, or to its first error; then carry the settings over."""
        database = quoted(self.name)
        # By the database, not by the programs' sessions: a pooler lets no options through.
        self._administer([f"ALTER DATABASE {database} SET {name} = {value}" for name, value in _LOADING.items()])
        way = dump.login(self.target, self.name)
        folder = os.path.join(self.folder, backups.DUMP)
        with TemporaryDirectory(prefix="windlass-") as scratch, ThreadPoolExecutor(1) as aside:
            listing = self._list(folder, scratch)
            chosen = "" if self.whole else dump.choose(listing, self.asked.tables, list(self.known["rows"]))
            heed = unfolding.Unfolding(chosen or listing, lambda: aside.submit(self._settle_early)).heed
            argv = dump.restore_command(self.client, way, folder, self.asked.jobs, chosen)
            finished = processes.run(argv, way.env, secrets=way.secrets, tick=tick, heed=heed)
        backups.require_success(finished, "pg_restore", "restore_failed", _HINT)
        self._administer([f"ALTER DATABASE {database} RESET {name}" for name in _LOADING])
        self._administer(surroundings.carry_over(self.name, self.known["settings"]))

    def _list(self, folder: str, scratch: str) -> str:
        """Write the dump's table of contents; return its path."""
        listing = os.path.join(scratch, "contents")
        done = processes.run(dump.list_command(self.client, folder, listing), {})
        backups.require_success(done, "pg_restore, listing the backup,", "restore_failed", _HINT)
        return listing

    def _settle_early(self) -> None:
        """Begin to settle while pg_restore adds its last foreign keys; what fails here is tried again afterwards."""
        with suppress(ServerError, WindlassError), closing(self._login()) as link:
            self._settle(link)

    def _settle(self, link: Link) -> together.Settling:
        """Begin to count and to gather statistics, unless that has begun."""
        if self.settling is None:
            counted = [name for name in contents.tables(link).values() if self.whole or name in self.asked.tables]
            self.settling = together.Settling(link, self._login, self.asked.jobs, counted)
        return self.settling

    def compare(self, link: Link) -> tuple[list[str], list[str]]:
        """Compare rows, large objects, sequences and settings; statistics are gathered beside it."""
        contents.begin_reading(link, contents.LOCK_WAIT_MS)
        wanted = {name: self.known["rows"][name] for name in self.asked.tables or self.known["rows"]}
        found = self._settle(link).rows(link)
        # Some were counted before the restore ended: nobody is blamed for a moment.
        again = [name for name in found if found[name] != wanted.get(name)]
        failures = backups.rows_lines(wanted, {**found, **contents.count_rows(link, again)})
        if not self.whole:
            return failures, []
        objects = contents.count_large_objects(link)
        if objects != self.known["large_objects"]:
            failures.append(f"{objects} large objects instead of {self.known['large_objects']}")
        behind = contents.sequences_behind(link)
        failures += [line for line in behind if line not in self.known["sequences_behind"]]
        notes = [f"{line}, as in the original" for line in behind if line in self.known["sequences_behind"]]
        return failures + self._settings_lines(surroundings.settings(link.query, link.server_version)), notes

    def excuse(self, line: str, version: int) -> bool:
        """Excuse a newer server, which prints many definitions in its own way and brings its own extensions."""
        newer = version // 10000 != self.known["server_version"] // 10000
        return line.startswith("~ extension ") or (newer and line[0] == "~")

    def try_writing(self, link: Link) -> None:
        """Write into a table that nobody else ever sees."""
        table = f"{_CONTROL}.{_CONTROL}"
        link.run(
            f"BEGIN READ WRITE; CREATE SCHEMA {_CONTROL}; CREATE TABLE {table} (id int PRIMARY KEY, note text); "
            f"INSERT INTO {table} VALUES (1, 'a'), (2, 'b'); UPDATE {table} SET note = 'c' WHERE id = 2; "
            f"DELETE FROM {table} WHERE id = 1; ROLLBACK"
        )

    def polish(self, link: Link) -> None:
        """Wait for the statistics of everything, several tables at once."""
        if self.settling:
            self.settling.finish(link)

    def accept(self) -> None:
        """Give the database the original's comment instead of the mark, or one that says what it lacks."""
        some = f"{backups.PARTIAL}{self.known['id']}: {', '.join(self.asked.tables)}"
        comment = self.known["settings"]["comment"] if self.whole else some
        self._administer([surroundings.comment_statement(self.name, comment)])

    def drop(self) -> bool:
        """Drop it with the sessions in it."""
        if self.settling:
            self.settling.stop()
        with suppress(ServerError, WindlassError), maintenance(self.target) as admin:
            admin.run(f"DROP DATABASE IF EXISTS {quoted(self.name)} WITH (FORCE)")
            return True
        return False

    def _login(self) -> Link:
        """Log in to the new database once more."""
        return driver.connect(dump.elsewhere(self.target, self.name), "windlass restore", LOGIN_S)

    def _administer(self, statements: list[str]) -> None:
        """Run statements about the new database, in a session that did not have to wait for hours."""
        with maintenance(self.target) as admin:
            for statement in statements:
                admin.run(statement)

    def _settings_lines(self, found: Wire) -> list[str]:
        """Return which of the database's own settings differ; their values may be secret."""
        known = self.known["settings"]
        return [f"the database's {key} differs from the original's" for key in _COMPARED if found[key] != known[key]]
