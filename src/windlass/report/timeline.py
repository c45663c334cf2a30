"""When each part of a run began and how long it took, as bars on one scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from windlass.telling import console

MOST = 60  # a long run shows its slowest parts only
#: Events that end a part -> the part's kind.
_ENDS = {"step_done": "step", "step_failed": "step", "backup_done": "backup", "check_done": "check"}
Event = Mapping[str, Any]


@dataclass
class Bar:
    """One part of a run: times in milliseconds from the first bar's start; left and width in percent.

    ``parts`` are the slow statements in it (kind ``part``) and the waits for others (``wait``).
    """

    label: str
    kind: str
    start: float
    length: float
    waited: float = 0.0
    left: float = 0.0
    width: float = 0.0
    failed: bool = False
    parts: list[Bar] = field(default_factory=list)


def bars(events: Sequence[Event], data: Mapping[str, Any]) -> list[Bar]:
    """Return the bars of one database, from events; without events from the steps' durations, one after another.

    Events that do not say when they were, as those on a scratch database, have no place.
    """
    events = [event for event in events if "at" in event]
    found = _from_events(events) or _from_steps((data.get("run") or {}).get("steps") or ())
    if len(found) > MOST:
        slowest = sorted(found, key=lambda bar: bar.length, reverse=True)[:MOST]
        found = [bar for bar in found if bar in slowest]
    return _scaled(found)


def _from_events(events: Sequence[Event]) -> list[Bar]:
    found: list[Bar] = []
    for event in events:
        kind = _ENDS.get(event["event"])
        if kind:
            end = _milliseconds(event["at"])
            length = float(event.get("duration_ms") or _since_last(found, end))
            name = str(event.get("migration") or event.get("name") or kind)
            failed = event["event"] == "step_failed" or not event.get("passed", True)
            parts = [*_slow_statements(events, name), *_waiting(events, name)] if kind == "step" else []
            found.append(Bar(name, kind, end - length, length, _waited(events, name), failed=failed, parts=parts))
    return found


def _slow_statements(events: Sequence[Event], migration: str) -> Iterator[Bar]:
    for event in events:
        if event["event"] == "statement_done" and event.get("migration") == migration:
            length = float(event["duration_ms"])
            label = f"statement {event['statement']}: {console.duration(length)}"
            yield Bar(label, "part", _milliseconds(event["at"]) - length, length)


def _waiting(events: Sequence[Event], migration: str) -> Iterator[Bar]:
    """Yield each statement's longest wait, and the pauses in which others were let pass."""
    longest: dict[int, Event] = {}
    for event in events:
        if event.get("migration") != migration:
            continue
        if event["event"] == "waiting":
            known = longest.setdefault(event.get("statement", 0), event)
            longest[event.get("statement", 0)] = max(known, event, key=lambda item: item["elapsed_ms"])
        elif event["event"] == "retry":
            length = float(event["pause_ms"])
            label = f"let others pass for {console.duration(length)}"
            yield Bar(label, "wait", _milliseconds(event["at"]), length)
    for event in longest.values():
        length = float(event["elapsed_ms"])
        label = f"waited {console.duration(length)} for {', '.join(map(console.blocker, event.get('blockers') or ()))}"
        yield Bar(label, "wait", _milliseconds(event["at"]) - length, length)


def _since_last(found: Sequence[Bar], end: float) -> float:
    """Return the time since the last known end: a failure does not say how long it took."""
    return max(end - (found[-1].start + found[-1].length), 0) if found else 0


def _waited(events: Sequence[Event], migration: str) -> float:
    """Return how long others held a migration up: the longest wait of each statement, and the pauses between tries."""
    longest: dict[int, float] = {}
    pauses = 0.0
    for event in events:
        if event.get("migration") != migration:
            continue
        if event["event"] == "waiting":
            statement = event.get("statement", 0)
            longest[statement] = max(longest.get(statement, 0), event["elapsed_ms"])
        elif event["event"] == "retry":
            pauses += event["pause_ms"]
    return sum(longest.values()) + pauses


def _from_steps(steps: Sequence[Mapping[str, Any]]) -> list[Bar]:
    found, clock = [], 0.0
    for step in steps:
        length = float(step.get("duration_ms") or 0)
        found.append(Bar(step["name"], "step", clock, length, failed=step.get("status") == "failed"))
        clock += length
    return found


def _scaled(found: list[Bar]) -> list[Bar]:
    if not found:
        return []
    first = min(bar.start for bar in found)
    whole = max(max(bar.start + bar.length for bar in found) - first, 1.0)
    for each in [*found, *(part for bar in found for part in bar.parts)]:
        each.left = round(min(max(100 * (each.start - first) / whole, 0), 100), 2)
        each.width = round(max(100 * each.length / whole, 0.4), 2)
    return found


def waits(events: Sequence[Event]) -> list[tuple[str, str, str]]:
    """Return (what, how long or how often, for whom) of every statement that others held up."""
    return [*_waited_long(events), *_gave_way(events)]


def _waited_long(events: Sequence[Event]) -> list[tuple[str, str, str]]:
    longest: dict[tuple[str, int], Event] = {}
    for event in events:
        if event["event"] == "waiting":
            key = (event["migration"], event.get("statement", 0))
            if key not in longest or event["elapsed_ms"] >= longest[key]["elapsed_ms"]:
                longest[key] = event
    return [
        (
            f"{migration}, statement {statement}" if statement else migration,
            console.duration(event["elapsed_ms"]),
            ", ".join(map(console.blocker, event.get("blockers") or ())),
        )
        for (migration, statement), event in longest.items()
    ]


def _gave_way(events: Sequence[Event]) -> list[tuple[str, str, str]]:
    """Return the migrations whose lock timeout let others pass first."""
    tries: dict[str, list[Event]] = {}
    for event in events:
        if event["event"] == "retry":
            tries.setdefault(event["migration"], []).append(event)
    return [
        (f"{name}, let others pass", console.plural(len(found), "time"), str(found[-1].get("blockers") or ""))
        for name, found in tries.items()
    ]


def _milliseconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp() * 1000
