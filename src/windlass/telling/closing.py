"""What a playbook says at its end: one view for each verb, as styled lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from windlass.records import record
from windlass.rollback import incidents, tree
from windlass.telling import (
    archives,
    auditing,
    console,
    copies,
    drifting,
    keeping,
    plans,
    rehearsed,
    snapshots,
    standing,
    summary,
    tried,
)
from windlass.telling.lines import Line, Lines, host_errors

#: Words of the steps between which the application is away.
_AWAY, _RETURNED = "Stop what runs by the clock", "Clear caches"


def lines(run: record.Record, *, front: bool = False) -> Lines:
    """Yield the closing lines of a run.  ``front``: the front door is there and asks or hints by itself."""
    yield from _VIEWS.get(run["verb"], tried.changes)(run)
    yield from _failures(run)
    yield from _contained(run)
    yield from _incident(run)
    if run["verb"] == "plan" and not front:
        yield from plans.next_command(run)


def _failures(run: record.Record) -> Lines:
    for host, database, state, following in summary.failures(run):
        yield Line("")
        if state:
            yield Line(f"{host} {database}: {state}", "bad")
        if following:
            yield Line(f"  next: {following}")


def _contained(run: record.Record) -> Lines:
    """Say that the application is away, and what lets it return, where a rollback failed in between."""
    steps = " ".join(str(item["step"]) for item in run["timeline"])
    if run["exit_code"] and not run["drill"] and _AWAY in steps and _RETURNED not in steps:
        yield Line("The application stays contained: mend the cause and give the same command again,", "warn")
        page = f"invoke runbook {run['scenario']} --env {run['environment']}"
        yield Line(f"  or let it return by hand, in the order that {page} shows")


def _incident(run: record.Record) -> Lines:
    """Say what a rollback lost, what comes next, and where its record is."""
    for number, text in enumerate(incidents.lines(run)):
        yield from () if number else (Line(""),)
        yield Line(text, "warn" if ": LOST: " in text else "")


def ending(run: record.Record, report: object) -> str:
    """Return the last line: how it ended, how long it took, and where the report is."""
    words = {"done": "Done", "ok": "Done", "nothing": "Nothing to do", "check": "Nothing was changed: a dry run"}
    word = words.get(run["status"], run["status"].upper())
    code = f", exit {run['exit_code']}" if run["exit_code"] else ""
    return f"\n{word} in {console.duration(run['duration_ms'])}{code}.  Report: {report}"


def ending_style(run: record.Record) -> str:
    """Return the style of the last line."""
    return "bad" if run["exit_code"] else "good"


def _kept(part: str, told: Callable[[str, Mapping[str, Any]], keeping.Told]) -> Callable[[record.Record], Lines]:
    """Return the view of a verb that tells a few lines of each database."""

    def view(run: record.Record) -> Lines:
        for host, name, data in record.databases(run):
            if part in data:
                yield Line("")
                yield from (Line(*line) for line in told(f"{host} {name}", data[part]))
        yield from host_errors(run)

    return view


_VIEWS: Mapping[str, Callable[[record.Record], Lines]] = {
    "plan": plans.plan,
    "status": standing.status,
    "history": standing.history,
    "doctor": tried.doctor_findings,
    "verify": tried.verify,
    "prove": tried.prove,
    "maintain": tried.maintain,
    "backup": copies.backup,
    "backups": copies.backups,
    "prune": _kept("retention", keeping.retention_lines),
    "offsite": _kept("offsite", keeping.offsite_lines),
    "rollback_options": tree.lines,
    "archives": _kept("archives", archives.lines),
    "purge_archive": _kept("archives", archives.lines),
    "put_back_archive": _kept("archives", archives.lines),
    "download": _kept("download", keeping.download_lines),
    "restore_test": _kept("restore_test", keeping.test_lines),
    "rehearse": _kept("rehearsal", rehearsed.lines),
    "restore": copies.restore,
    "drift": _kept("drift", drifting.lines),
    "audit": _kept("audit", auditing.lines),
    "snapshot": _kept("snapshot", snapshots.lines),
    "schedule": standing.schedule,
    "schedule_status": standing.timers,
}
