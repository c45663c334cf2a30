"""A person with the client programs of MariaDB or MySQL at a server of the tests."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.servers.mysqld import Mysqld


class MariadbByHand:
    """Persons at a running server; `database` lends out empty databases."""

    def __init__(self, server: Mysqld) -> None:
        self._server = server
        self._numbers = itertools.count(1)

    def hand(self, database: str) -> ByHand:
        """Return a person at one database."""
        return ByHand(self._server, database)

    @contextmanager
    def database(self, charset: str = "utf8mb4") -> Iterator[ByHand]:
        """Lend out an empty database, dropped afterwards."""
        name = f"by_hand_{next(self._numbers)}"
        self.hand("").run(f"CREATE DATABASE {name} CHARACTER SET {charset}")
        try:
            yield self.hand(name)
        finally:
            self.hand("").run("SET foreign_key_checks = 0", f"DROP DATABASE {name}")


class ByHand:
    """A person with the engine's client at one database."""

    def __init__(self, server: Mysqld, database: str) -> None:
        self._programs = server.client_programs
        self._login = ["--no-defaults", f"--socket={server.socket}", "--user=root"]
        self._env = {**os.environ, "MYSQL_PWD": server.password}
        self.database = database

    def _client(self) -> list[str]:
        chosen = [f"--database={self.database}"] if self.database else []
        return [self._programs.client, *self._login, "--batch", "--default-character-set=utf8mb4", *chosen]

    def attempt(self, *steps: str | Path) -> subprocess.CompletedProcess[str]:
        """Run files and statements in one session, up to the first error; the rows come with their columns' names."""
        text = "\n".join(_text(step) for step in steps)
        return subprocess.run(self._client(), input=text, env=self._env, capture_output=True, text=True, check=False)

    def run(self, *steps: str | Path) -> str:
        """Run files and statements; return the rows they gave."""
        done = self.attempt(*steps)
        assert done.returncode == 0, f"{steps}: {done.stderr}"
        return done.stdout.strip()

    def undone(self, *steps: str | Path) -> str:
        """Run in a transaction that is rolled back; return rows and error."""
        done = self.attempt("START TRANSACTION", *steps, "ROLLBACK")
        return done.stdout + done.stderr

    def values(self, query: str) -> list[str]:
        """Return the first column of a query."""
        return [line.split("\t")[0] for line in self.run(query).splitlines()[1:]]

    def value(self, query: str) -> str:
        """Return the one value of a query."""
        (found,) = self.values(query)
        return found

    def _dump(self, *options: str) -> str:
        program, *more = self._programs.dump
        command = [program, *self._login, *more, "--skip-comments", "--routines", "--events", *options, self.database]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, check=True)
        # A counter that went on is no difference of the schema.
        words = (word for word in done.stdout.split(" ") if not word.startswith("AUTO_INCREMENT="))
        return " ".join(words)

    def schema(self) -> str:
        """Return the dump of the schema."""
        return self._dump("--no-data")

    def tables(self) -> str:
        """Return the dump of the schema without procedures: a refused script may leave its helper behind."""
        return self._dump("--no-data", "--skip-routines")

    def rows(self) -> str:
        """Return the dump of the rows alone."""
        return self._dump("--no-create-info", "--skip-routines")

    def outline(self) -> str:
        """Return columns, indexes and tables in an order that does not depend on how they came to be."""
        here = "table_schema = DATABASE() AND table_name <> 'jobs_patch_additions'"
        return self.run(
            "SELECT table_name, column_name, column_type, is_nullable, column_default, collation_name, extra "
            f"FROM information_schema.columns WHERE {here} ORDER BY 1, 2",
            "SELECT table_name, index_name, seq_in_index, column_name, non_unique, sub_part, index_type "
            f"FROM information_schema.statistics WHERE {here} ORDER BY 1, 2, 3",
            f"SELECT table_name, engine, table_collation FROM information_schema.tables WHERE {here} ORDER BY 1",
            "SELECT table_name, constraint_name, check_clause FROM information_schema.check_constraints "
            "WHERE constraint_schema = DATABASE() ORDER BY 1, 2",
        )

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open a session that stays open between messages."""
        with subprocess.Popen(
            [*self._client(), "--unbuffered"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._env, text=True
        ) as client:
            assert client.stdin and client.stdout
            try:
                yield Session(client.stdin, client.stdout)
            finally:
                client.stdin.close()


class Session:
    """An open session of the client."""

    def __init__(self, to: IO[str], answers: IO[str]) -> None:
        self._to = to
        self._answers = answers

    def send(self, *statements: str) -> None:
        """Run statements, and wait until they are done."""
        for statement in (*statements, "SELECT 'done' AS state"):
            self._to.write(statement + ";\n")
        self._to.flush()
        while self._answers.readline().strip() != "done":
            pass


def _text(step: str | Path) -> str:
    if isinstance(step, Path):
        return step.read_text()
    return step if step.rstrip().endswith(";") else step + ";"
