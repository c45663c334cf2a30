"""A plan as people read it, and the command that runs exactly it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from windlass.gate.told import checklist
from windlass.records import record
from windlass.telling import archives, console, risks, summary
from windlass.telling.lines import Line, Lines, host_errors


def plan(run: record.Record) -> Lines:
    """Yield every database's plan, and the gate."""
    for host, database, data in record.databases(run):
        if "plan" in data:
            yield from plan_lines(host, database, data["plan"])
    yield from (Line(*told) for told in checklist(run["gate"]))
    yield from host_errors(run)


def plan_lines(host: str, database: str, plan: Mapping[str, Any]) -> Lines:
    """Yield one database's plan: a line for each step, with its reason and the way back."""
    at = plan.get("schema_version") or summary.EMPTY
    yield Line("")
    if not plan["steps"]:
        yield Line(f"{host} {database}: nothing to do, at {at}", "good")
    else:
        yield Line(f"{host} {database}: {console.plural(len(plan['steps']), 'step')}, now at {at}", "head")
        yield from map(Line, _step_table(plan["steps"]))
        yield from (Line(*line) for line in risks.lines(plan))
        yield from (Line(*line) for line in archives.plan_lines(plan))
    if plan.get("rehearsal"):
        yield Line(f"  {console.printable(plan['rehearsal'])}")
    for warning in plan.get("warnings") or ():
        first, *more = str(warning).splitlines() or [""]
        yield Line(f"  warning: {console.printable(first)}", "warn")
        yield from (Line(f"    {console.printable(line)}") for line in more)  # a difference


def _step_table(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [(f"{n}.", *_step_cells(step)) for n, step in enumerate(steps, 1)]
    return console.table(("", "DO", "WHAT", "SIZE", "WAY BACK", "WHY"), rows, indent="  ")


def _step_cells(step: Mapping[str, Any]) -> tuple[str, ...]:
    count = console.plural(step["statements"], "statement")
    return (step["action"], step["name"], count, back(step), step["reason"])


def back(step: Mapping[str, Any]) -> str:
    """Return how a step can be undone, "" where the question is idle."""
    if step["action"] in ("revert", "baseline"):
        return ""
    if step.get("reversible", True):
        proved = ", proved" if step.get("proved") else ""
        return f"down script{proved}" if step["kind"] == "migration" else "earlier text"
    reason = step.get("irreversible") or ""
    return f"IRREVERSIBLE: {reason}" if reason else "IRREVERSIBLE"


def command_of(run: record.Record) -> str:
    """Return the verb that carries out a plan: deploy, rollback or baseline."""
    directions = {data["plan"].get("direction") for _, _, data in record.databases(run) if "plan" in data}
    return {"down": "rollback", "baseline": "baseline"}.get(next(iter(directions), ""), "deploy")


def next_command(run: record.Record, arguments: str = "") -> Lines:
    """Yield the digest of the whole plan and the command that runs exactly this plan."""
    if not run["digest"]:
        return
    digest = run["digest"][:12]
    yield Line("")
    yield Line(f"Digest {digest}. To run exactly this and nothing else:")
    yield Line(f"  invoke {command_of(run)} --env {shlex.quote(run['environment'])}{arguments} --plan {digest}", "head")
