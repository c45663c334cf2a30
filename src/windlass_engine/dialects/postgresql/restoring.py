"""A restore under way: pg_restore into a database made like the original, and the comparison with the manifest."""

from __future__ import annotations

import os
from contextlib import suppress

from ... import processes
from ...errors import WindlassError
from ...model import Target, Wire
from .. import backups
from ..base import Link, ServerError, Tick
from . import contents, driver, dump, surroundings, together
from .exchange import LOGIN_S, maintenance
from .surroundings import quoted
from .text import literal

#: What a restored database must have in common with the original, besides its content.
_COMPARED = ("owner", "encoding", "collate", "ctype", "connection_limit", "acl", "settings", "role_settings")
_CONTROL = "windlass_write_test"


class PostgresRestoring(backups.Restoring):
    """Into a database made from an untouched template, with the original's owner, rights and settings."""

    def __init__(self, target: Target, known: Wire, folder: str, name: str, asked: backups.Asked) -> None:
        """Find the programs."""
        self.target = target
        self.known = known
        self.folder = folder
        self.name = name
        self.asked = asked
        with maintenance(target) as admin:
            self.major = admin.server_version // 10000
        self.client = dump.find_client(self.major, asked.client_bin, known["client_major"], code="restore_failed")

    def obstacles(self) -> tuple[list[str], list[str]]:
        """Look for a database of that name, an older server, missing roles and extensions."""
        with maintenance(self.target) as admin:
            return self._obstacles(admin), []

    def _obstacles(self, admin: Link) -> list[str]:
        known, lines = self.known, []
        if admin.query(f"SELECT 1 FROM pg_database WHERE datname = {literal(self.name)}"):
            lines.append("there is a database of that name already, and nothing is ever restored over one")
        if self.major < known["server_version"] // 10000:
            lines.append(
                f"the server is PostgreSQL {self.major}, the backup comes from {known['server_version'] // 10000}"
            )
        roles = {role for (role,) in admin.query("SELECT rolname::text FROM pg_roles")}
        lacking = [role for role in known["globals"]["needed_roles"] if role not in roles]
        if lacking:
            lines.append(f"the server lacks the roles {', '.join(lacking)} (CREATE ROLE them first)")
        extensions = {extension for (extension,) in admin.query("SELECT name::text FROM pg_available_extensions")}
        missing = [item["name"] for item in known["settings"]["extensions"] if item["name"] not in extensions]
        if missing:
            lines.append(f"the server has no files of the extensions {', '.join(missing)}")
        return lines

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
        way = dump.login(self.target, self.name)
        argv = dump.restore_command(self.client, way, os.path.join(self.folder, backups.DUMP), self.asked.jobs)
        finished = processes.run(argv, way.env, secrets=way.secrets, tick=tick)
        hint = "the new database was dropped again; mend the cause and start again"
        backups.require_success(finished, "pg_restore", "restore_failed", hint)
        self._administer(surroundings.carry_over(self.name, self.known["settings"]))

    def compare(self, link: Link) -> tuple[list[str], list[str]]:
        """Compare rows, large objects, sequences and settings."""
        contents.begin_reading(link, contents.LOCK_WAIT_MS)
        names = list(contents.tables(link).values())
        found = together.count_rows(link, self._login, self.asked.jobs, names)
        failures = backups.rows_lines(self.known["rows"], found)
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
        """Let the server look at everything, several tables at once."""
        together.analyse(link, self._login, self.asked.jobs)

    def accept(self) -> None:
        """Give the database the original's comment instead of the mark."""
        self._administer([surroundings.comment_statement(self.name, self.known["settings"]["comment"])])

    def drop(self) -> None:
        """Drop it with the sessions in it."""
        with suppress(ServerError, WindlassError), maintenance(self.target) as admin:
            admin.run(f"DROP DATABASE IF EXISTS {quoted(self.name)} WITH (FORCE)")

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
