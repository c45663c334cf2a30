"""A site over all run records: which version stands where, how old backups, restore tests and rehearsals are, history.

It is one page, made of nothing but the records of this control node, and links to their reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from windlass.records import record
from windlass.schedule.place import label
from windlass.telling import console, lines, summary
from windlass_engine import files
from windlass_engine.scheduled import ledger

#: Runs that are listed; older ones stay in their folders.
MOST_RUNS = 300
#: Runs of one database in its own line of history.
_MOMENTS = 12
Place = tuple[str, str, str]
#: What is known of databases, by host and database.
Facts = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass
class Standing:
    """What the records know of one database; a moment is a run: {at, run_id, text, bad}."""

    environment: str
    host: str
    database: str
    system: str = ""
    version: str = ""
    changed: dict[str, Any] | None = None
    backup: dict[str, Any] | None = None
    tested: dict[str, Any] | None = None
    rehearsed: dict[str, Any] | None = None
    drilled: dict[str, Any] | None = None
    drifted: dict[str, Any] | None = None
    moments: list[dict[str, Any]] = field(default_factory=list)

    def looks(self) -> list[dict[str, Any] | None]:
        """Return the newest moment of each kind that changes nothing."""
        return [self.backup, self.tested, self.rehearsed, self.drilled, self.drifted]


def write(root: Path, folder: Path, now: datetime | None = None) -> Path:
    """Write the site into ``folder``, with copies of the reports, so that it can be moved; return its page."""
    runs = sorted(_records(root), key=lambda run: str(run["started"]), reverse=True)
    known = _copied(root, folder, runs[:MOST_RUNS])
    page = folder / "index.html"
    record.write(page, render(runs, known, now or datetime.now(UTC), _learnt(root)))
    return page


def render(
    runs: list[record.Record], reports: Mapping[str, str], now: datetime, learnt: Mapping[str, Facts] | None = None
) -> str:
    """Return the page; ``reports`` is the link of each run that has a report, newest run first.

    ``learnt`` is what scheduled jobs know of each environment's databases, by the name of its ledger's folder.
    """
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True)
    environment.filters.update(moment=lines.moment, duration=console.duration)
    standing = _with_learnt(_standing(reversed(runs), now), learnt or {}, now)
    return environment.get_template("dashboard.html.j2").render(
        made=now.isoformat(timespec="seconds"),
        standing=standing,
        matrix=_matrix(standing),
        runs=[_run_line(run) for run in runs[:MOST_RUNS]],
        reports=reports,
        more=max(len(runs) - MOST_RUNS, 0),
    )


def told_by(runs: Iterable[record.Record], now: datetime) -> set[str]:
    """Return the runs, out of all from the oldest on, out of which the page tells how databases stand."""
    found = _standing((run for run in runs if run.get("finished")), now)
    moments = ([known.changed, *known.moments, *known.looks()] for known in found)
    return {str(moment["run_id"]) for listed in moments for moment in listed if moment}


def _records(root: Path) -> Iterator[record.Record]:
    for path in (root / ".windlass" / "runs").glob("*/record.json"):
        run = record.read(path)
        if run and run.get("finished"):
            yield run


def _copied(root: Path, folder: Path, runs: Iterable[record.Record]) -> dict[str, str]:
    """Copy the reports that are not there yet; return their links by run."""
    links = {}
    for run in runs:
        source = root / ".windlass" / "runs" / run["run_id"] / "report.html"
        target = folder / "runs" / f"{run['run_id']}.html"
        if source.is_file() and not target.exists():
            record.private_folder(target.parent)
            with files.replacing_bytes(str(target)) as copy:  # as private as the report is
                copy.write(source.read_bytes())
        if target.exists():
            links[run["run_id"]] = f"runs/{target.name}"
    return links


def _standing(runs: Iterable[record.Record], now: datetime) -> list[Standing]:
    """Let every run, oldest first, change what is known of its databases."""
    found: dict[Place, Standing] = {}
    for run in runs:
        if run["check"]:
            continue
        for host, name, data in record.databases(run):
            place = (run["environment"], host, name)
            _learn(found.setdefault(place, Standing(*place)), run, data, now)
    return [found[place] for place in sorted(found)]


def _learnt(root: Path) -> dict[str, Facts]:
    """Return what the ledgers of scheduled jobs hold of databases: the hourly check asks the targets themselves."""
    ledgers = sorted((root / ".windlass" / "schedule").glob("*/ledger.json"))
    return {path.parent.name: ledger.read(str(path.parent))["facts"] for path in ledgers}


def _with_learnt(standing: list[Standing], learnt: Mapping[str, Facts], now: datetime) -> list[Standing]:
    """Lay newer backups over those of the records: timers on targets make some of which no run here tells."""
    found = {(label(known.environment), known.host, known.database): known for known in standing}
    for name, facts in learnt.items():
        for host, databases in facts.items():
            for database, about in databases.items():
                backup = about.get("backup") or {}
                if backup.get("at"):
                    known = found.setdefault((name, host, database), Standing(name, host, database))
                    known.backup = _newer_backup(known.backup, backup, now)
    return sorted(found.values(), key=lambda known: (known.environment, known.host, known.database))


def _newer_backup(known: dict[str, Any] | None, found: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return the backup that a check found on its target, unless a run here has made it, or a newer one."""
    taken = datetime.fromtimestamp(found["at"], UTC).isoformat(timespec="seconds")
    if known and datetime.fromisoformat(known["at"]).timestamp() >= found["at"]:
        return known
    size = f"{console.size(found['bytes'])}, " if found.get("bytes") else ""
    return {"at": taken, "run_id": "", "age": _age(taken, now), "text": f"{size}found on its target", "bad": False}


def _learn(known: Standing, run: record.Record, data: Mapping[str, Any], now: datetime) -> None:
    moment = {"at": run["finished"], "run_id": run["run_id"], "age": _age(run["finished"], now)}
    known.system = summary.system(data) or known.system
    if run.get("drill"):  # on a copy: the database itself is as it was
        text = f"{run.get('scenario') or 'rollback'} {run['status']} in {console.duration(run['duration_ms'])}"
        known.drilled = {**moment, "text": text, "bad": bool(run["exit_code"])}
        return
    drift = data.get("drift") or (data.get("plan") or {}).get("drift")
    if drift:
        known.drifted = {**moment, **_drift(drift)}
    result = data.get("run") or {}
    if result.get("schema_version") is not None and result.get("status") in ("done", "failed", "nothing"):
        known.version = summary.version_after(result)
    if run["verb"] in record.CHANGING and result:
        bad = result["status"] == "failed"
        known.changed = {**moment, "text": f"{run['verb']}: {result['status']}", "bad": bad, "who": run["who"]}
        known.moments = [*known.moments, known.changed][-_MOMENTS:]
    backup = data.get("backup") or {}
    if backup.get("id"):
        known.backup = {**moment, "text": summary.backup_text(backup), "bad": False}
    tested = data.get("restore_test") or {}
    if "duration_ms" in tested:
        text = tested["failed"] or f"restored in {console.duration(tested['duration_ms'])}"
        known.tested = {**moment, "text": text, "bad": bool(tested["failed"])}
    rehearsal = data.get("rehearsal") or {}
    if rehearsal.get("parts"):
        from windlass.records import rehearsals

        text = rehearsal["failed"] or rehearsals.cost(rehearsal)
        known.rehearsed = {**moment, "text": text, "bad": bool(rehearsal["failed"])}


def _drift(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a look at drift says, in words."""
    if found["unknown"]:
        text, bad = f"not known: {found['unknown']}", False
    else:
        count = len(found["changes"])
        text, bad = console.plural(count, "change") if count else "none", bool(count)
    return {"text": f"{text}, accepted", "bad": False} if found.get("accepted") else {"text": text, "bad": bad}


def _matrix(standing: Iterable[Standing]) -> dict[str, Any]:
    """Return systems by environments: the versions in each, and whether they differ between environments."""
    cells: dict[str, dict[str, dict[str, int]]] = {}
    for known in standing:
        versions = cells.setdefault(known.system or "?", {}).setdefault(known.environment, {})
        version = known.version or "not known"
        versions[version] = versions.get(version, 0) + 1
    environments = sorted({environment for row in cells.values() for environment in row})
    return {"environments": environments, "systems": dict(sorted(cells.items()))}


def _run_line(run: record.Record) -> dict[str, Any]:
    names = sorted({name for _, name, _ in record.databases(run)})
    return {
        **{key: run[key] for key in ("run_id", "verb", "environment", "who", "status", "exit_code", "finished")},
        "duration_ms": run["duration_ms"],
        "check": run["check"],
        "where": ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else ""),
        "hosts": len(run["hosts"]),
    }


def _age(at: str, now: datetime) -> str:
    return console.age((now - datetime.fromisoformat(at)).total_seconds())
