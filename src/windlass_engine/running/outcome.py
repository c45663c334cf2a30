"""What is said of a run that ended: what is permanent, what state the database is in, what to type next."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Optional

from ..model import Journal, JournalEntry, Options, Plan, Step, Wire

#: What a failed run says of a server that nobody could ask afterwards.
_UNKNOWN = (
    "the server does not answer; it undoes the transaction that was open by itself, and its journal will tell "
    "which steps are permanent"
)


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


def progress(finished: Sequence[Wire], after: Optional[Journal], options: Options) -> Wire:
    """Return the part of a result that tells how far the run came."""
    standing = after or Journal()
    half_done = [e for e in standing.entries if e.run_id == options.run_id and e.state in ("partial", "reverting")]
    return {
        "changed": bool(finished or half_done),
        "applied": [item["name"] for item in finished],
        "steps": list(finished),
        "schema_version": schema_version(standing),
        "journal_head": standing.head if after else "",
    }


def standing(plan: Plan, finished: Sequence[Wire], after: Journal, options: Options) -> list[Wire]:
    """Return the steps that the journal has after the server was lost: those told as finished may not be all."""
    told = [*finished, *(step_result(step, "done") for step in plan.steps[len(finished) :])]
    kept = (has_arrived(step, after.get(step.kind, step.name), options) for step in plan.steps)
    return [item for item, stays in zip(told, kept) if stays]


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


def state_after(plan: Plan, step: Step, after: Optional[Journal], options: Options) -> str:
    """Say in words what state the database is in after ``step`` failed."""
    if after is None:
        return _UNKNOWN
    standing, entry = standing_text(after), after.get(step.kind, step.name)
    if has_arrived(step, entry, options):
        word = "undone" if step.action == "revert" else "applied"
        return f"{step.name} is {word}: its commit had arrived before the connection was lost; {standing}"
    if entry and entry.state in ("partial", "reverting"):
        done = f"{entry.statements_done} of {len(step.script.statements)} statements are permanent"
        return f"{step.name} is half-done: {done}, the rest has not run; {standing}"
    if plan.direction == "baseline":
        return f"{step.name} was not marked; {standing}"
    if plan.atomic:
        return f"nothing of this run is permanent, as all of it was one transaction; {standing}"
    if step.action == "revert":
        return f"{step.name} still stands: the server took back whatever its down script had begun; {standing}"
    return f"{step.name} was undone whole by the server, nothing of it is left; {standing}"


def has_arrived(step: Step, entry: Optional[JournalEntry], options: Options) -> bool:
    """Return whether the journal shows that a step was committed after all."""
    if entry is None:
        return False
    if step.action == "revert":
        return entry.state == "reverted"
    return entry.state == "applied" and entry.run_id == options.run_id


def next_command(plan: Plan, step: Step, finished: int, after: Optional[Journal], options: Options) -> str:
    """Return what to type next after ``step`` failed and ``finished`` steps had not."""
    environment = options.environment
    if after is None:
        return f"invoke status --env {environment}"
    if plan.direction == "down":
        if finished == len(plan.steps):
            return f"invoke status --env {environment}"
        again = f"invoke rollback --env {environment} --steps {len(plan.steps) - finished}"
        if has_arrived(step, after.get(step.kind, step.name), options):
            return again
        beside = f"or bring a backup back beside: invoke restore --env {environment}"
        return f"remove the cause, then: {again} (with --down-from checkout after mending its down.sql); {beside}"
    if plan.direction == "baseline":
        return f"make it stand and mark it once more, or let it run: invoke deploy --env {environment} --to {step.name}"
    entry = after.get(step.kind, step.name)
    if has_arrived(step, entry, options):
        return f"invoke deploy --env {environment}"
    if entry and entry.state == "partial":
        return (
            f"mend the rest of {step.script.path}, then: invoke deploy --env {environment} "
            f"(it goes on at statement {entry.statements_done + 1}); "
            f"or undo it: invoke rollback --env {environment} --steps 1"
        )
    return f"mend {step.script.path}, then: invoke deploy --env {environment}"
