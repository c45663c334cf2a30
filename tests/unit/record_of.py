"""Runs as the callback plugin would have recorded them."""

from __future__ import annotations

from typing import Any

from windlass.records import record

STEPS = [
    {
        "action": "apply", "kind": "migration", "name": "20250101_create_staff", "reason": "pending",
        "reversible": True, "irreversible": "", "checksum": "v1:1", "statements": 5, "sql": "CREATE TABLE a ();",
    },
    {
        "action": "apply", "kind": "migration", "name": "20250109_drop_legacy", "reason": "pending",
        "reversible": False, "irreversible": "the data is gone", "checksum": "v1:2", "statements": 2, "sql": "",
    },
]  # fmt: skip

ERROR = {
    "code": "migration_failed", "message": "statement 2 of 2: no such table", "hint": "mend it and deploy again",
    "where": {"file": "up.sql", "line": 4, "database": "salon"}, "detail": {"sqlstate": "42P01"},
}  # fmt: skip


def plan(steps: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """Return a plan of one database."""
    known = {
        "system": "salon", "direction": "up", "digest": "ab" * 32, "warnings": [], "schema_version": "",
        "confirm": "yes", "steps": STEPS if steps is None else steps,
    }  # fmt: skip
    return {**known, **more}


def run(status: str = "done", **more: Any) -> dict[str, Any]:
    """Return the engine's result for one database."""
    known = {
        "database": "salon", "system": "salon", "run_id": "r", "digest": "d", "direction": "up", "status": status,
        "changed": True, "applied": ["20250101_create_staff"], "skipped": [], "sql": [], "state": "stands well",
        "next": "", "error": None, "steps": [], "duration_ms": 3500, "schema_version": "20250101_create_staff",
    }  # fmt: skip
    return {**known, **more}


def check(name: str = "no orphans", *failures: str, **more: Any) -> dict[str, Any]:
    """Return one check's result."""
    return {
        "name": name, "path": "checks/a.sql", "line": 3, "failures": list(failures), "error": "", "duration_ms": 12,
        **more,
    }  # fmt: skip


def begun(verb: str = "deploy", **results: dict[str, Any]) -> record.Record:
    """Return an open record with these results merged, by host."""
    found = record.new(verb, "prod", "20250131T235959Z-1a2b3c")
    for host, result in results.items():
        record.host_of(found, host)
        record.merge(found, host, result)
    return found


def closed(verb: str = "deploy", **results: dict[str, Any]) -> record.Record:
    """Return the same, closed."""
    found = begun(verb, **results)
    record.close(found)
    return found


#: The id of a backup, which says when it was made.
ID = "20251121T040506Z-1a2b3c"


def run_of(verb: str, databases: dict[str, dict[str, Any]], error: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the closed record of a playbook that told this of databases on one host."""
    run = record.new(verb, "prod", "run-1")
    for name, data in databases.items():
        record.merge(run, "db1", {f"windlass_{part}": {name: value} for part, value in data.items()})
    if error:
        record.fail(run, "db1", error)
    record.close(run)
    return run


BACKUP = {"id": ID, "bytes": 2_000_000, "duration_ms": 1500, "path": "/x"}
INFO = {
    "pending": ["m3"],
    "changed": [],
    "unknown": [],
    "partial": [],
    "overdue": [],
    "backup": BACKUP,
    "verified": None,
}
