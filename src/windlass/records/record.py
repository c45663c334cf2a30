"""The run record: what was asked, by whom, what happened on every database, and how it ended.

A record is plain data (JSON).  The callback plugin fills it from task results and writes it when a playbook
ends; console and report only read it.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import secrets
import socket
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from windlass_engine import files
from windlass_engine.errors import CODES

Record = dict[str, Any]

FORMAT = 2
#: Data of one database, as modules return it: ``windlass_plan: {database: …}`` and so on.
PARTS = ("plan", "backup", "run", "checks", "samples", "info", "doctor", "history", "restore", "proof", "maintenance",
         "backups", "retention", "offsite", "download", "restore_test", "archives", "timers", "rehearsal",
         "drift", "audit", "snapshot", "queries", "before", "after", "fresh_backup", "evidence_backup", "copies",
         "ways")  # fmt: skip
#: The parts whose items hold SQL, and where those items are.
_WITH_SQL = {"plan": "steps", "run": "sql"}
#: Verbs that only look: they have no report.
READ_ONLY = frozenset(
    {"plan", "status", "history", "doctor", "backups", "archives", "rollback_options", "schedule_status", "drift"}
    | {"audit", "snapshot"}
)
#: Those that leave nothing in the folder of runs either; of drift the dashboard tells what was found last, and when.
FLEETING = READ_ONLY - {"drift"}
#: Verbs that carry out a plan: without a run there was nothing to do.
CHANGING = frozenset({"deploy", "rollback", "baseline"})
INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C


def now() -> str:
    """Return the time as ISO-8601 UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_run_id() -> str:
    """Return an id that sorts by time: ``20250131T235959Z-1a2b3c``."""
    moment = datetime.now(UTC)
    # Within a second, too: half of the last part are milliseconds.
    return f"{moment:%Y%m%dT%H%M%SZ}-{moment.microsecond // 1000:03x}{secrets.token_hex(2)[:3]}"


def who() -> str:
    """Return the operator's login name; behind sudo, the one who called it."""
    with contextlib.suppress(OSError, KeyError):
        return os.environ.get("SUDO_USER") or getpass.getuser()
    return "unknown"


def origin() -> str:
    """Return the name of the machine that commands."""
    return socket.gethostname()


def new(verb: str, environment: str, run_id: str, *, check: bool = False) -> Record:
    """Return an empty record of a run that starts now."""
    return {
        "format": FORMAT,
        "run_id": run_id,
        "verb": verb,
        "environment": environment,
        "check": check,
        "started": now(),
        "finished": "",
        "duration_ms": 0,
        "who": os.environ.get("WINDLASS_WHO") or who(),
        "origin": os.environ.get("WINDLASS_ORIGIN") or origin(),
        "command": os.environ.get("WINDLASS_COMMAND", ""),
        "digest": "",
        "gate": None,
        "exit_code": 0,
        "status": "running",
        "error": None,
        "hosts": {},
        "events": [],
        "scenario": "",
        "drill": False,
        "timeline": [],
        "texts": {},
    }


def host_of(record: Record, host: str) -> dict[str, Any]:
    """Return a host's part, made when it is new."""
    fresh: dict[str, Any] = {"status": "running", "databases": {}, "error": None, "notes": []}
    part: dict[str, Any] = record["hosts"].setdefault(host, fresh)
    return part


def merge(record: Record, host: str, result: Mapping[str, Any]) -> None:
    """Put what a task's result says into the record: parts by database, events, notes, the digest."""
    for part in PARTS:
        for database, value in (result.get(f"windlass_{part}") or {}).items():
            databases = host_of(record, host)["databases"]
            databases.setdefault(database, {})[part] = _texts_apart(record, part, value)
    for event in result.get("windlass_events") or ():
        record["events"].append({**event, "host": host})
    host_notes = result.get("windlass_notes") or ()
    if host_notes:
        host_of(record, host)["notes"].extend(host_notes)
    if "windlass_app" in result:
        host_of(record, host)["app"] = result["windlass_app"]
    record["digest"] = result.get("windlass_digest") or record["digest"]
    record["drill"] = bool(result.get("windlass_drill") or record.get("drill"))
    record["gate"] = result.get("windlass_gate") or record["gate"]


def _texts_apart(record: Record, part: str, value: Any) -> Any:
    """Return a part whose items name their SQL by a hash: many databases share one copy of it."""
    key = _WITH_SQL.get(part, "")
    if not key or not value.get(key):
        return value
    return {**value, key: [_text_apart(record, item) for item in value[key]]}


def _text_apart(record: Record, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item with ``text``, a key of the record's texts, in place of its ``sql``."""
    apart = {name: value for name, value in item.items() if name != "sql"}
    if not item.get("sql"):
        return apart
    digest = hashlib.sha256(item["sql"].encode("utf-8", "surrogatepass")).hexdigest()
    record["texts"][digest] = item["sql"]
    return {**apart, "text": digest}


def sql_of(record: Record, item: Mapping[str, Any]) -> str:
    """Return the SQL of a plan's step or of what a dry run would run; empty where there is none."""
    return str(record["texts"].get(item.get("text", ""), ""))


def order(record: Record, hosts: Iterable[str]) -> None:
    """Put the hosts into the order of play; those that play did not name come last."""
    known = record["hosts"]
    names = [*(host for host in dict.fromkeys(hosts) if host in known), *known]
    record["hosts"] = {host: known[host] for host in dict.fromkeys(names)}


def fail(record: Record, host: str, error: Mapping[str, Any], *, unreachable: bool = False) -> None:
    """Note a host's failure; the first one stays, what follows is its consequence."""
    part = host_of(record, host)
    part["status"] = "unreachable" if unreachable else "failed"
    if part["error"] is None:
        part["error"] = dict(error)


def errors(record: Record) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (host, error) of every failure, in the order of play; the run's own error comes first, with no host."""
    if record["error"]:
        yield "", record["error"]
    for host, part in record["hosts"].items():
        found = [part["error"]] if part["error"] else []
        found += filter(None, map(database_error, part["databases"].values()))
        yield from ((host, error) for error in found[:1])


def database_error(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what went wrong on one database: in its run, or already while it was looked at."""
    parts = (data.get(part) or {} for part in ("run", "info"))
    return next((part["error"] for part in parts if part.get("error")), None)


def close(record: Record, *, interrupted: bool = False) -> None:
    """Set the end: time, each host's status, the run's status and exit code."""
    record["finished"] = now()
    started, finished = (datetime.fromisoformat(record[key]) for key in ("started", "finished"))
    record["duration_ms"] = round((finished - started).total_seconds() * 1000)
    failures = list(errors(record))
    for part in record["hosts"].values():
        part["status"] = _host_status(part, bool(failures), interrupted)
        if part["status"] == "ok" and record["verb"] in CHANGING:
            part["status"] = "nothing"
    if not record["digest"]:
        record["digest"] = run_digest(record)
    record["status"] = _status(record, failures, interrupted)
    record["exit_code"] = _exit_code(failures, interrupted)


def _host_status(part: Mapping[str, Any], stopped: bool, interrupted: bool) -> str:
    if part["status"] in ("failed", "unreachable"):
        return str(part["status"])
    runs = [data["run"]["status"] for data in part["databases"].values() if "run" in data]
    if "failed" in runs:
        return "failed"
    if not runs:
        if any((data.get("restore") or {}).get("swapped") for data in part["databases"].values()):
            return "failed" if stopped else "done"
        planned = any(data.get("plan", {}).get("steps") for data in part["databases"].values())
        if planned and interrupted:
            return "unfinished"  # nobody waited for its end
        return "untouched" if planned and stopped else "ok"
    return next((word for word in ("check", "done") if word in runs), "nothing")


def _status(record: Record, failures: list[Any], interrupted: bool) -> str:
    if interrupted:
        return "interrupted"
    if failures:
        return "failed"
    words = {part["status"] for part in record["hosts"].values()}
    if record["check"] and words != {"nothing"}:
        return "check"
    return next((word for word in ("check", "done", "nothing") if word in words), "ok")


def _exit_code(failures: list[tuple[str, dict[str, Any]]], interrupted: bool) -> int:
    if interrupted:
        return INTERRUPTED
    if not failures:
        return 0
    return CODES.get(failures[0][1]["code"], CODES["internal_error"])[0]


def databases(record: Record) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (host, database, its data) in the order of play."""
    for host, part in record["hosts"].items():
        for database, data in part["databases"].items():
            yield host, database, data


def applications(record: Record) -> dict[str, list[dict[str, Any]]]:
    """Return what was looked at of an application, by host."""
    return {host: part["app"] for host, part in record["hosts"].items() if part.get("app")}


def run_digest(record: Record) -> str:
    """Return one digest for all plans with work in them, "" when there is none."""
    return digest_of_plans(
        (host, database, data["plan"]["digest"])
        for host, database, data in databases(record)
        if data.get("plan", {}).get("steps")
    )


def digest_of_plans(plans: Iterable[tuple[str, str, str]]) -> str:
    """Return the SHA-256 over sorted ``host database digest`` lines, "" for no plan."""
    lines = sorted(f"{host} {database} {digest}\n" for host, database, digest in plans)
    return hashlib.sha256("".join(lines).encode()).hexdigest() if lines else ""


def private_folder(path: Path) -> None:
    """Make a folder, with those above it that are missing, for its owner only."""
    for missing in [folder for folder in (*reversed(path.parents), path) if not folder.exists()]:
        missing.mkdir(mode=0o700, exist_ok=True)


def write(path: Path, text: str) -> None:
    """Write a file so that it appears whole or not at all, readable by its owner only."""
    private_folder(path.parent)
    with files.replacing(str(path)) as stream:
        stream.write(text)


def dumps(record: Record) -> str:
    """Return a record's JSON text; a value that JSON has no form for becomes its text."""
    return json.dumps(record, indent=1, ensure_ascii=False, default=str) + "\n"


def read(path: Path) -> Record | None:
    """Return a record, or None when there is none to be read."""
    try:
        data: Record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data
