"""The ledger as metrics, in the text form that node_exporter's textfile collector reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Optional

from ..model import Wire
from . import ledger as ledgers

Labels = Mapping[str, str]
Sample = tuple[Labels, Optional[float]]
#: (name, what it says, key of a job's entry) and (name, what it says, path into a database's facts).
_OF_JOBS = (
    ("windlass_job_last_result", "Whether the job's last run ended well (1) or not (0).", "ok"),
    ("windlass_job_last_run_timestamp_seconds", "When the job's last run ended.", "finished"),
    ("windlass_job_last_success_timestamp_seconds", "When the job last ended well.", "succeeded"),
    ("windlass_job_last_duration_seconds", "How long the job's last run took.", "duration_ms"),
)
_OF_DATABASES = (
    ("windlass_backup_last_timestamp_seconds", "The time of the data in the newest backup.", ("backup", "at")),
    ("windlass_backup_last_size_bytes", "The size of the newest backup.", ("backup", "bytes")),
    ("windlass_backup_last_duration_seconds", "How long the newest backup took.", ("backup", "duration_s")),
    ("windlass_backup_verified_timestamp_seconds", "The time of the data in the newest backup that a restore test "
     "has verified, 0 without one.", ("verified", "at")),
    ("windlass_restore_last_duration_seconds", "How long its restore took: the time that a recovery needs.",
     ("verified", "duration_s")),
    ("windlass_pending_migrations", "How many migrations the project has and the database does not.", ("pending",)),
    ("windlass_schema_drift", "How many objects of the schema others changed since the last run.", ("schema_drift",)),
    ("windlass_drift", "How many migrations differ from the project: edited, unknown or half done.", ("drift",)),
)  # fmt: skip


def render(environment: str, ledger: Wire) -> str:
    """Return the text of an environment's metrics."""
    found: list[str] = []
    for name, told, key in _OF_JOBS:
        found += _metric(name, told, _of_jobs(environment, ledger["jobs"], key))
    for name, told, path in _OF_DATABASES:
        found += _metric(name, told, _of_databases(environment, ledger["facts"], path))
    return "\n".join(found) + "\n" if found else ""


def _of_jobs(environment: str, jobs: Mapping[str, Wire], key: str) -> Iterator[Sample]:
    for job, entry in sorted(jobs.items()):
        if entry.get("status"):  # else it never ended yet
            yield {"environment": environment, "job": job}, _value(entry, key)


def _value(entry: Wire, key: str) -> Optional[float]:
    if key == "ok":
        return float(entry["status"] == ledgers.OK)
    if key == "duration_ms":
        return float(entry[key]) / 1000
    return datetime.fromisoformat(entry[key]).timestamp() if entry.get(key) else None


def _of_databases(environment: str, facts: Mapping[str, Mapping[str, Wire]], path: tuple[str, ...]) -> Iterator[Sample]:
    for host, databases in sorted(facts.items()):
        for database, known in sorted(databases.items()):
            value: object = known
            for key in path:
                value = value.get(key) if isinstance(value, dict) else None
            labels = {"environment": environment, "host": host, "database": database}
            yield labels, float(value) if isinstance(value, (int, float)) else None


def _metric(name: str, told: str, samples: Iterable[Sample]) -> list[str]:
    lines = [f"{name}{{{_labels(labels)}}} {value:.15g}" for labels, value in samples if value is not None]
    return [f"# HELP {name} {told}", f"# TYPE {name} gauge", *lines] if lines else []


def _labels(labels: Labels) -> str:
    return ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
