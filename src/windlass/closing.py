"""What a playbook says at its end: one view for each verb, as styled lines."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from windlass import (
    archives,
    auditing,
    console,
    doctor,
    drifting,
    keeping,
    record,
    rehearsed,
    risks,
    snapshots,
    summary,
    ways,
)
from windlass.gate.told import checklist
from windlass.schedule import showing
from windlass_engine.errors import WindlassError

STATUS = ("HOST", "DATABASE", "SYSTEM", "SERVER", "AT", "PENDING", "ATTENTION", "LAST RUN", "BACKUP", "BUSY")
ATTENTION = {
    "changed": "edited",
    "unknown": "unknown",
    "partial": "half done",
    "out_of_order": "out of order",
}


#: Events whose detail is news, and not an error.
TELLING = frozenset({"maintained", "glass_broken"})


class Line(NamedTuple):
    """One line of output; ``style`` is "", head, good, bad, warn or dim."""

    text: str
    style: str = ""


Lines = Iterator[Line]


def lines(run: record.Record, *, front: bool = False) -> Lines:
    """Yield the closing lines of a run.  ``front``: the front door is there and asks or hints by itself."""
    yield from _VIEWS.get(run["verb"], _changes)(run)
    yield from _failures(run)
    if run["verb"] == "plan" and not front:
        yield from next_command(run)


def _table(headings: Sequence[str], rows: Sequence[Sequence[Any]], bad: Sequence[bool] = ()) -> Lines:
    if not rows:
        return
    heading, *body = console.table(headings, rows)
    yield Line("")
    yield Line(heading, "dim")
    for index, text in enumerate(body):
        yield Line(text, "bad" if bad and bad[index] else "")


def _changes(run: record.Record) -> Lines:
    for host, database, data in record.databases(run):
        items = (data.get("run") or {}).get("sql") or ()
        prepared = [{"migration": item["migration"], "sql": record.sql_of(run, item)} for item in items]
        yield from _dry_run_sql(host, database, {"sql": prepared})
    found = summary.rows(run)
    yield from _table(summary.HEADINGS, [summary.cells(row) for row in found], [row.bad for row in found])


def _dry_run_sql(host: str, database: str, result: Mapping[str, Any]) -> Lines:
    """Yield the SQL that would run, under the name of each migration."""
    for migration, items in groupby(result.get("sql") or (), key=lambda item: item["migration"]):
        yield Line("")
        yield Line(f"-- {host} {database}: {migration}", "head")
        for item in items:
            text = str(item["sql"]).strip()
            ended = text if text.endswith((";", "\\.")) else f"{text};"
            yield from (Line("  " + console.printable(line.expandtabs(4))) for line in ended.splitlines())


def _plan(run: record.Record) -> Lines:
    for host, database, data in record.databases(run):
        if "plan" in data:
            yield from plan_lines(host, database, data["plan"])
    yield from (Line(*told) for told in checklist(run["gate"]))
    yield from _host_errors(run)


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
        yield Line(f"  warning: {console.printable(warning)}", "warn")


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


def _status(run: record.Record) -> Lines:
    found = [row for host, part in run["hosts"].items() for row in _status_rows(host, part)]
    yield from _table(STATUS, [cells for cells, _ in found], [bool(error) for _, error in found])
    for host, name, data in record.databases(run):
        if (data.get("info") or {}).get("backup_overdue"):
            yield Line(f"{host} {name}: {data['info']['backup_overdue']}", "bad")
    for cells, error in found:
        if error and cells[1]:  # a host's own failure was told when it came
            place = {"host": cells[0], "database": cells[1], **(error.get("where") or {})}
            yield Line("")
            yield from (Line(text, "bad") for text in failure({**error, "where": place}))


def _status_rows(host: str, part: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any] | None]]:
    """Yield (cells, error) of each database, or of a host that was never seen."""
    if part["error"] and not part["databases"]:
        yield (host, "", "", "", "", "", "UNREACHABLE", "", "", ""), part["error"]
    for name, data in part["databases"].items():
        if "info" in data:
            yield (host, name, *_status_cells(data["info"])), data["info"].get("error")


def _status_cells(info: Mapping[str, Any]) -> tuple[str, ...]:
    system = str(info.get("system", ""))
    if info.get("error"):
        return (system, "", "", "", "UNREACHABLE", "", "", "")
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


def moment(at: Any) -> str:
    """Return an ISO time as ``2025-11-21 04:05:06``."""
    return str(at or "")[:19].replace("T", " ")


def _history(run: record.Record) -> Lines:
    for host, database, data in record.databases(run):
        events = data.get("history")
        if events is None:
            continue
        yield Line("")
        yield Line(f"{host} {database}", "head")
        headings = ("WHEN (UTC)", "EVENT", "NAME", "TIME", "WHO", "FROM", "RUN", "DETAIL")
        yield from map(Line, console.table(headings, [_history_cells(event) for event in events]))
    yield from _host_errors(run)


def _history_cells(event: Mapping[str, Any]) -> tuple[Any, ...]:
    spent = console.duration(event["duration_ms"]) if event.get("duration_ms") else ""
    plain = [event.get(key) or "" for key in ("who", "origin", "run_id")]
    detail = event.get("detail", "") if event.get("event") in TELLING else event.get("error") or ""
    return (moment(event.get("at")), event.get("event", ""), event.get("migration") or "", spent, *plain, detail)


def _doctor(run: record.Record) -> Lines:
    for host, part in run["hosts"].items():
        yield Line("")
        yield Line(host, "head")
        for database, data in part["databases"].items():
            yield from (Line(*told) for told in doctor.lines(database, data.get("doctor") or ()))


def _verify(run: record.Record) -> Lines:
    for host, database, data in record.databases(run):
        results = [*(data.get("checks") or ()), *(data.get("samples") or ())]
        yield Line("")
        passed = f"{summary.passed(results)} passed" if results else "the project has no checks"
        yield Line(f"{host} {database}: {passed}", "head")
        for result in results:
            mark, style = ("ok  ", "good") if summary.check_passed(result) else ("FAIL", "bad")
            yield Line(f"  {mark}  {result['name']}  {console.duration(result.get('duration_ms', 0))}", style)
    yield from _host_errors(run)


def _prove(run: record.Record) -> Lines:
    for host, database, data in record.databases(run):
        if data.get("proof"):
            yield Line("")
            yield from _proof(f"{host} {database}", data["proof"])
    yield from _host_errors(run)


def _proof(place: str, proof: Mapping[str, Any]) -> Lines:
    """Yield a table of verdicts, and below it what was found wrong, object by object."""
    if "intended" in proof:
        yield Line(f"{place}: would prove {proof['system']}: {', '.join(proof['intended'])}")
        return
    spent = console.duration(proof["duration_ms"])
    yield Line(f"{place}: {proof['system']} on a scratch database of {proof['server_version']}, {spent}", "head")
    words = {True: "yes", False: "NO", None: ""}
    rows = [
        (
            v["kind"], v["name"], words[v["idempotent"]],
            f"irreversible: {v['irreversible']}" if v["irreversible"] else words[v["reversible"]],
            words[v["verified"]], console.duration(v["duration_ms"]),
        )
        for v in proof["verdicts"]
    ]  # fmt: skip
    headings = ("WHAT", "NAME", "IDEMPOTENT", "REVERSIBLE", "VERIFIED", "TIME")
    yield from _table(headings, rows, [not v["proved"] for v in proof["verdicts"]])
    for verdict in proof["verdicts"]:
        for finding in verdict["findings"]:
            yield Line("")
            yield Line(f"{verdict['name']}: {finding['what']}", "bad")
            yield from (Line(f"  {console.printable(line)}") for text in finding["lines"] for line in text.splitlines())


def _maintain(run: record.Record) -> Lines:
    found = [
        (host, name, job)
        for host, name, data in record.databases(run)
        for job in (data.get("maintenance") or {}).get("jobs") or ()
    ]
    rows = [(host, name, *_job_cells(job)) for host, name, job in found]
    headings = ("HOST", "DATABASE", "JOB", "RESULT", "SCHEDULE", "COUNT", "PASSES", "TIME", "NOTE")
    yield from _table(headings, rows, [job["status"] == "failed" for _, _, job in found])
    if not (found or any(record.errors(run))):
        yield Line("no maintenance job is asked for here")
    for host, name, job in found:
        if job.get("sql"):
            yield from _dry_run_sql(host, name, {"sql": [{"migration": job["name"], "sql": job["sql"]}]})
    yield from _host_errors(run)


def _job_cells(job: Mapping[str, Any]) -> tuple[Any, ...]:
    if job["status"] == "check":
        return (job["name"], "would run", job["schedule"], "", "", "", "")
    told = [row for row in job["answer"] if any(isinstance(value, str) for value in row)]
    answer = "; ".join(" ".join(map(str, row)) for row in told)
    spent = console.duration(job["duration_ms"])
    return (job["name"], job["status"], "", job["rows"], job["passes"], spent, job["note"] or answer)


def _backup(run: record.Record) -> Lines:
    found = [(host, name, data["backup"]) for host, name, data in record.databases(run) if "backup" in data]
    rows = [
        (host, name, b.get("id", ""), summary.backup_text(b), b.get("path", ""), b.get("skipped", ""))
        for host, name, b in found
    ]
    yield from _table(("HOST", "DATABASE", "BACKUP", "SIZE", "WHERE", "WHY NOT"), rows)
    for host, name, made in found:
        for text in made.get("warnings") or ():
            yield Line(f"{host} {name}: {console.printable(text)}", "warn")
    for host, name, data in record.databases(run):
        for part, told in (("offsite", keeping.offsite_lines), ("retention", keeping.retention_lines)):
            if part in data and not data[part].get("skipped"):
                yield from (Line(*line) for line in told(f"{host} {name}", data[part]))
    yield from _host_errors(run)


def _backups(run: record.Record) -> Lines:
    found = [
        (host, name, entry)
        for host, name, data in record.databases(run)
        for entry in (data.get("backups") or {}).get("entries") or ()
    ]
    rows = [keeping.catalogue_row(*each) for each in found]
    yield from _table(keeping.CATALOGUE, rows, [keeping.is_bad(entry) for _, _, entry in found])
    for host, name, data in record.databases(run):
        if "backups" in data and not data["backups"]["entries"]:
            yield Line(f"{host} {name}: there is no backup", "bad")
    yield from _host_errors(run)


def _kept(part: str, told: Callable[[str, Mapping[str, Any]], keeping.Told]) -> Callable[[record.Record], Lines]:
    """Return the view of a verb that tells a few lines of each database."""

    def view(run: record.Record) -> Lines:
        for host, name, data in record.databases(run):
            if part in data:
                yield Line("")
                yield from (Line(*line) for line in told(f"{host} {name}", data[part]))
        yield from _host_errors(run)

    return view


def _schedule(run: record.Record) -> Lines:
    """Yield what an installation came to, and the timers that stand."""
    for host, _, data in record.databases(run):
        if data.get("timers"):
            yield Line("")
            yield from (Line(*told) for told in showing.installed(host, data["timers"]))
    yield from _timers(run)


def _timers(run: record.Record) -> Lines:
    """Yield a table of timers with the last result and the next run of each."""
    found = [
        (host, entry)
        for host, _, data in record.databases(run)
        for entry in (data.get("timers") or {}).get("jobs") or ()
        if "timer" in entry
    ]
    yield from _table(showing.HEADINGS, [showing.row(*each) for each in found], [showing.is_bad(e) for _, e in found])
    if run["verb"] == "schedule_status" and not found and not run["exit_code"]:
        yield Line(f"no timer of {run['environment']} is installed here: invoke schedule", "warn")
    yield from _host_errors(run)


def _restore(run: record.Record) -> Lines:
    for host, database, data in record.databases(run):
        if data.get("restore"):
            yield Line("")
            yield from _restored(f"{host} {database}", data["restore"])
    yield from _host_errors(run)


def _restored(place: str, restored: Mapping[str, Any]) -> Lines:
    backup = f" from backup {restored['backup']}" if restored.get("backup") else ""
    if restored.get("skipped"):
        yield Line(f"{place}: would stand in {restored['into']}{backup} ({restored['skipped']})")
        yield from (Line(f"  {console.printable(text)}") for text in restored.get("outlook") or ())
        return
    yield Line(f"{place}: stands in {restored['into']}{backup}", "good")
    if restored.get("only"):
        yield Line(f"  with the rows of these tables only: {console.printable(', '.join(restored['only']))}")
    if restored.get("tables") is not None:
        yield Line(f"  {console.plural(restored['tables'], 'table')}, {restored.get('total_rows', 0)} rows, compared")
    if restored.get("kept_as"):
        yield Line(f"  what stood in its place is kept as {restored['kept_as']}", "warn")
    for difference in restored.get("differences") or ():
        yield Line(f"  differs: {console.printable(difference)}", "warn")


def _host_errors(run: record.Record) -> Lines:
    """Yield a reminder for each of many hosts that failed: the failure itself was shown when it came."""
    if len(run["hosts"]) < 2:
        return
    bad = [(host, part) for host, part in run["hosts"].items() if part["error"]]
    yield from (Line(f"{host}: {part['status']}: {part['error']['code']}", "bad") for host, part in bad)


def _failures(run: record.Record) -> Lines:
    for host, database, state, following in summary.failures(run):
        yield Line("")
        if state:
            yield Line(f"{host} {database}: {state}", "bad")
        if following:
            yield Line(f"  next: {following}")


def failure(error: Mapping[str, Any]) -> Iterator[str]:
    """Yield an error for people: where, what, what next, and the difference where there is one."""
    text = str(WindlassError.from_wire({"hint": "", "where": {}, "detail": {}, **error}))
    first, *others = text.splitlines()
    yield f"FAILED  {console.printable(first)}"
    yield from (f"  {console.printable(line.removeprefix('  '))}" for line in others)  # none passes for a line of ours
    difference = (error.get("detail") or {}).get("diff")
    if difference:
        texts = difference.splitlines() if isinstance(difference, str) else difference
        yield from (f"    {console.printable(line)}" for line in texts)


def repetition(error: Mapping[str, Any], first: str) -> str:
    """Return the line for a failure that is the same as an earlier one of the host ``first``, but for the place."""
    where = error.get("where") or {}
    place = ", ".join(f"{key} {where[key]}" for key in ("host", "database") if where.get(key))
    return f"FAILED  {console.printable(place)}: the same as on {first}"


def ending(run: record.Record, report: object) -> str:
    """Return the last line: how it ended, how long it took, and where the report is."""
    words = {"done": "Done", "ok": "Done", "nothing": "Nothing to do", "check": "Nothing was changed: a dry run"}
    word = words.get(run["status"], run["status"].upper())
    code = f", exit {run['exit_code']}" if run["exit_code"] else ""
    return f"\n{word} in {console.duration(run['duration_ms'])}{code}.  Report: {report}"


def ending_style(run: record.Record) -> str:
    """Return the style of the last line."""
    return "bad" if run["exit_code"] else "good"


_VIEWS: Mapping[str, Callable[[record.Record], Lines]] = {
    "plan": _plan,
    "status": _status,
    "history": _history,
    "doctor": _doctor,
    "verify": _verify,
    "prove": _prove,
    "maintain": _maintain,
    "backup": _backup,
    "backups": _backups,
    "prune": _kept("retention", keeping.retention_lines),
    "offsite": _kept("offsite", keeping.offsite_lines),
    "rollback_options": _kept("ways", ways.lines),
    "archives": _kept("archives", archives.lines),
    "purge_archive": _kept("archives", archives.lines),
    "download": _kept("download", keeping.download_lines),
    "restore_test": _kept("restore_test", keeping.test_lines),
    "rehearse": _kept("rehearsal", rehearsed.lines),
    "restore": _restore,
    "drift": _kept("drift", drifting.lines),
    "audit": _kept("audit", auditing.lines),
    "snapshot": _kept("snapshot", snapshots.lines),
    "schedule": _schedule,
    "schedule_status": _timers,
}
