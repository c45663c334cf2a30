"""The HTML report of a run: one file, nothing external, every value escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from windlass.gate import told
from windlass.records import record, rehearsals
from windlass.report import checklist, picture, timeline
from windlass.telling import console, lines, plans, rehearsed, risks, sizes, summary

#: Characters of one SQL text in a report; browsers choke on dumps.
LONGEST_TEXT = 100_000
_UNITS = re.compile(r"(\d) (B|kB|MB|GB|TB|ms|s|min|h|d)\b")
STATUS_WORDS = {
    "done": "done",
    "ok": "done",
    "nothing": "nothing to do",
    "check": "dry run",
    "failed": "failed",
    "interrupted": "interrupted",
}


def render(run: record.Record) -> str:
    """Return a closed record as an HTML page."""
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True)
    environment.filters.update(duration=console.duration, size=console.size, moment=lines.moment, back=plans.back)
    environment.filters.update(blocking=rehearsed.blocking, grown=rehearsed.grown, unknown=rehearsed.unknown)
    environment.filters.update(temporary=rehearsed.temporary, units=units)
    return environment.get_template("report.html.j2").render(view(run))


def units(text: Any) -> str:
    """Return a text in which no line ends between a number and its unit."""
    return _UNITS.sub("\\1\N{NO-BREAK SPACE}\\2", str(text))


def view(run: record.Record) -> dict[str, Any]:
    """Return what the template shows; it decides nothing by itself."""
    return {
        "run": run,
        "word": STATUS_WORDS.get(run["status"], run["status"]),
        "tone": _tone(run),
        "errors": [(host, _full(error)) for host, error in record.errors(run)],
        "todo": _todo(run),
        "phases": checklist.phases(run),
        "gate": [line for line in told.checklist(run["gate"]) if line[0]],
        **_summary(summary.rows(run)),
        "databases": [_database(run, *found) for found in record.databases(run)],
        "texts": list(_texts(run)),
        "size_headings": [heading.capitalize() for heading in sizes.HEADINGS],
        "risk_headings": [heading.capitalize() for heading in risks.HEADINGS],
        "notes": [(host, note) for host, part in run["hosts"].items() for note in part["notes"]],
    }


def _summary(rows: list[summary.Row]) -> dict[str, Any]:
    """Return the closing table without the columns that are empty in every row."""
    cells = [summary.cells(row) for row in rows]
    kept = [column for column in range(len(summary.HEADINGS)) if any(line[column] for line in cells)]
    return {
        "headings": [summary.HEADINGS[column].capitalize() for column in kept],
        "rows": [([line[column] for column in kept], row.bad) for line, row in zip(cells, rows, strict=True)],
    }


def _tone(run: record.Record) -> str:
    if run["exit_code"]:
        return "bad"
    return "idle" if run["status"] in ("nothing", "check") else "good"


def _full(error: dict[str, Any]) -> dict[str, Any]:
    detail = error.get("detail") or {}
    facts = {key: value for key, value in detail.items() if key not in ("diff", "ssh") and value not in ("", None)}
    return {
        "code": error["code"],
        "message": error["message"],
        "hint": error.get("hint", ""),
        "where": {key: value for key, value in (error.get("where") or {}).items() if value},
        "diff": _text(detail.get("diff", "")),
        "facts": {key: _text(value) for key, value in facts.items()},
    }


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _todo(run: record.Record) -> list[tuple[str, str]]:
    found = [(f"{host} {database}: {state}", following) for host, database, state, following in summary.failures(run)]
    untouched = [host for host, part in run["hosts"].items() if part["status"] == "untouched"]
    if untouched:
        found.append((f"Left untouched because a host before failed: {', '.join(untouched)}", ""))
    if run["status"] == "done" and run["verb"] in record.CHANGING:
        watch = "Watch it for a day: its standing checks, who waits for whom, and the application's own errors."
        found.append((watch, f"invoke verify --env {run['environment']}"))
    if run["status"] == "interrupted":
        found.append(("What had begun on a target goes on there.", f"invoke status --env {run['environment']}"))
    return found


def _database(run: record.Record, host: str, name: str, data: dict[str, Any]) -> dict[str, Any]:
    events = [event for event in run["events"] if event["host"] == host and event.get("database") == name]
    return {
        "host": host,
        "name": name,
        "plan": data.get("plan"),
        "run": data.get("run"),
        **_risk(data.get("plan") or {}),
        "sizes": sizes.rows(data),
        "backup": data.get("backup"),
        "restore": data.get("restore"),
        "queries": data.get("queries") or (data.get("rehearsal") or {}).get("queries"),
        "rehearsal": _rehearsal(data.get("rehearsal") or {}),
        "groups": [("Checks", _checks(data, "checks")), ("Sample-data tests", _checks(data, "samples"))],
        "timeline": timeline.bars(events, data),
        "waits": timeline.waits(events),
    }


def _risk(plan: dict[str, Any]) -> dict[str, Any]:
    """Return a plan's risk as a table, and what lint said."""
    steps = plan.get("steps") or ()
    told = risks.summary(plan["risk"]) if plan.get("risk") else ""
    findings = [risks.finding_text(item) for step in steps for item in step.get("findings") or ()]
    return {"risk": told, "risk_rows": list(risks.rows(plan)) if steps else [], "findings": findings}


def _rehearsal(found: dict[str, Any]) -> dict[str, Any]:
    """Return a rehearsal that was held, with its cost in words and its course as a picture."""
    if not found.get("parts"):
        return {}
    return {**found, "cost": rehearsals.cost(found), "picture": picture.of(found)}


def _texts(run: record.Record) -> Iterator[dict[str, Any]]:
    """Yield each SQL text once, the beginning of a very long one, with the names of what it belongs to."""
    names: dict[str, dict[str, None]] = {digest: {} for digest in run["texts"]}
    for _, _, data in record.databases(run):
        for item in (data.get("plan") or {}).get("steps") or ():
            names.get(item.get("text", ""), {})[item["name"]] = None
        for item in (data.get("run") or {}).get("sql") or ():
            names.get(item.get("text", ""), {})[item["migration"]] = None
    for digest, text in run["texts"].items():
        shown = text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT]
        left = len(text.encode()) - len(shown.encode()) if shown is not text else 0
        yield {"digest": digest, "names": list(names[digest]), "shown": shown, "left": left}


def _checks(data: dict[str, Any], part: str) -> list[dict[str, Any]]:
    return [{**result, "passed": summary.check_passed(result)} for result in data.get(part) or ()]
