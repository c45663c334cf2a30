"""The checklist of a change, before, during and after it: ticked by what the record measured, never by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.records import record
from windlass.telling import console, summary

Data = Mapping[str, Any]


@dataclass(frozen=True)
class Item:
    """One line; ``done`` is None where it was not asked for or did not come to it."""

    phase: str
    text: str
    done: bool | None


def of(run: record.Record) -> list[Item]:
    """Return the checklist of a run that carries out plans, nothing for another."""
    if run["verb"] not in record.CHANGING or run["check"]:
        return []
    planned = [(f"{host} {name}", data) for host, name, data in record.databases(run) if data.get("plan")]
    return [*_before(run, planned), *_during(planned), *_after(planned)]


def _before(run: record.Record, planned: Sequence[tuple[str, Data]]) -> Iterator[Item]:
    digest = run["digest"][:12]
    yield Item("before", f"plan {digest} made and shown" if digest else "looked: there is nothing to do", True)
    yield from _gate(run)
    for place, data in planned:
        if not data["plan"]["steps"]:
            continue
        for warning in data["plan"].get("warnings") or ():
            yield Item("before", f"{place}: warning: {warning}", None)
        if data["plan"].get("rehearsal") and "rehearsed" not in _asked(run, place):
            yield Item("before", f"{place}: {data['plan']['rehearsal']}", True)
        yield _backup(place, data.get("backup"))


def _gate(run: record.Record) -> Iterator[Item]:
    gate = run.get("gate")
    if not gate:
        return
    for host, part in gate["points"].items():
        for name, points in part.items():
            for point in points:
                yield Item("before", f"{host} {name}: {point['point']}: {point['found']}", point["met"])
    asked = gate["approvals"]
    if asked["wanted"]:
        names = ", ".join(item["principal"] for item in asked["by"]) or "nobody"
        met = len(asked["by"]) >= asked["wanted"]
        yield Item("before", f"approved by {names}, {asked['wanted']} wanted", met)
    if gate["broken_glass"]:
        yield Item("before", f"passed by force: {gate['broken_glass']}", False)


def _asked(run: record.Record, place: str) -> set[str]:
    """Return the points that the gate has for a database: their lines stand there already."""
    points = (run.get("gate") or {}).get("points") or {}
    return {
        point["point"]
        for host, part in points.items()
        for name, listed in part.items()
        for point in listed
        if f"{host} {name}" == place
    }


def _backup(place: str, backup: Mapping[str, Any] | None) -> Item:
    if not backup:
        return Item("before", f"{place}: no backup was made", None)
    if backup.get("skipped"):
        return Item("before", f"{place}: no backup: {backup['skipped']}", None)
    return Item("before", f"{place}: backup {backup.get('id', '')}, {summary.backup_text(backup)}", True)


def _during(planned: Sequence[tuple[str, Data]]) -> Iterator[Item]:
    for place, data in planned:
        done = {step["name"]: step for step in (data.get("run") or {}).get("steps") or ()}
        for step in data["plan"]["steps"]:
            yield _step(place, step, done.get(step["name"]))


def _step(place: str, planned: Mapping[str, Any], done: Mapping[str, Any] | None) -> Item:
    text = f"{place}: {planned['action']} {planned['name']}"
    if done is None:
        return Item("during", f"{text}: not reached", None)
    retries = f", tried again {done['retries']} times for a lock" if done.get("retries") else ""
    if done["status"] != "done":
        return Item("during", f"{text}: {done['status']}{retries}", False)
    return Item("during", f"{text} in {console.duration(done['duration_ms'])}{retries}", True)


def _after(planned: Sequence[tuple[str, Data]]) -> Iterator[Item]:
    for place, data in planned:
        if not data["plan"]["steps"]:
            continue
        for part, title in (("checks", "verified"), ("samples", "sample-data tests")):
            results = data.get(part) or ()
            if results:
                good = all(map(summary.check_passed, results))
                yield Item("after", f"{place}: {title}: {summary.passed(results)} passed", good)
        state = (data.get("run") or {}).get("state")
        if state:
            yield Item("after", f"{place}: {state}", data["run"]["status"] == "done")


def phases(run: record.Record) -> list[tuple[str, list[Item]]]:
    """Return the checklist by phase, without those that are empty."""
    items = of(run)
    found = [(phase, [item for item in items if item.phase == phase]) for phase in ("before", "during", "after")]
    return [(phase, listed) for phase, listed in found if listed]
