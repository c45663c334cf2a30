"""From the record of a scheduled run to how it ended and what was learnt of the databases.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from windlass.records import record
from windlass.schedule.jobs import Job
from windlass.telling import console
from windlass_engine.errors import CODES
from windlass_engine.keeping.catalogue import taken_at
from windlass_engine.scheduled.account import Ending

#: What makes a database's state a failure of the look at it: key of its info, code, words.
_WRONG = (
    ("changed", "checksum_changed", "edited after it was applied"),
    ("unknown", "journal_unknown", "applied, but not in the project"),
    ("partial", "migration_failed", "half done"),
    ("overdue", "maintenance_failed", "overdue"),
)
_DRIFT = ("changed", "unknown", "partial")
Facts = dict[str, dict[str, dict[str, Any]]]


def judge(job: Job, run: record.Record) -> Ending:
    """Return a run's outcome; one that skipped a database, or found one that is not as it should be, is no success."""
    found = list(_problems(job, run))
    known, seen = facts(run), standing(job, run)
    if found:
        code, message = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return Ending(CODES[code][0], message + more, run["run_id"], known, seen)
    if run["exit_code"]:
        return Ending(run["exit_code"], "was interrupted", run["run_id"], known, seen)
    return Ending(0, _well(job, run), run["run_id"], known, seen)


def _problems(job: Job, run: record.Record) -> Iterator[tuple[str, str]]:
    """Yield (code, one line) of all that keeps a run from being a success."""
    for host, error in record.errors(run):
        where = error.get("where") or {}
        place = " ".join(filter(None, [str(where.get("host") or host), str(where.get("database") or "")]))
        yield error["code"], console.printable(f"{place}: {error['message'].splitlines()[0]}".removeprefix(": "))
    for host, name, data in record.databases(run):
        part = data.get(job.part) or {}
        if job.part and (not part or part.get("skipped")):
            yield "run_incomplete", f"{host} {name} was skipped: {part.get('skipped') or 'nothing is known of it'}"
        for key, code, words in _WRONG if job.part == "info" else ():
            if part.get(key):
                yield code, f"{host} {name}: {words}: {', '.join(part[key])}"
    if job.part and not any(data.get(job.part) for _, _, data in record.databases(run)) and not run["exit_code"]:
        yield "run_incomplete", "there was no database to work on"


def _well(job: Job, run: record.Record) -> str:
    """Return a success in words."""
    count = console.plural(sum(1 for _ in record.databases(run)), "database")
    saved = sum((data.get("backup") or {}).get("bytes") or 0 for _, _, data in record.databases(run))
    size = f", {console.size(saved)}" if job.part == "backup" else ""
    return f"{count}{size} in {console.duration(run['duration_ms'])}"


def gave_way(run: record.Record) -> bool:
    """Return whether all that went wrong is that a person wanted what the run worked on."""
    found = [error for _, error in record.errors(run)]
    return bool(found) and all((error.get("detail") or {}).get("gave_way") for error in found)


def facts(run: record.Record) -> Facts:
    """Return what a record says of databases, for the metrics: by host and database, only what it knows."""
    found: Facts = {}
    for host, name, data in record.databases(run):
        known = {**_of_info(data.get("info")), **_of_backup(data.get("backup")), **_of_test(data.get("restore_test"))}
        known |= {"schema_drift": len(data["drift"]["changes"])} if data.get("drift") else {}
        if known:
            found.setdefault(host, {})[name] = known
    return found


def standing(job: Job, run: record.Record) -> dict[str, tuple[str, ...]]:
    """Return all databases by host where a job looked at every one: a host that did not answer has none."""
    if job.part != "info" or run["exit_code"] == record.INTERRUPTED:
        return {}
    return {host: tuple(part["databases"]) for host, part in run["hosts"].items()}


def _of_info(info: Mapping[str, Any] | None) -> dict[str, Any]:
    if not info or info.get("error"):
        return {}
    verified = info.get("verified")
    proof = {"at": 0.0} if not verified else {**_moment(verified), "duration_s": _seconds(verified["verified"])}
    backup = _of_backup(info.get("backup")) or {"backup": {}}
    drift = sum(len(info.get(key) or ()) for key in _DRIFT)
    return {**backup, "verified": proof, "pending": len(info.get("pending") or ()), "drift": drift}


def _of_backup(backup: Mapping[str, Any] | None) -> dict[str, Any]:
    if not backup or not backup.get("id"):
        return {}
    return {"backup": {**_moment(backup), "bytes": backup.get("bytes"), "duration_s": _seconds(backup)}}


def _of_test(tested: Mapping[str, Any] | None) -> dict[str, Any]:
    if not tested or tested.get("skipped") or tested.get("failed") or not tested.get("duration_ms"):
        return {}
    return {"verified": {"at": taken_at(tested["backup"]).timestamp(), "duration_s": _seconds(tested)}}


def _moment(backup: Mapping[str, Any]) -> dict[str, Any]:
    return {"at": taken_at(backup["id"]).timestamp()}


def _seconds(timed: Mapping[str, Any]) -> float | None:
    return timed["duration_ms"] / 1000 if timed.get("duration_ms") is not None else None
