"""Small systems for engine tests: migrations from text, planned and run on a real database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from testbed.waiting import wait_until
from windlass_engine import dialects, journal, plan, session
from windlass_engine.model import Journal, Options, Plan, Script, Target, Wire
from windlass_engine.project import script
from windlass_engine.project.view import Migration, ProjectView, Repeatable, natural_key
from windlass_engine.running import execute
from windlass_engine.schema import introspect
from windlass_engine.session import Session


def take_lock(opened: Session) -> None:
    """Take the deployer lock; a server may find out a little later that the session which had it was closed."""
    wait_until(lambda: opened.dialect.try_lock(opened.link), what="the deployer lock")


class Maker:
    """Makes scripts and systems of one engine."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.dialect = dialects.get(engine)

    def read(self, text: str, path: str) -> Script:
        """A script as the project's loader would give it."""
        return script.load(text.encode(), path, self.dialect.split)

    def migration(self, name: str, up: str, down: str | None = None, verify: str | None = None) -> Migration:
        """A migration from its scripts' texts."""
        parts = {"down": down, "verify": verify}
        loaded = {key: self.read(text, f"{name}/{key}.sql") if text else None for key, text in parts.items()}
        return Migration(name, self.read(up, f"{name}/up.sql"), **loaded)

    def system(self, *migrations: Migration, repeatables: Mapping[str, str] | None = None) -> ProjectView:
        """A system of migrations in natural order."""
        ordered = tuple(sorted(migrations, key=lambda m: natural_key(m.name)))
        again = tuple(Repeatable(name, self.read(text, f"{name}.sql")) for name, text in (repeatables or {}).items())
        return ProjectView("test", self.engine, ordered, again)


_POSTGRESQL = Maker("postgresql")
read, migration, system = _POSTGRESQL.read, _POSTGRESQL.migration, _POSTGRESQL.system


class Bench:
    """One database under test."""

    def __init__(self, url: str) -> None:
        self.target = Target("test", "test", url)
        self.make = Maker(dialects.for_url(url).name)
        self.events: list[Wire] = []

    def journal(self, *texts_of: str) -> Journal:
        """What the journal says."""
        with session.connect(self.target) as opened:
            return journal.read(opened, texts_of)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        with session.connect(self.target) as opened:
            return opened.query(sql)

    def run_sql(self, sql: str) -> None:
        """Run SQL outside of Windlass."""
        with session.connect(self.target) as opened:
            opened.run(sql)

    def run_all(self, *statements: str) -> None:
        """Run statements outside of Windlass, one by one."""
        with session.connect(self.target) as opened:
            opened.run(statements)

    def analyse(self, table: str) -> tuple[str, ...]:
        """What lets the server count a table's rows for its statistics."""
        words = {"postgresql": "ANALYZE", "mysql": "ANALYZE TABLE", "mssql": "UPDATE STATISTICS"}
        return (f"{words[self.make.engine]} {table}",)

    def plan(self, project: ProjectView, **how: Any) -> Plan:
        """The plan upwards."""
        names = plan.texts_needed(project, self.journal())
        return plan.plan_up(project, self.journal(*names), database="test", **how)

    def plan_down(self, **how: Any) -> Plan:
        """The plan downwards."""
        standing = self.journal()
        names = plan.undo_candidates(standing, how.get("steps", 0), how.get("to", ""), how.get("names", ()))
        return plan.plan_down(self.journal(*names), self.make.read, system="test", database="test", **how)

    def run(self, planned: Plan, emit: Callable[[Wire], None] | None = None, **options: Any) -> Wire:
        """Run a plan, as patiently as Windlass is by itself."""
        chosen = Options("run", "tester", "here", "test", **options)
        return execute.run(self.target, planned, chosen, emit or self.events.append)

    def deploy(self, project: ProjectView, emit: Callable[[Wire], None] | None = None, **options: Any) -> Wire:
        """Plan upwards and run."""
        return self.run(self.plan(project, atomic=options.get("atomic", False)), emit, **options)

    def deploy_against(self, blocker: str, project: ProjectView) -> Wire:
        """Deploy what a session keeps locked, with little patience; on a busy machine with more, until it is seen."""
        for timeout_ms in (200, 1000, 5000, 20_000):
            result = self.deploy(project, lock_timeout_ms=timeout_ms, lock_retries=2)
            if blocker in result["error"]["message"]:
                break
        return result

    def roll_back(self, **how: Any) -> Wire:
        """Plan downwards and run."""
        return self.run(self.plan_down(**how))

    def fingerprint(self) -> str:
        """The schema's fingerprint."""
        with session.connect(self.target) as opened:
            return introspect.fingerprint(introspect.snapshot(opened))

    def wait_for_deployers(self) -> None:
        """Wait until no session holds the deployer lock: one of a killed client may still commit."""
        with session.connect(self.target) as opened:
            journal.wait_until_free(opened, 60)

    def states(self) -> dict[str, str]:
        """The journal's state of each migration."""
        return {entry.name: entry.state for entry in self.journal().entries}
