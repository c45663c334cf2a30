"""The points of the gate that concern one database: whether each is met, and the command that would meet it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from windlass import typed
from windlass.environment import Database
from windlass.gate import staged, window
from windlass.gate.policy import Gate
from windlass.records import rehearsals
from windlass.telling import keeping
from windlass.telling.console import age, duration
from windlass_engine.errors import WindlassError

Plan = Mapping[str, Any]


@dataclass(frozen=True)
class Point:
    """One point: its name in the policy, whether it is met, what was found, and the command that would meet it."""

    point: str
    met: bool
    found: str
    command: str = ""


@dataclass(frozen=True)
class Subject:
    """What the points look at: a database's shown ``plan``, its ``info``, and where and when the run is.

    ``scope`` is what the operator typed to limit the run, ``to`` the migration at which it ends.
    """

    root: Path
    environment: str
    database: Database
    plan: Plan
    info: Mapping[str, Any]
    now: datetime
    scope: str = ""
    to: str = ""

    @property
    def steps(self) -> list[Mapping[str, Any]]:
        """Return what would change the database."""
        return [step for step in self.plan["steps"] if step["action"] != "baseline"]

    @property
    def arguments(self) -> str:
        """Return the place as it is typed after a verb."""
        return f"--env {shlex.quote(self.environment)} --database {shlex.quote(self.database.name)}"


def judged(subject: Subject) -> list[dict[str, Any]]:
    """Return every point that the policy asks for, and drift where only the broken glass lets the plan go on."""
    asked = subject.database.policy.gate
    forced = {"drift"} if passes_drift(subject.plan) else set()
    return [asdict(judge(subject)) for key, judge in _JUDGES.items() if getattr(asked, key) or key in forced]


def passes_drift(plan: Plan) -> bool:
    """Return whether a plan goes on over drift that the policy says stops it: the glass was broken."""
    return bool((plan.get("drift") or {}).get("forced"))


def _staged(subject: Subject) -> Point:
    gate, system = subject.database.policy.gate, subject.database.system
    command = f"invoke deploy --env {shlex.quote(gate.staged)}"
    try:
        standing = staged.since(subject.root, gate.staged, system)
    except WindlassError as error:
        return Point("staged", False, error.message, f"invoke evidence --env {shlex.quote(gate.staged)} --verify")
    moments = {step["name"]: standing.get((step["kind"], step["name"], step["checksum"])) for step in subject.steps}
    missing = [name for name, moment in moments.items() if moment is None]
    if missing:
        return Point(
            "staged", False, f"not deployed and verified in {gate.staged} as it is now: {_few(missing)}", command
        )
    youngest = max(moment for moment in moments.values() if moment)
    soaked_s = (subject.now - youngest).total_seconds()
    found = f"stands verified in {gate.staged} for {age(max(soaked_s, 0))}"
    if soaked_s * 1000 < gate.soak:
        due = datetime.fromtimestamp(youngest.timestamp() + gate.soak / 1000, UTC)
        return Point("staged", False, f"{found}; it soaks until {due:%Y-%m-%d %H:%M} UTC", _later(subject, due))
    return Point("staged", True, found)


def _proved(subject: Subject) -> Point:
    missing = [step["name"] for step in subject.steps if not step.get("proved")]
    if missing:
        command = f"invoke prove --system {shlex.quote(subject.database.system)}"
        return Point("proved", False, f"not proved idempotent and reversible as it is now: {_few(missing)}", command)
    return Point("proved", True, "every script was proved idempotent and reversible")


def _backup_verified(subject: Subject) -> Point:
    overdue = keeping.overdue(subject.info, subject.database.policy.gate.backup_verified)
    if overdue:
        return Point("backup_verified", False, overdue, f"invoke backup-test {subject.arguments}")
    return Point("backup_verified", True, f"the newest verified backup is {age(subject.info['verified']['age_s'])} old")


def _rehearsed(subject: Subject) -> Point:
    gate = subject.database.policy.gate
    known, command = rehearsals.find(subject.root, subject.plan["digest"]), f"invoke rehearse {subject.arguments}"
    command += typed.scope(to=subject.to)
    if not known:
        return Point("rehearsed", False, "this plan was not rehearsed", command)
    spent_s = rehearsals.age_s(known, subject.now)
    found = f"rehearsed {age(max(spent_s, 0))} ago: {known['failed'] or rehearsals.cost(known)}"
    if known["failed"] or spent_s * 1000 > gate.rehearsed:
        return Point("rehearsed", False, found, command)
    over = _over_budget(gate, known["parts"][0])
    again = f"{command}  # when its scripts take less, or wait less"
    return Point("rehearsed", not over, f"{found}{over}", again if over else "")


def _over_budget(gate: Gate, part: Mapping[str, Any]) -> str:
    """Return how a plan went beyond its budget, "" where it did not."""
    blocked_ms = rehearsals.blocked_ms(part["longest_block"])
    if gate.longest_run and part["duration_ms"] > gate.longest_run:
        return f"; {duration(gate.longest_run)} are allowed for the run"
    if gate.longest_block and part["locks"] is None:
        note = f" ({part['lock_note']})" if part.get("lock_note") else ""
        return f"; how long it keeps others waiting is not known, and the policy has a limit for that{note}"
    unseen_ms = rehearsals.unseen_ms(part)
    if gate.longest_block and unseen_ms > gate.longest_block >= blocked_ms:
        allowed = f"{duration(gate.longest_block)} are allowed for keeping others waiting"
        return f"; for {duration(unseen_ms)} of it the server did not answer who waits, and {allowed}"
    if gate.longest_block and blocked_ms > gate.longest_block:
        return f"; {duration(gate.longest_block)} are allowed for keeping others waiting"
    return ""


def _window(subject: Subject) -> Point:
    windows = subject.database.policy.gate.window
    is_open = window.is_open(windows, subject.now)
    state = "is inside" if is_open else "is outside"
    found = f"{subject.now:%a %H:%M} UTC {state} the window: {'; '.join(windows)}"
    return Point("window", is_open, found, "" if is_open else _later(subject, window.opens(windows, subject.now)))


def _later(subject: Subject, due: datetime) -> str:
    """Return the command for what only time can meet."""
    return (
        f"invoke deploy --env {shlex.quote(subject.environment)}{subject.scope}  # from {due:%a %Y-%m-%d %H:%M} UTC on"
    )


def _risk(subject: Subject) -> Point:
    from windlass.risk import CLASSES

    most, whole = subject.database.policy.gate.risk, subject.plan.get("risk") or {"open_class": CLASSES[0]}
    if CLASSES.index(whole["open_class"]) <= CLASSES.index(most):
        return Point("risk", True, f"{whole['open_class']}, and {most} is allowed")
    high = [
        f"{step['name']}: {risk['rule']} {risk['class']}"
        for step in subject.steps
        for risk in step.get("risks") or ()
        if not risk["allowed"] and CLASSES.index(risk["class"]) > CLASSES.index(most)
    ]
    told = _few(list(dict.fromkeys(high)))
    return Point("risk", False, f"{told}; {most} is allowed", "-- windlass: allow RULE REASON, in the script's header")


def _drift(subject: Subject) -> Point:
    from windlass.telling import drifting

    found, command = subject.plan.get("drift"), f"invoke drift {subject.arguments}"
    if found is None:
        return Point("drift", False, "nobody looked: the policy says drift: ignore", command)
    if found.get("new"):
        return Point("drift", True, "nothing was ever deployed here, so nobody can have changed it since")
    if found["unknown"]:
        return Point("drift", False, f"not known: {found['unknown']}", f"{command} --accept")
    told = drifting.headline(found)
    return Point("drift", not told, f"the schema was {told}" if told else "nobody else changed the schema", command)


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


_JUDGES: Mapping[str, Callable[[Subject], Point]] = {
    "staged": _staged,
    "proved": _proved,
    "backup_verified": _backup_verified,
    "rehearsed": _rehearsed,
    "risk": _risk,
    "drift": _drift,
    "window": _window,
}


def unmet(points: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the points that are not met."""
    return (point for point in points if not point["met"])
