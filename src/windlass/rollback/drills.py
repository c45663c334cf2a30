"""How long each way back took in its last drill: .windlass/drills/ENVIRONMENT/SCENARIO/DATABASE.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from windlass.records import record
from windlass.rollback.timeline import steps


def keep(root: Path, run: record.Record) -> None:
    """Write a drill's end for each database that it was about."""
    told = {
        "format": 1,
        **{key: run[key] for key in ("run_id", "scenario", "environment", "who", "started", "finished", "status")},
        "exit_code": run["exit_code"],
        "steps": list(steps(run)),
        "applications": record.applications(run),
    }
    told["duration_ms"] = sum(step["duration_ms"] for step in told["steps"] if not _is_copying(step))
    for host, name, data in record.databases(run):
        if "before" in data:
            kept = {**told, "host": host, "database": name, "backup": (data.get("copies") or {}).get("backup", "")}
            record.write(_path(root, run["environment"], run["scenario"], name), json.dumps(kept, indent=1) + "\n")


def _is_copying(step: Mapping[str, Any]) -> bool:
    """Return whether a step belongs to the drill alone: the rollback itself has no such step."""
    return "drill" in str(step["step"]).lower()


def last(root: Path, environment: str, scenario: str, database: str) -> dict[str, Any] | None:
    """Return the last drill of a way back, or None where it was never drilled."""
    return record.read(_path(root, environment, scenario, database))


def _path(root: Path, environment: str, scenario: str, database: str) -> Path:
    parts = (Path(environment).name, scenario, f"{database}.json")
    return root.joinpath(".windlass", "drills", *(quote(part, safe=" @+=,") for part in parts))
