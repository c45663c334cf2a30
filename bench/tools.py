"""What a tool must tell to be measured, and the two that frame the table: Windlass and plain psql."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.changes import Change
from bench.server import Database

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Command:
    """A program to be started in ``folder`` with these arguments and additions to the environment."""

    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class Tool(ABC):
    """A migration tool: its name, what a commit of its holds, and how it is run."""

    name: str
    #: What one transaction holds.
    commits: str = "each migration"

    @abstractmethod
    def install(self) -> None:
        """Make sure that it is there.  Raises Missing."""

    @abstractmethod
    def lay_out(self, folder: Path, changes: Sequence[Change]) -> None:
        """Write the migrations into an empty folder in the way that the tool wants them."""

    @abstractmethod
    def migrate(self, folder: Path, database: Database) -> Command:
        """Return what brings a database up to date."""

    def idle(self, folder: Path, database: Database) -> Command:
        """Return what the tool does when nothing is left to be done."""
        return self.migrate(folder, database)


class Windlass(Tool):
    """The engine, in a process of its own as on a target: project, journal, plan and run."""

    name = "Windlass"

    def install(self) -> None:
        """It is here."""

    def lay_out(self, folder: Path, changes: Sequence[Change]) -> None:
        """Write a system."""
        system = folder / "sql" / "bench"
        write(system / "system.yml", "name: bench\nengine: postgresql\ntitle: Bench\ndescription: Bench\n")
        for change in changes:
            write(system / "migrations" / change.name / "up.sql", f"{change.up}\n")
            write(system / "migrations" / change.name / "down.sql", f"{change.down}\n")

    def migrate(self, folder: Path, database: Database) -> Command:
        """Run :mod:`bench.ours`, which prints how long its parts took."""
        path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
        environment = {"PYTHONPATH": path, "BENCH_URL": database.bare_url, "BENCH_PASSWORD": database.password}
        return Command([sys.executable, "-m", "bench.ours", *self._options()], folder, environment)

    def _options(self) -> list[str]:
        return []


class WindlassAtomic(Windlass):
    """The same with everything pending in one transaction."""

    name = "Windlass --atomic"
    commits = "everything"

    def _options(self) -> list[str]:
        return ["--atomic"]


class WindlassKeeping(Windlass):
    """As a deployment does it: at its end the schema is kept, for a later look at drift."""

    name = "Windlass, schema kept"

    def _options(self) -> list[str]:
        return ["--keep-schema"]


class WindlassAtomicKeeping(Windlass):
    """What ``invoke deploy --atomic`` does: one transaction, and the schema kept at its end."""

    name = "Windlass --atomic, schema kept"
    commits = "everything"

    def _options(self) -> list[str]:
        return ["--atomic", "--keep-schema"]


class Psql(Tool):
    """All statements in one file and one transaction, no journal: the floor."""

    name = "psql -1"
    commits = "everything"

    def install(self) -> None:
        """It comes with the server."""

    def lay_out(self, folder: Path, changes: Sequence[Change]) -> None:
        """Write one file."""
        write(folder / "all.sql", "".join(f"{change.up}\n" for change in changes))

    def migrate(self, folder: Path, database: Database) -> Command:
        """Run the file."""
        return self._psql(folder, database, "--single-transaction", "--file=all.sql")

    def idle(self, folder: Path, database: Database) -> Command:
        """Connect, and that is all: psql cannot know that nothing is left to be done."""
        return self._psql(folder, database, "--command=")

    def _psql(self, folder: Path, database: Database, *arguments: str) -> Command:
        options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={database.bare_url}"]
        program = str(Path(database.programs) / "psql")
        return Command([program, *options, *arguments], folder, {"PGPASSWORD": database.password})


def write(path: Path, text: str) -> None:
    """Write a file that nobody else may read, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
