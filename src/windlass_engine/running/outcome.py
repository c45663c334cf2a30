"""What is said of a run that ended: what is permanent, what state the database is in, what to type next."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from ..archiving import kept
from ..model import Journal, JournalEntry, Options, Plan, Step, Wire
from ..session import Session


def result(plan: Plan, options: Options, status: str, state: str, *, began: float) -> Wire:
    """Return the parts that every result has; ``began`` is a monotonic time."""
    return {
        "database": plan.database,
        "system": plan.system,
        "run_id": options.run_id,
        "digest": plan.digest,
        "direction": plan.direction,
        "status": status,
        "changed": False,
        "applied": [],
        "skipped": [],
        "sql": [],
        "state": state,
        "next": "",
        "error": None,
        "steps": [],
        "archived": [],
        "put_back": [],
        "sizes": None,
        "fingerprint": "",
        "schema_version": "",
        "journal_head": plan.journal_head,
        "duration_ms": int((time.monotonic() - began) * 1000),
    }


def step_result(step: Step, status: str, duration_ms: int = 0, retries: int = 0) -> Wire:
    """Return one step's line of a result."""
    return {
        "name": step.name,
        "action": step.action,
        "kind": step.kind,
        "status": status,
        "duration_ms": duration_ms,
        "statements": len(step.script.statements),
        "retries": retries,
    }


def progress(plan: Plan, finished: Sequence[Wire], after: Optional[Journal], options: Options) -> Wire:
    """Return the part of a result that tells how far the run came."""
    standing = after or Journal()
    half_done = [e for e in standing.entries if e.run_id == options.run_id and e.state in ("partial", "reverting")]
    moved = after is not None and after.head != plan.journal_head
    return {
        "changed": bool(finished or half_done or moved),
        "applied": [item["name"] for item in finished],
        "steps": list(finished),
        "schema_version": schema_version(standing),
        "journal_head": standing.head if after else "",
    }


def schema_version(journal: Journal) -> str:
    """Return the migration that was applied last, or an empty string."""
    standing = [e for e in journal.entries if e.kind == "migration" and e.state == "applied"]
    return max(standing, key=lambda e: e.ordinal).name if standing else ""


def standing_text(journal: Journal) -> str:
    """Say where a database stands."""
    version = schema_version(journal)
    count = sum(1 for e in journal.entries if e.kind == "migration" and e.state == "applied")
    noun = "migration" if count == 1 else "migrations"
    return f"the schema stands at {version}, {count} {noun} applied" if version else "no migration is applied"


def has_arrived(step: Step, after: Journal, options: Options) -> bool:
    """Return whether the journal shows that a step of this run was committed."""
    entry = after.get(step.kind, step.name)
    if entry is None:
        return False
    if step.action == "revert":
        return entry.state == "reverted"
    return entry.state == "applied" and entry.run_id == options.run_id


def archived(session: Session, plan: Plan, after: Journal, options: Options) -> list[Wire]:
    """Return the archives of the steps that are undone.  Raise ServerError."""
    undone = [step.name for step in plan.steps if step.action == "revert" and has_arrived(step, after, options)]
    if not options.archive or not undone:
        return []
    return [kept.to_wire(item) for name in undone for item in kept.of_run(session, options.run_id, name)]


@dataclass(frozen=True)
class End:
    """A run that stopped at ``step``; ``after`` is the journal then.

    It is None where nobody can tell; ``unknown`` says why.  ``lost``: what stopped it was the loss of the server.
    """

    plan: Plan
    step: Step
    after: Optional[Journal]
    options: Options
    lost: bool
    unknown: str = ""

    @property
    def arrived(self) -> bool:
        """Return whether the step was committed after all."""
        return self.after is not None and has_arrived(self.step, self.after, self.options)

    @property
    def _entry(self) -> Optional[JournalEntry]:
        """Return the step's entry."""
        return self.after.get(self.step.kind, self.step.name) if self.after else None

    @property
    def _stopped_inside(self) -> bool:
        """Return whether some of the step's statements are permanent, and not all."""
        doing = "reverting" if self.step.action == "revert" else "partial"
        return self._entry is not None and self._entry.state == doing

    def standing(self, finished: Sequence[Wire]) -> list[Wire]:
        """Return the steps that the journal has: those told as finished may not be all, nor all be there."""
        assert self.after is not None
        steps = self.plan.steps
        told = [*finished, *(step_result(step, "done") for step in steps[len(finished) :])]
        return [item for item, step in zip(told, steps) if has_arrived(step, self.after, self.options)]

    def state(self, finished: int) -> str:
        """Say in words what state the database is in; ``finished`` steps stand."""
        if self.after is None:
            return (
                f"{self.unknown}; a transaction that was open is undone by itself, and the journal will tell which "
                "steps are permanent"
            )
        return f"{self._of_step(finished)}; {standing_text(self.after)}"

    def _of_step(self, finished: int) -> str:
        """Say what is of the step, and of those whose answer was lost with its own."""
        name, entry = self.step.name, self._entry
        if self.arrived:
            later = self.plan.steps[self.plan.steps.index(self.step) + 1 : finished]
            names = ", ".join([name, *(step.name for step in later)])
            done = f"{names} {'are' if later else 'is'} {'undone' if self.step.action == 'revert' else 'applied'}"
            whose = "their commits" if later else "its commit"
            return f"{done}: {whose} had arrived before the connection was lost" if self.lost else done
        if self._stopped_inside and entry:
            done = f"{entry.statements_done} of {len(self.step.script.statements)} statements are permanent"
            return f"{name} is half-done: {done}, the rest has not run"
        if self.plan.direction == "baseline":
            return f"{name} was not marked"
        if self.plan.atomic:
            return "nothing of this run is permanent, as all of it was one transaction"
        if self.step.action == "revert":
            return f"{name} still stands: the server took back whatever its down script had begun"
        if entry and entry.state == "reverting":
            return f"{name} is half undone, as before: the server took back whatever this run had begun"
        return f"{name} was undone whole by the server, nothing of it is left"

    def next_command(self, finished: int) -> str:
        """Return what to type next; ``finished`` steps stand."""
        environment = f"--env {self.options.environment}"
        if self.after is None:
            return f"invoke status {environment}"
        if self.plan.direction == "down":
            return self._back_again(environment, finished)
        if self.plan.direction == "baseline" and self.lost:
            return f"invoke baseline {environment}{self._words()}"
        if self.plan.direction == "baseline":
            again = f"invoke deploy {environment} --to {self.step.name}"
            return f"make it stand and mark it once more, or let it run: {again}"
        again = f"invoke deploy {environment}{self._words()}"
        if self.arrived:
            return again
        mend = "" if self.lost else f"mend {self.step.script.path}, then: "
        if self._stopped_inside and self._entry:
            mend = mend.replace("mend ", "mend the rest of ", 1)
            undo = f"or undo it: invoke rollback {environment} --steps 1"
            return f"{mend}{again} (it goes on at statement {self._entry.statements_done + 1}); {undo}"
        return mend + again

    def _back_again(self, environment: str, finished: int) -> str:
        """Return what to type to undo the rest."""
        left = len(self.plan.steps) - finished
        if not left:
            return f"invoke status {environment}"
        again = f"invoke rollback {environment} --steps {left}"
        if self.lost:
            return again
        beside = f"or bring a backup back beside: invoke restore {environment}"
        return f"remove the cause, then: {again} (with --down-from checkout after mending its down.sql); {beside}"

    def _words(self) -> str:
        """Return the words that keep the next run to what was asked of this one."""
        to = f" --to {shlex.quote(self.plan.to)}" if self.plan.to else ""
        return f"{to} --atomic" if self.plan.atomic else to
