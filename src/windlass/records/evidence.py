"""The evidence of what was done to an environment: one bundle a run below .windlass/evidence/ENV/, chained by hashes.

A bundle holds what a later question needs (plan, digests, approvals, gate, rehearsal, backups, the schema's
fingerprints before and after, results, checks, and the hash of the run's whole record) and the hash of the bundle
before it; ``head.json`` holds the last one's.  Whoever changes, removes or inserts a bundle breaks the chain behind it.
A bundle comes before its head: where a process ended between the two, the head is one behind, until the next mends it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from windlass.records import record, rehearsals
from windlass_engine.errors import WindlassError

FORMAT = 1
_HEAD = "head.json"
_OF_RUN = ("run_id", "verb", "environment", "started", "finished", "who", "origin", "status", "exit_code", "digest")
_OF_STEP = ("action", "kind", "name", "checksum", "reason", "reversible", "irreversible", "proved")
_OF_RESULT = ("status", "applied", "state", "schema_version", "journal_head", "duration_ms", "error")
_OF_DRIFT = ("kind", "identity", "what", "before", "after")
_OF_BACKUP = ("id", "path", "bytes", "created_at", "fingerprint", "journal_head", "skipped")


@dataclass(frozen=True)
class Kept:
    """A bundle as it lies there: its ``number``, ``content`` (None: it cannot be read) and ``sha256``."""

    path: Path
    number: int
    content: dict[str, Any] | None
    sha256: str


def keep(root: Path, run: record.Record, record_text: str) -> Path | None:
    """Add a closed run to its environment's chain; None for a run that did nothing to a database."""
    if run["verb"] not in record.CHANGING or run["check"] or not run["digest"]:
        return None
    folder = _folder(root, run["environment"])
    with _alone(folder):
        number, previous = _last(root, run["environment"])
        content = {
            "format": FORMAT,
            "number": number + 1,
            "previous": previous,
            "record_sha256": _sha256(record_text.encode()),
            **_bundle(root, run),
        }
        path = folder / f"{content['number']:06}-{run['run_id']}.json"
        text = record.dumps(content)
        record.write(path, text)
        record.write(folder / _HEAD, record.dumps({"number": content["number"], "sha256": _sha256(text.encode())}))
    return path


def read(root: Path, environment: str) -> list[Kept]:
    """Return an environment's bundles, oldest first."""
    with _unchanging(_folder(root, environment)):
        return _read(root, environment)


def _read(root: Path, environment: str) -> list[Kept]:
    found = _folder(root, environment).glob("*-*.json")
    return [_kept(path) for path in sorted(found) if path.name.split("-")[0].isdecimal()]


def faults(root: Path, environment: str) -> list[str]:
    """Return what is wrong with an environment's chain, in words; nothing for a whole one."""
    with _unchanging(_folder(root, environment)):
        return list(_faults(root, environment))


def _faults(root: Path, environment: str) -> Iterator[str]:
    folder, previous, number = _folder(root, environment), "", 0
    ends = [] if (folder / _HEAD).exists() else [(previous, number)]
    for kept in _read(root, environment):
        yield from _faults_of(root, kept, number + 1, previous)
        previous, number = kept.sha256, kept.number
        ends.append((previous, number))
    head = _head(folder)
    if (head["sha256"], head["number"]) not in ends[-2:]:
        yield f"head.json names number {head['number']}; the last bundle there is number {number}, or was changed"


def _last(root: Path, environment: str) -> tuple[int, str]:
    """Return number and hash of the bundle that the next one follows: the head's, or the one whose head is missing."""
    head = _head(_folder(root, environment))
    last = next(reversed(_read(root, environment)), None)
    follows = last and last.content and last.content.get("previous") == head["sha256"]
    if last and follows and last.number == head["number"] + 1:
        return last.number, last.sha256
    return head["number"], head["sha256"]


def require_whole(root: Path, environment: str) -> None:
    """Raise ``evidence_broken`` with what is wrong with the chain."""
    found = faults(root, environment)
    if found:
        hint = "compare .windlass/evidence with a copy of it; `invoke history` tells what the journals know"
        message = f"the evidence of {environment} is not whole: {'; '.join(found)}"
        raise WindlassError("evidence_broken", message, hint=hint, detail={"faults": found})


def databases(bundle: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every database's part of a bundle."""
    for part in bundle["hosts"].values():
        yield from part.values()


def finished(bundle: Mapping[str, Any]) -> datetime:
    """Return when a bundle's run ended."""
    return datetime.fromisoformat(bundle["finished"])


def _faults_of(root: Path, kept: Kept, number: int, previous: str) -> Iterator[str]:
    content = kept.content
    if content is None:
        yield f"{kept.path.name} cannot be read"
        return
    if kept.number != number or content.get("number") != kept.number:
        yield f"number {number} is missing before {kept.path.name}"
    elif content.get("previous") != previous:
        yield f"{kept.path.name} does not follow from the bundle before it: one of the two was changed"
    path = root / ".windlass" / "runs" / str(content.get("run_id")) / "record.json"
    if path.exists() and _sha256(path.read_bytes()) != content.get("record_sha256"):
        yield f"the record of run {content.get('run_id')} was changed since"


def _bundle(root: Path, run: record.Record) -> dict[str, Any]:
    hosts = {
        host: {
            name: _database(root, data) for name, data in part["databases"].items() if "plan" in data or "run" in data
        }
        for host, part in run["hosts"].items()
    }
    errors = [{"host": host, "code": error["code"], "message": error["message"]} for host, error in record.errors(run)]
    return {**{key: run[key] for key in _OF_RUN}, "gate": run.get("gate"), "errors": errors, "hosts": hosts}


def _database(root: Path, data: Mapping[str, Any]) -> dict[str, Any]:
    plan = data.get("plan") or {}
    checks = [*(data.get("checks") or ()), *(data.get("samples") or ())]
    return {
        "system": plan.get("system", ""),
        "plan": {
            **_some(plan, ("digest", "direction", "warnings", "gate", "risk")),
            "steps": [_some(step, _OF_STEP) for step in plan.get("steps") or ()],
        },
        "drift": [_some(change, _OF_DRIFT) for change in (plan.get("drift") or {}).get("changes") or ()],
        "backup": _some(data.get("backup") or {}, _OF_BACKUP),
        "rehearsal": _rehearsal(root, str(plan.get("digest", ""))),
        "fingerprints": {"before": _before(data), "after": (data.get("run") or {}).get("fingerprint", "")},
        "run": _some(data.get("run") or {}, _OF_RESULT),
        "checks": [_some(check, ("name", "failures", "error", "duration_ms")) for check in checks],
    }


def _rehearsal(root: Path, digest: str) -> dict[str, Any]:
    """Return what is kept of the plan's rehearsal, empty where there was none."""
    known = rehearsals.find(root, digest) if digest else None
    if not known:
        return {}
    part = known["parts"][0] if known["parts"] else {}
    measured = _some(part, ("duration_ms", "longest_block", "log_bytes"))
    return {**_some(known, ("run_id", "at", "backup", "failed")), **measured}


def _before(data: Mapping[str, Any]) -> str:
    """Return the schema's fingerprint before the run, as the look at drift or else the backup found it."""
    drift, backup = (data.get("plan") or {}).get("drift") or {}, data.get("backup") or {}
    return str(drift.get("fingerprint") or backup.get("fingerprint") or "")


def _some(data: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: data[key] for key in keys if key in data}


def _kept(path: Path) -> Kept:
    data = path.read_bytes()
    try:
        content = json.loads(data)
    except ValueError:
        content = None
    return Kept(path, int(path.name.split("-")[0]), content if isinstance(content, dict) else None, _sha256(data))


def _head(folder: Path) -> dict[str, Any]:
    """Return the number and hash of the last bundle; what cannot be read names none, and no chain follows from it."""
    known: Any = record.read(folder / _HEAD)
    if isinstance(known, dict) and isinstance(known.get("number"), int) and isinstance(known.get("sha256"), str):
        return known
    return {"number": 0, "sha256": ""}


def _folder(root: Path, environment: str) -> Path:
    return root / ".windlass" / "evidence" / Path(environment).name


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let no other run add to the chain meanwhile, or read it."""
    record.private_folder(folder)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _unchanging(folder: Path) -> Iterator[None]:
    """Let no run add to the chain while it is read; a copy of it, or one without bundles, has no lock."""
    try:
        lock = (folder / ".lock").open()
    except OSError:
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
