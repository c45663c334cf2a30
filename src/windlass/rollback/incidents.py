"""Incident records: what a rollback found, did and lost, as JSON for machines and Markdown for people.

They lie in .windlass/incidents/RUN/, readable by their owner only, beside the evidence that was kept on the way.
A drill writes its durations into .windlass/drills/ instead.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from windlass import typed
from windlass.records import record
from windlass.rollback import drills
from windlass.rollback.timeline import steps
from windlass.telling import console

SCENARIOS = ("migration", "application", "restore")
_KEPT = ("run_id", "verb", "scenario", "environment", "who", "origin", "started", "finished", "duration_ms", "digest",
         "status", "exit_code", "timeline")  # fmt: skip


def folder(root: Path, run_id: str) -> Path:
    """Return the folder of one incident."""
    return root / ".windlass" / "incidents" / run_id


def keep_state(root: Path, run_id: str, name: str, state: Mapping[str, Any]) -> None:
    """Write what stood at one moment."""
    safe = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in name)
    record.write(folder(root, run_id) / f"{safe}.json", json.dumps(state, indent=1, default=str) + "\n")


def keep(root: Path, run: record.Record) -> None:
    """Write the incident of a rollback that looked at a database, or a drill's durations."""
    if not is_incident(run):
        return
    if run["drill"]:
        drills.keep(root, run)
        return
    told = incident(run)
    place = folder(root, run["run_id"])
    record.write(place / "incident.json", json.dumps(told, indent=1, ensure_ascii=False, default=str) + "\n")
    record.write(place / "incident.md", "\n".join(markdown(told)) + "\n")


def is_incident(run: record.Record) -> bool:
    """Return whether a run is a rollback, or a drill of one, that looked at a database."""
    seen = any("before" in data for _, _, data in record.databases(run))
    return run["verb"] == "rollback" and not run["check"] and seen


def lines(run: record.Record) -> Iterator[str]:
    """Yield what a rollback says at its end: what is lost, what to do next, and where its record is."""
    if not is_incident(run) or run["drill"]:
        return
    told = incident(run)
    for place, part in told["databases"].items():
        if part["window"] and part["window"]["to"]:
            yield f"{place}: {_lost(part['window'])}"
    yield from () if run["exit_code"] else told["next"]
    yield f"Incident: .windlass/incidents/{run['run_id']}/incident.md"


def incident(run: record.Record) -> dict[str, Any]:
    """Return an incident as plain data."""
    parts = {
        f"{host} {name}": _database(data, run["scenario"])
        for host, name, data in record.databases(run)
        if "before" in data
    }
    return {
        "format": 1,
        **{key: run[key] for key in _KEPT},
        "steps": list(steps(run)),
        "applications": record.applications(run),
        "command": command(run),
        "errors": [{"host": host, **error} for host, error in record.errors(run)],
        "databases": parts,
        "next": list(_next(run, parts)),
    }


def command(run: record.Record) -> str:
    """Return what was typed; behind plain Ansible, the verb that does the same."""
    if run.get("command"):
        return str(run["command"])
    way = {"application": " --application", "restore": " --restore"}.get(run["scenario"], "")
    return f"invoke rollback --env {run['environment']}{way}"


def _database(data: Mapping[str, Any], scenario: str) -> dict[str, Any]:
    before, after = data["before"], data.get("after") or {}
    ran, restored = data.get("run") or {}, data.get("restore") or {}
    states = {"before": _state(before), "after": _state(after) if after else None}
    return {
        **states,
        "undone": list(ran.get("applied") or ()) if ran.get("direction") == "down" else [],
        "plan_digest": (data.get("plan") or {}).get("digest", ""),
        "archived": list(ran.get("archived") or ()),
        "backup": _named(data.get("backup")),
        "evidence_backup": _named(data.get("evidence_backup")),
        "fresh_backup": _named(data.get("fresh_backup")),
        "restored": _named(before.get("backup")) if restored else "",
        "kept_as": restored.get("kept_as", ""),
        "window": _window(before, restored) if scenario == "restore" else None,
        "rows": _rows(before.get("rows") or {}, after.get("rows") or {}) if after else {},
        "state": ran.get("state", ""),
    }


def _state(state: Mapping[str, Any]) -> dict[str, Any]:
    keys = (
        "at",
        "schema_version",
        "journal_head",
        "fingerprint",
        "log_position",
        "server_version",
        "size_bytes",
        "error",
    )
    return {key: state[key] for key in keys if key in state}


def _named(backup: Mapping[str, Any] | None) -> str:
    return str((backup or {}).get("id") or "")


def _window(before: Mapping[str, Any], restored: Mapping[str, Any]) -> dict[str, Any]:
    """Return from when to when what was written is gone with a restore; others wrote on until the exchange."""
    return {"from": (before.get("backup") or {}).get("started", ""), "to": restored.get("swapped_at", "")}


def _rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the tables whose number of rows is another: before and after, None where there is no such table."""
    tables = sorted(before.keys() | after.keys())
    return {name: [before.get(name), after.get(name)] for name in tables if before.get(name) != after.get(name)}


def _next(run: record.Record, parts: Mapping[str, Any]) -> Iterator[str]:
    """Yield what remains to be done."""
    env = shlex.quote(run["environment"])
    for _, error in record.errors(run):
        yield f"it FAILED ({error['code']}): {error.get('hint') or 'see the error'}; the same command goes on there"
    if run["scenario"] == "restore":
        for place, part in parts.items():
            if part["kept_as"]:
                host, _, name = place.partition(" ")
                restore = f"invoke restore --env {env}{typed.scope(host, [name])}"
                yield f"{place}: what stood before is kept as {part['kept_as']}"
                yield f"to take the exchange back: {restore} --undo"
                yield f"when nobody needs it any more: {restore} --drop {part['kept_as']}"
    if any(part["archived"] for part in parts.values()):
        yield f"what was taken away is in archives: invoke archives --env {env}"
        yield f"to apply the migrations again with it: invoke deploy --env {env} --restore-archived"
    elif any(part["undone"] for part in parts.values()):
        yield f"to apply the migrations again, mended: invoke deploy --env {env}"
    yield f"see that all is well: invoke verify --env {env}"


# ---------------------------------------------------------------- for people


def markdown(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the page."""
    yield f"# Rollback ({told['scenario']}) of {told['environment']}: {told['status']}"
    yield ""
    yield f"{told['who']} on {told['origin']}, {told['started']} to {told['finished']}"
    yield f"({console.duration(told['duration_ms'])}), run {told['run_id']}, digest {told['digest'][:12] or 'none'}."
    yield f"The command: `{told['command']}`, exit {told['exit_code']}."
    yield from _section(
        "Timeline", (f"- {s['at']}  {s['step']} ({console.duration(s['duration_ms'])})" for s in told["steps"])
    )
    yield from _section("What went wrong", (f"- {e['host']}: {e['code']}: {e['message']}" for e in told["errors"]))
    for place, part in told["databases"].items():
        yield from _section(place, _part_lines(part))
    yield from _section("Next", (f"- {line}" for line in told["next"]))


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield from ("", f"## {title}", "", *found)


def _lost(window: Mapping[str, Any]) -> str:
    return f"LOST: what was written from {window['from']} to {window['to']}"


def _part_lines(part: Mapping[str, Any]) -> Iterator[str]:
    for word in ("before", "after"):
        state = part[word]
        if state:
            told = ", ".join(f"{key} {value}" for key, value in state.items() if key not in ("at", "error") and value)
            yield f"- {word} ({state.get('at', '')}): {told or 'it did not answer'}"
    if part["undone"]:
        yield f"- undone: {', '.join(part['undone'])} (plan {part['plan_digest'][:12]})"
    for kept in part["archived"]:
        yield f"- archived: {kept['rows']} rows of {kept['table']} ({kept['kind']}) as {kept['name']}"
    for word in ("backup", "evidence_backup", "fresh_backup", "restored"):
        if part[word]:
            yield f"- {word.replace('_', ' ')}: {part[word]}"
    if part["window"] and part["window"]["to"]:
        yield f"- {_lost(part['window'])}"
    for table, (was, now) in part["rows"].items():
        yield f"- rows of {table}: {'none' if was is None else was} -> {'none' if now is None else now}"
    if part["state"]:
        yield f"- {part['state']}"
