"""What a run told of its end, held against the journal; and the command that it told, typed."""

from __future__ import annotations

import re
import shlex
from typing import Any

from tests.systems import Bench
from windlass_engine import plan, session
from windlass_engine.archiving import kept
from windlass_engine.model import Journal, JournalEntry, Plan, Step, Wire
from windlass_engine.project.view import ProjectView

_COMMAND = re.compile(
    r"invoke (deploy|rollback|baseline|status) --env test((?: --(?:to|steps) \S+| --atomic)*)(?= |;|$)"
)


def judge(bench: Bench, planned: Plan, run_id: str, told: Wire) -> Journal:
    """Hold all that a failed run told against what stands; return the journal."""
    bench.wait_for_deployers()
    after = bench.journal()
    arrived = [step for step in planned.steps if stands(step, after, run_id)]
    names = [step.name for step in arrived]
    versions = [e for e in after.entries if e.kind == "migration" and e.state == "applied"]
    assert told["status"] == "failed" and told["error"], told
    assert told["applied"] == names, ("what was told is not what stands", names, told)
    assert told["changed"] == (bool(names) or after.head != planned.journal_head), told
    assert told["journal_head"] == after.head, told
    assert told["schema_version"] == (max(versions, key=lambda e: e.ordinal).name if versions else ""), told
    assert {item["name"] for item in told["archived"]} == kept_by(bench, run_id), told
    _judge_steps(planned, names, told)
    _judge_state(planned, names, after, len(versions), told)
    return after


def kept_by(bench: Bench, run_id: str) -> set[str]:
    """The archives that a run has made whole."""
    with session.connect(bench.target) as opened:
        return {item.name for item in kept.listed(opened) if item.run_id == run_id and item.state == "kept"}


def stands(step: Step, after: Journal, run_id: str) -> bool:
    """Whether the journal has a step as a run left it."""
    entry = after.get(step.kind, step.name)
    if step.action == "revert":
        return entry is not None and entry.state == "reverted"
    return entry is not None and entry.state == "applied" and entry.run_id == run_id


def _judge_steps(planned: Plan, arrived: list[str], told: Wire) -> None:
    """Those that arrived are done, in the plan's order; at most one failed, and it is none of them."""
    listed = [(item["name"], item["status"]) for item in told["steps"]]
    assert [name for name, status in listed if status == "done"] == arrived, told
    failed = [name for name, status in listed if status != "done"]
    assert len(failed) <= 1 and set(failed) <= {step.name for step in planned.steps} - set(arrived), told


def _judge_state(planned: Plan, arrived: list[str], after: Journal, count: int, told: Wire) -> None:
    """The words name the step that stopped, as it stands."""
    state, left = told["state"], [step for step in planned.steps if step.name not in arrived]
    place = f"the schema stands at {told['schema_version']}, {count} migration"
    assert (place if count else "no migration is applied") in state, told
    if "had arrived before the connection was lost" in state:
        names = state.partition(" is " if " is " in state.partition(":")[0] else " are ")[0].split(", ")
        assert names == arrived[-len(names) :], told
        return
    failed = next(item["name"] for item in told["steps"] if item["status"] == "failed")
    stopped = next(step for step in left if step.name == failed)
    gone = state.partition("gone again, journal and all: ")[2]
    told_gone = gone.split(", ") if gone else []
    assert planned.atomic or told_gone == [step.name for step in left[: left.index(stopped)]], told
    entry = after.get(stopped.kind, stopped.name)
    if entry is not None and entry.state == ("reverting" if stopped.action == "revert" else "partial"):
        counted = f"{entry.statements_done} of {len(stopped.script.statements)} statements are permanent"
        assert f"{failed} is half-done: {counted}" in state, told
        return
    said = {"baseline": "was not marked", "revert": "still stands"}.get(stopped.action, "was undone whole")
    said = "is half undone, as before" if said == "was undone whole" and _is_half_undone(entry) else said
    whole = "nothing of this run is permanent"
    assert (whole if planned.atomic else f"{failed} {said}") in state, told


def _is_half_undone(entry: JournalEntry | None) -> bool:
    return entry is not None and entry.state == "reverting"


def typed(told: Wire) -> tuple[str, dict[str, Any]] | None:
    """The first command in what was told to do next: its verb and options; None where it tells that all is done."""
    found = _COMMAND.search(told["next"])
    if found is None:
        return None
    words = shlex.split(found[2].replace("--atomic", "--atomic yes"))
    return found[1], dict(zip((word[2:] for word in words[::2]), words[1::2], strict=True))


def replan(bench: Bench, project: ProjectView, verb: str, options: dict[str, Any]) -> Plan:
    """The plan that the command makes."""
    if verb == "rollback":
        return bench.plan_down(**{key: int(value) if key == "steps" else value for key, value in options.items()})
    if verb == "baseline":
        return plan.plan_baseline(project, bench.journal(), database="test", **options)
    return bench.plan(project, **{**options, "atomic": "atomic" in options})
