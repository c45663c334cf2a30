"""The whole gate over a run's plans: each database's points and the approvals of the plan's digest, in one verdict."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from windlass.gate import approvals
from windlass.gate.points import unmet
from windlass_engine.errors import WindlassError

#: host -> database -> {"plan": …}
Planned = Mapping[str, Mapping[str, Mapping[str, Any]]]
#: A reason that somebody typed, and not a slip: characters at least.
SHORTEST_REASON = 10


def of(
    root: Path, environment: str, digest: str, planned: Planned, break_glass: str = "", scope: str = ""
) -> dict[str, Any]:
    """Return the verdict: ``points`` by host and database, ``approvals``, and ``broken_glass`` (the reason, or "").

    ``scope`` is what the operator typed to limit the run: another choice of databases has another digest.
    Raises ``usage`` for a reason that is none.
    """
    _refuse_no_reason(break_glass)
    points = {
        host: {name: data["plan"]["gate"] for name, data in part.items() if data["plan"].get("gate")}
        for host, part in planned.items()
    }
    gate: dict[str, Any] = {
        "points": {host: part for host, part in points.items() if part},
        "approvals": _approvals(root, environment, digest, planned, scope),
        "broken_glass": "",
    }
    if break_glass and any(True for _ in wanting(gate)):
        gate["broken_glass"] = break_glass
    return gate


def wanting(gate: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (place, what is not met, the command that meets it) of each unmet point."""
    for host, part in gate["points"].items():
        for name, points in part.items():
            for point in unmet(points):
                yield f"{host} {name}", f"{point['point']}: {point['found']}", point["command"]
    asked = gate["approvals"]
    if len(asked["by"]) < asked["wanted"]:
        yield "", f"approvals: {approvals_text(gate)}", asked["command"]


def approvals_text(gate: Mapping[str, Any]) -> str:
    """Return how many approvals there are, by whom, and what does not count."""
    asked = gate["approvals"]
    names = ", ".join(item["principal"] for item in asked["by"]) or "nobody"
    refused = "".join(f"; {item['principal']}'s does not count: {item['reason']}" for item in asked["refused"])
    problem = f"; {asked['problem']}" if asked["problem"] else ""
    return f"{len(asked['by'])} of {asked['wanted']} ({names}){refused}{problem}"


def enforce(gate: Mapping[str, Any], environment: str, digest: str) -> None:
    """Raise ``gate_closed`` with every unmet point, unless the glass was broken."""
    found = list(wanting(gate))
    if not found or gate["broken_glass"]:
        return
    lines = [f"{place}  {what}".strip() + (f"\n    {command}" if command else "") for place, what, command in found]
    message = f"the gate to {Path(environment).name} is closed for the plan {digest[:12]}:\n" + "\n".join(lines)
    hint = 'meet each point with the command below it; in an emergency: --break-glass "REASON", which is recorded'
    raise WindlassError("gate_closed", message, hint=hint)


def _refuse_no_reason(reason: str) -> None:
    if reason and (len(reason) < SHORTEST_REASON or " " not in reason):
        message = f"--break-glass {reason!r} is no reason"
        raise WindlassError("usage", message, hint="write in a sentence why it cannot wait: it will be read later")


def _approvals(root: Path, environment: str, digest: str, planned: Planned, scope: str) -> dict[str, Any]:
    plans = [data["plan"] for part in planned.values() for data in part.values()]
    wanted = max((plan.get("approvals", 0) for plan in plans), default=0)
    command = f"invoke approve --env {shlex.quote(environment)}{scope} --plan {digest[:12]}"
    empty: dict[str, Any] = {"wanted": wanted, "by": [], "refused": [], "problem": "", "command": command}
    if not wanted:
        return empty
    try:
        given = approvals.found(root, environment, digest)
    except WindlassError as error:
        return {**empty, "problem": f"{error.message}; {error.hint}"}
    excluded = approvals.involved(root, {path for plan in plans for path in _paths(plan)})
    counting = approvals.counted(given, excluded)
    return {
        **empty,
        "by": [
            {"principal": item.principal, "at": item.at, "text": item.text, "signature": item.signature}
            for item in counting
        ],
        "refused": [
            {"principal": item.principal, "reason": item.wrong or "an author or the operator cannot approve"}
            for item in given
            if item not in counting
        ],
    }


def _paths(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield where the scripts of a plan are, below the project's root."""
    for step in plan["steps"]:
        own = f"migrations/{step['name']}" if step["kind"] == "migration" else f"repeatable/{step['name']}.sql"
        yield f"sql/{plan['system']}/{own}"
