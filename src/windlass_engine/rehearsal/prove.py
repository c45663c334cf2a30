"""Proof that a system's scripts are idempotent and reversible, on a scratch database.

Each migration goes up, up again, down, down again and up, through the very code that deploys.  After each of these the
schema and the number of rows in every table are compared with what they have to be.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Callable, Optional

from .. import journal, scratch
from ..checking import verify
from ..errors import WindlassError
from ..model import CheckResult, Options, Plan, Script, Step, Target, Wire
from ..project.view import Migration, Repeatable
from ..running import execute
from ..schema import introspect
from ..schema.introspect import Schema
from ..session import Session, connect

Emit = Callable[[Wire], None]
#: Lines of a difference that are told; the rest is counted.
MOST_LINES = 40


@dataclass(frozen=True)
class Subject:
    """What is proved: a system's scripts, whole.  With ``only`` one migration; those before it just run."""

    system: str
    migrations: tuple[Migration, ...] = ()
    repeatables: tuple[Repeatable, ...] = ()
    checks: tuple[Script, ...] = ()
    samples: tuple[Script, ...] = ()
    only: str = ""

    @classmethod
    def from_wire(cls, data: Wire) -> Subject:
        """Rebuild from plain data."""
        return cls(
            data["system"],
            tuple(Migration.from_wire(item) for item in data["migrations"]),
            tuple(Repeatable(item["name"], Script.from_wire(item["script"])) for item in data["repeatables"]),
            tuple(map(Script.from_wire, data["checks"])),
            tuple(map(Script.from_wire, data["samples"])),
            data["only"],
        )


@dataclass
class Verdict:
    """What was found of one script.  A word is None where the question is idle; ``findings`` say what is wrong."""

    kind: str
    name: str
    checksums: dict[str, str]
    idempotent: Optional[bool] = None
    reversible: Optional[bool] = None
    verified: Optional[bool] = None
    irreversible: str = ""
    duration_ms: int = 0
    findings: list[Wire] = field(default_factory=list)

    def wrong(self, what: str, lines: Sequence[str]) -> None:
        """Add a finding: what was tried, and what came of it."""
        told = list(lines[:MOST_LINES])
        if len(lines) > MOST_LINES:
            told.append(f"and {len(lines) - MOST_LINES} more")
        self.findings.append({"what": what, "lines": told})

    def to_wire(self) -> Wire:
        """Return plain data; ``proved`` says that nothing is wrong."""
        return {**vars(self), "proved": not self.findings}


@dataclass(frozen=True)
class State:
    """A database's schema, and how many rows each table holds."""

    schema: Schema
    rows: dict[str, int]

    def difference(self, later: State) -> list[str]:
        """Return a line for each object and each count that is another later."""
        tables = sorted(self.rows.keys() & later.rows.keys())
        counts = [
            f"~ rows of {name}: {self.rows[name]} -> {later.rows[name]}"
            for name in tables
            if self.rows[name] != later.rows[name]
        ]
        return introspect.difference(self.schema, later.schema) + counts


class Failed(Exception):
    """A script does not run, so nothing behind it can be tried."""


def prove(target: Target, subject: Subject, options: Options, emit: Emit = lambda _: None) -> Wire:
    """Prove a system on a scratch database of a target's server; return the verdicts.

    Raises WindlassError where no scratch database can be had.
    """
    began = time.monotonic()
    with scratch.database(target) as place:
        proof = _Proof(place, subject, options, emit)
        proof.run()
    verdicts = [verdict.to_wire() for verdict in proof.verdicts]
    return {
        "system": subject.system,
        "verdicts": verdicts,
        "server_version": proof.server_version,
        "proved": all(verdict["proved"] for verdict in verdicts),
        "duration_ms": int((time.monotonic() - began) * 1000),
    }


class _Proof:
    """One proof under way."""

    def __init__(self, target: Target, subject: Subject, options: Options, emit: Emit) -> None:
        """Nothing has run yet.  Down scripts may drop rows here: they are the proof's own."""
        self._target = target
        self._subject = subject
        own = replace(options, archive=False, remember=False)
        self._options = replace(own, allow_data_loss=True, check_mode=False, settle="again")
        self._emit = emit
        self.verdicts: list[Verdict] = []
        self.server_version = ""

    def run(self) -> None:
        """Go through all scripts in order; one that does not run ends the proof."""
        with connect(self._target, "windlass proof") as session:
            self.server_version = session.dialect.facts(session.link).server_version_text
        try:
            for migration in self._subject.migrations:
                self._migration(migration)
                if migration.name == self._subject.only:
                    return
            for repeatable in self._subject.repeatables:
                self._repeatable(repeatable)
            self._tests()
        except Failed:
            return

    def _verdict(self, kind: str, name: str, **scripts: Optional[Script]) -> Verdict:
        """Begin a verdict."""
        checksums = {part: script.checksum for part, script in scripts.items() if script}
        verdict = Verdict(kind, name, checksums)
        self.verdicts.append(verdict)
        self._emit({"event": "proof_started", "kind": kind, "name": name, "database": self._target.name})
        return verdict

    def _migration(self, migration: Migration) -> None:
        """Prove one migration; those before the one that is asked for only run."""
        if self._subject.only and migration.name != self._subject.only:
            quiet = Verdict("migration", migration.name, {})
            try:
                self._go(quiet, "up", _up(migration))
            except Failed:
                self.verdicts.append(quiet)
                raise
            return
        verdict = self._verdict(
            "migration", migration.name, up=migration.up, down=migration.down, verify=migration.verify
        )
        began = time.monotonic()
        try:
            self._forth_and_back(migration, verdict)
        finally:
            verdict.duration_ms = int((time.monotonic() - began) * 1000)

    def _forth_and_back(self, migration: Migration, verdict: Verdict) -> None:
        """Go up, up again, down, down again and up."""
        before, early = self._look(), self._unmet(migration)
        self._go(verdict, "up", _up(migration))
        after = self._look()
        verdict.idempotent = self._same(verdict, "up again", _up(migration), after)
        if migration.verify:
            verdict.verified = self._verifies(verdict, migration, early, bool(before.difference(after)))
        if migration.down is None:
            verdict.irreversible = migration.up.directives.irreversible
            return
        undone = self._same(verdict, "down", _down(migration), before)
        again = self._same(verdict, "down again", _down(migration), before if undone else self._look())
        back = self._same(verdict, "up after down", _up(migration), after)
        verdict.reversible = undone and again and back
        if not back:
            self._go(verdict, "up after down", _up(migration))

    def _repeatable(self, repeatable: Repeatable) -> None:
        """Apply a repeatable twice."""
        verdict = self._verdict("repeatable", repeatable.name, up=repeatable.script)
        step = Step("reapply", "repeatable", repeatable.name, "proof", repeatable.script)
        began = time.monotonic()
        self._go(verdict, "applied", step)
        verdict.idempotent = self._same(verdict, "applied again", step, self._look())
        verdict.duration_ms = int((time.monotonic() - began) * 1000)

    def _tests(self) -> None:
        """Run standing checks and sample-data tests, those for scratch databases too."""
        for kind, scripts in (("check", self._subject.checks), ("sample", self._subject.samples)):
            for script in scripts:
                verdict = self._verdict(kind, script.path, script=script)
                began = time.monotonic()
                results = verify.run_checks(self._target, [script], kind, scratch=True)
                verdict.duration_ms = int((time.monotonic() - began) * 1000)
                verdict.verified = all(result.passed for result in results)
                for result in results:
                    if not result.passed:
                        verdict.wrong(result.name, _told(result))

    # ------------------------------------------------------------ one step

    def _go(self, verdict: Verdict, what: str, step: Step) -> None:
        """Run a step.  Raise Failed with a finding when it does not end well."""
        error = self._run(step)
        if error:
            verdict.wrong(what, error)
            raise Failed

    def _same(self, verdict: Verdict, what: str, step: Step, expected: State) -> bool:
        """Run a step and compare what stands then; a difference or an error is a finding."""
        lines = self._run(step) or expected.difference(self._look())
        if lines:
            verdict.wrong(what, lines)
        return not lines

    def _run(self, step: Step) -> list[str]:
        """Run one step as a deployment does; return what went wrong."""
        direction = "down" if step.action == "revert" else "up"
        with connect(self._target, "windlass proof") as session:
            head = journal.read(session).head
        plan = Plan("", self._target.name, self._subject.system, direction, head, (step,))
        try:
            result = execute.run(self._target, plan, self._options, lambda _: None)
        except WindlassError as error:
            return [str(error)]
        return [_error_text(result)] if result["error"] else []

    def _look(self) -> State:
        """Return what stands."""
        with connect(self._target, "windlass proof") as session:
            schema = introspect.snapshot(session)
            return State(schema, dict(_row_counts(session, schema)))

    def _unmet(self, migration: Migration) -> bool:
        """Return whether the verify script finds something missing before its migration has run."""
        return bool(migration.verify) and bool(self._failed_checks(migration))

    def _verifies(self, verdict: Verdict, migration: Migration, early: bool, changed: bool) -> bool:
        """Return whether the verify script passes now, and did not where the migration's work was still missing."""
        lines = [line for result in self._failed_checks(migration) for line in (result.name, *_told(result))]
        if lines:
            verdict.wrong("verify", lines)
        elif changed and not early:
            verdict.wrong("verify before up", ["it passed, so it cannot tell whether the migration stands"])
        return not lines and (early or not changed)

    def _failed_checks(self, migration: Migration) -> list[CheckResult]:
        """Return the checks of a verify script that do not pass."""
        assert migration.verify is not None
        with connect(self._target, "windlass proof") as session:
            results = verify.run_script(session, migration.verify, writable=False)
        return [result for result in results if not result.passed]


def _up(migration: Migration) -> Step:
    return Step(
        "apply", "migration", migration.name, "proof", migration.up,
        reversible=migration.down is not None, down=migration.down, verify=migration.verify,
    )  # fmt: skip


def _down(migration: Migration) -> Step:
    assert migration.down is not None
    return Step("revert", "migration", migration.name, "proof", migration.down)


def _row_counts(session: Session, schema: Schema) -> Iterator[tuple[str, int]]:
    """Yield every table with its number of rows."""
    for kind, identity, _ in schema.objects:
        if kind == "table":
            yield identity, int(session.query(f"SELECT count(*) FROM {session.dialect.identifier(identity)}")[0][0])


def _told(result: CheckResult) -> list[str]:
    return [result.error] if result.error else list(result.failures)


def _error_text(result: Wire) -> str:
    """Return a run's error with its place."""
    return str(WindlassError.from_wire(result["error"]))
