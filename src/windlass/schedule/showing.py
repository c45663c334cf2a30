"""What systemd and the ledger know of an environment's units, read and told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from windlass.telling import console
from windlass_engine.scheduled.ledger import fallen

HEADINGS = ("HOST", "JOB", "LAST RUN (UTC)", "RESULT", "TIME", "NEXT RUN (UTC)", "MESSAGE")
PROPERTIES = ("Id", "LoadState", "ActiveState", "UnitFileState", "Result", "NextElapseUSecRealtime", "LastTriggerUSec")
#: Prints which jobs nobody runs, by their locks in the folder that is its argument.
IDLE = """\
cd -- "$1" 2>/dev/null && for lock in *.lock; do
  [ -e "$lock" ] && flock -n "$lock" true && echo "${lock%.lock}"
done
:"""
#: How systemd writes a moment in the C locale, in UTC.
_MOMENT = "%a %Y-%m-%d %H:%M:%S UTC"


def question(prefix: str, names: Sequence[str]) -> list[str]:
    """Return the command that asks systemd for the state of timers and services."""
    units = [f"{prefix}-{name}.{kind}" for name in names for kind in ("timer", "service")]
    return ["env", "LC_ALL=C", "TZ=UTC", "systemctl", "show", f"--property={','.join(PROPERTIES)}", "--", *units]


def read(
    answer: str, ledger: str, prefix: str, names: Sequence[str], earlier: str = "", idle: str = ""
) -> list[dict[str, Any]]:
    """Return an entry for every job that has a timer: name, enabled, next, running, and the ledger's last entry.

    ``idle`` are lines with the names of jobs whose lock nobody held at a moment between two looks at the ledger, of
    which ``earlier`` is the first: a run that both say is under way ended without a word.
    """
    units = {unit["Id"]: unit for unit in map(_properties, answer.split("\n\n")) if "Id" in unit}
    free, before = set(idle.split()), _ledger(earlier)
    known = {
        name: fallen(entry) if name in free and _is_same_run(entry, before.get(name, {})) else entry
        for name, entry in _ledger(ledger).items()
    }
    found = []
    for name in names:
        timer, service = (units.get(f"{prefix}-{name}.{kind}", {}) for kind in ("timer", "service"))
        if timer.get("LoadState") == "loaded":
            runs = service.get("ActiveState") in ("activating", "active")
            last = {key: value for key, value in known.get(name, {}).items() if key != "began"}
            entry = {
                "job": name,
                "timer": "running" if runs else timer["ActiveState"],
                "enabled": timer.get("UnitFileState") != "disabled",
                "next": _iso(timer.get("NextElapseUSecRealtime", "")),
                "service_result": service.get("Result", ""),
                "last": last or None,
            }
            found.append(entry)
    return found


def _is_same_run(entry: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Return whether two looks saw one and the same run under way."""
    return bool(entry.get("began")) and entry["began"] == before.get("began")


def _properties(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.strip().splitlines() if "=" in line)


def _ledger(text: str) -> Mapping[str, Any]:
    try:
        jobs: Mapping[str, Any] = json.loads(text)["jobs"]
    except (ValueError, KeyError, TypeError):
        return {}
    return jobs


def _iso(moment: str) -> str:
    """Return one of systemd's moments as ISO 8601, "" for none."""
    try:
        return datetime.strptime(moment, _MOMENT).replace(tzinfo=UTC).isoformat()
    except ValueError:
        return ""


def row(host: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a job's cells."""
    last = entry["last"] or {}
    ended = bool(last.get("status"))
    return (
        host,
        entry["job"],
        _short(last.get("finished", "")),
        result(entry),
        console.duration(last["duration_ms"]) if ended else "",
        (_short(entry["next"]) or entry["timer"]) + ("" if entry["enabled"] else ", not after a restart"),
        last.get("message", ""),
    )


def result(entry: Mapping[str, Any]) -> str:
    """Return in a word how a job stands."""
    if entry["timer"] == "running":
        return "running"
    last = entry["last"] or {}
    if not last.get("status"):
        return "never ran" if entry["service_result"] in ("", "success") else f"FAILED: {entry['service_result']}"
    return "ok" if last["status"] == "ok" else f"FAILED, exit {last['exit_code']}"


def is_bad(entry: Mapping[str, Any]) -> bool:
    """Return whether somebody should look."""
    asleep = entry["timer"] not in ("active", "running") or not entry["enabled"]
    return asleep or result(entry).startswith("FAILED")


def installed(host: str, part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (text, style): what an installation or a removal came to."""
    count = console.plural(len(part["jobs"]), "timer")
    nothing = "nothing would change" if part.get("check") else "nothing changed"
    if part.get("check") and part["changed"]:
        yield f"{host}: {count} to be {'removed' if part['removed'] else 'installed'}", "head"
    elif part["removed"]:
        yield f"{host}: {'the timers are gone' if part['changed'] else f'there are no timers; {nothing}'}", "good"
    else:
        yield f"{host}: {count} {'installed' if part['changed'] else f'installed already; {nothing}'}", "good"
    for note in part["notes"]:
        yield f"  {note}", "warn"


def _short(moment: str) -> str:
    return moment[:16].replace("T", " ")
