"""What was run or tried: plans carried out, checks, proofs, maintenance jobs, the doctor's findings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.records import record
from windlass.telling import console, doctor, sizes, summary
from windlass.telling.lines import Line, Lines, dry_run_sql, host_errors, table


def changes(run: record.Record) -> Lines:
    """Yield what a run carried out, or would, and the closing table."""
    for host, database, data in record.databases(run):
        items = (data.get("run") or {}).get("sql") or ()
        prepared = [{"migration": item["migration"], "sql": record.sql_of(run, item)} for item in items]
        yield from dry_run_sql(host, database, {"sql": prepared})
    found = summary.rows(run)
    yield from table(summary.HEADINGS, [summary.cells(row) for row in found], [row.bad for row in found])
    for host, database, data in record.databases(run):
        yield from _sizes(f"{host} {database}", sizes.rows(data))


def _sizes(place: str, rows: list[sizes.Row]) -> Lines:
    """Yield how large the tables of a run were and are."""
    if rows:
        yield Line("")
        yield Line(f"{place}: table sizes", "head")
        yield from (Line(text) for text in console.table(sizes.HEADINGS, rows[: sizes.MOST], indent="  "))
    if len(rows) > sizes.MOST:
        yield Line(f"  and {len(rows) - sizes.MOST} more, in the report")


def doctor_findings(run: record.Record) -> Lines:
    """Yield what the doctor found on each host."""
    for host, part in run["hosts"].items():
        yield Line("")
        yield Line(host, "head")
        for database, data in part["databases"].items():
            yield from (Line(*told) for told in doctor.lines(database, data.get("doctor") or ()))


def verify(run: record.Record) -> Lines:
    """Yield each check and sample-data test."""
    for host, database, data in record.databases(run):
        results = [*(data.get("checks") or ()), *(data.get("samples") or ())]
        yield Line("")
        nothing = "the project has no checks" if "checks" in data else "not verified"
        passed = f"{summary.passed(results)} passed" if results else nothing
        yield Line(f"{host} {database}: {passed}", "head")
        for result in results:
            mark, style = ("ok  ", "good") if summary.check_passed(result) else ("FAIL", "bad")
            yield Line(f"  {mark}  {result['name']}  {console.duration(result.get('duration_ms', 0))}", style)
    yield from host_errors(run)


def prove(run: record.Record) -> Lines:
    """Yield what was proved of each system."""
    for host, database, data in record.databases(run):
        if data.get("proof"):
            yield Line("")
            yield from _proof(f"{host} {database}", data["proof"])
    yield from host_errors(run)


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
    yield from table(headings, rows, [not v["proved"] for v in proof["verdicts"]])
    for verdict in proof["verdicts"]:
        for finding in verdict["findings"]:
            yield Line("")
            yield Line(f"{verdict['name']}: {finding['what']}", "bad")
            yield from (Line(f"  {console.printable(line)}") for text in finding["lines"] for line in text.splitlines())


def maintain(run: record.Record) -> Lines:
    """Yield each maintenance job."""
    found = [
        (host, name, job)
        for host, name, data in record.databases(run)
        for job in (data.get("maintenance") or {}).get("jobs") or ()
    ]
    rows = [(host, name, *_job_cells(job)) for host, name, job in found]
    headings = ("HOST", "DATABASE", "JOB", "RESULT", "SCHEDULE", "COUNT", "PASSES", "TIME", "NOTE")
    yield from table(headings, rows, [job["status"] == "failed" for _, _, job in found])
    if not (found or any(record.errors(run))):
        yield Line("no maintenance job is asked for here")
    for host, name, job in found:
        if job.get("sql"):
            yield from dry_run_sql(host, name, {"sql": [{"migration": job["name"], "sql": job["sql"]}]})
    yield from host_errors(run)


def _job_cells(job: Mapping[str, Any]) -> tuple[Any, ...]:
    if job["status"] == "check":
        return (job["name"], "would run", job["schedule"], "", "", "", "")
    told = [row for row in job["answer"] if any(isinstance(value, str) for value in row)]
    answer = "; ".join(" ".join(map(str, row)) for row in told)
    spent = console.duration(job["duration_ms"])
    return (job["name"], job["status"], "", job["rows"], job["passes"], spent, job["note"] or answer)
