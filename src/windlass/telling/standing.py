"""How databases and timers stand, and what was done to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from windlass.records import record
from windlass.schedule import showing
from windlass.telling import console, summary
from windlass.telling.lines import Line, Lines, failure, host_errors, moment, table

STATUS = ("HOST", "DATABASE", "SYSTEM", "SERVER", "AT", "PENDING", "ATTENTION", "LAST RUN", "BACKUP", "BUSY")


ATTENTION = {
    "changed": "edited",
    "unknown": "unknown",
    "partial": "half done",
    "out_of_order": "out of order",
}


#: What to call a database of which nothing is known, by the error's code.
_TROUBLE = {"database_unreachable": "UNREACHABLE", "connection_lost": "UNREACHABLE", "login_refused": "LOGIN REFUSED"}
#: Events whose detail is news, and not an error.
TELLING = frozenset({"maintained", "glass_broken"})


def status(run: record.Record) -> Lines:
    """Yield where each database stands."""
    found = [row for host, part in run["hosts"].items() for row in _status_rows(host, part)]
    yield from table(STATUS, [cells for cells, _ in found], [bool(error) for _, error in found])
    for host, name, data in record.databases(run):
        if (data.get("info") or {}).get("backup_overdue"):
            yield Line(f"{host} {name}: {data['info']['backup_overdue']}", "bad")
    yield from _database_failures(run)


def _database_failures(run: record.Record) -> Lines:
    """Yield why nothing is known of a database; a host's own failure was told when it came."""
    for host, name, data in record.databases(run):
        error = (data.get("info") or {}).get("error")
        if error:
            place = {"host": host, "database": name, **(error.get("where") or {})}
            yield Line("")
            yield from (Line(text, "bad") for text in failure({**error, "where": place}))


def _status_rows(host: str, part: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any] | None]]:
    """Yield (cells, error) of each database, or of a host that was never seen."""
    if part["error"] and not part["databases"]:
        yield (host, "", "", "", "", "", part["status"].upper(), "", "", ""), part["error"]
    for name, data in part["databases"].items():
        if "info" in data:
            yield (host, name, *_status_cells(data["info"])), data["info"].get("error")


def _status_cells(info: Mapping[str, Any]) -> tuple[str, ...]:
    system = str(info.get("system", ""))
    if info.get("error"):
        return (system, "", "", "", _TROUBLE.get(info["error"]["code"], "FAILED"), "", "", "")
    return (
        system,
        f"{info.get('server_version', '')}{' read-only' if info.get('read_only') else ''}",
        info.get("schema_version") or summary.EMPTY,
        str(len(info.get("pending") or ())),
        attention(info),
        _last_run(info.get("last_run")),
        f"{console.age(info['backup']['age_s'])} old" if info.get("backup") else "none",
        _busy(info),
    )


def attention(info: Mapping[str, Any]) -> str:
    """Return what is not as it should be: migrations by kind of trouble, and maintenance jobs that nobody ran."""
    found = [f"{len(info[key])} {word}" for key, word in ATTENTION.items() if info.get(key)]
    return ", ".join([*found, *(f"{name} overdue" for name in info.get("overdue") or ())])


def _last_run(last: Mapping[str, Any] | None) -> str:
    if not last:
        return ""
    by = f" by {last['who']}" if last.get("who") else ""
    return f"{moment(last.get('at'))}{by}, {last.get('status', '')}"


def _busy(info: Mapping[str, Any]) -> str:
    busy = info.get("running") or info.get("lock")
    if not busy:
        return ""
    return str(busy.get("run_id") or busy.get("holder") or f"pid {busy.get('pid')}")


def history(run: record.Record) -> Lines:
    """Yield each database's log, newest last."""
    for host, database, data in record.databases(run):
        events = data.get("history")
        if events is None or (data.get("info") or {}).get("error"):
            continue
        yield Line("")
        yield Line(f"{host} {database}", "head")
        headings = ("WHEN (UTC)", "EVENT", "NAME", "TIME", "WHO", "FROM", "RUN", "DETAIL")
        yield from map(Line, console.table(headings, [_history_cells(event) for event in events]))
    yield from _database_failures(run)
    yield from host_errors(run)


def _history_cells(event: Mapping[str, Any]) -> tuple[Any, ...]:
    spent = console.duration(event["duration_ms"]) if event.get("duration_ms") else ""
    plain = [event.get(key) or "" for key in ("who", "origin", "run_id")]
    detail = event.get("detail", "") if event.get("event") in TELLING else event.get("error") or ""
    return (moment(event.get("at")), event.get("event", ""), event.get("migration") or "", spent, *plain, detail)


def schedule(run: record.Record) -> Lines:
    """Yield what an installation came to, and the timers that stand."""
    for host, _, data in record.databases(run):
        if data.get("timers"):
            yield Line("")
            yield from (Line(*told) for told in showing.installed(host, data["timers"]))
    yield from timers(run)


def timers(run: record.Record) -> Lines:
    """Yield a table of timers with the last result and the next run of each."""
    found = [
        (host, entry)
        for host, _, data in record.databases(run)
        for entry in (data.get("timers") or {}).get("jobs") or ()
        if "timer" in entry
    ]
    yield from table(showing.HEADINGS, [showing.row(*each) for each in found], [showing.is_bad(e) for _, e in found])
    if run["verb"] == "schedule_status" and not found and not run["exit_code"]:
        yield Line(f"no timer of {run['environment']} is installed here: invoke schedule", "warn")
    yield from host_errors(run)
