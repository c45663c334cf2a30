"""Which run records go: those that are old, and that nothing refers to any more.

What stays whatever its age: the runs that evidence, incident records, drills, rehearsals, proofs and query baselines
name; those out of which the dashboard tells how things stand; the newest of each verb in each environment.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from windlass.records import record
from windlass.report import dashboard
from windlass_engine.errors import WindlassError

#: How long runs are kept where nobody says otherwise (days), and where somebody says it.
KEEP_DAYS = 90
NEWEST = "the newest of their verb in their environment"
VARIABLE = "WINDLASS_KEEP_RUNS"
#: Folders whose files name the runs that they stem from, with the reason in words.
_NAMED_BY = {
    "evidence": "evidence", "incidents": "an incident record", "drills": "the last drill", "rehearsals": "a rehearsal",
    "proofs": "a proof", "queries": "a query baseline",
}  # fmt: skip
_RUN_ID = re.compile(r"^(\d{8}T\d{6}Z)-[0-9a-z]+$")


@dataclass(frozen=True)
class Kept:
    """A run's folder: ``at`` is when it began, ``reason`` why it stays though it is old, empty for one that goes."""

    run_id: str
    at: datetime
    bytes: int
    verb: str = ""
    environment: str = ""
    reason: str = ""


def days_of(text: str) -> int:
    """Return a number of days: that of an option, else of $WINDLASS_KEEP_RUNS, else 90.  Raises ``usage``."""
    word = text or os.environ.get(VARIABLE, "") or str(KEEP_DAYS)
    number = word.removesuffix("d")
    if not number.isdecimal() or int(number) < 1:
        hint = f"a number of days, 1 at least: --keep 30 (or ${VARIABLE}; default {KEEP_DAYS})"
        raise WindlassError("usage", f"{word!r} says nobody how long runs are to be kept", hint=hint)
    return int(number)


def old(root: Path, days: int, now: datetime) -> list[Kept]:
    """Return the runs that began more than so many days ago, oldest first; those that stay with their reason."""
    folder = root / ".windlass" / "runs"
    until = now - timedelta(days=days)
    found = [(path, at) for path in _folders(folder) if (at := _began(path)) < until]
    if not found:
        return []
    runs = [run for path in _folders(folder) if (run := record.read(path / "record.json"))]
    reasons = {**_latest(runs, now), **_named(root)}
    known = {str(run.get("run_id")): run for run in runs}
    kept = [_kept(path, at, known.get(path.name) or {}, reasons) for path, at in found]
    return sorted(kept, key=lambda item: (item.at, item.run_id))


def remove(root: Path, runs: list[Kept]) -> None:
    """Delete runs and the copies of their reports that the dashboard has made in its usual place.

    The record goes first: what is left of a run that was half deleted is none any more, and goes the next time.
    """
    for item in runs:
        folder = root / ".windlass" / "runs" / item.run_id
        with suppress(FileNotFoundError):
            (folder / "record.json").unlink()
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
        (root / ".windlass" / "dashboard" / "runs" / f"{item.run_id}.html").unlink(missing_ok=True)


def _folders(folder: Path) -> Iterator[Path]:
    """Yield the folders of runs; what somebody else has put there is not ours to delete."""
    if folder.is_dir():
        yield from (
            path for path in folder.iterdir() if _RUN_ID.match(path.name) and path.is_dir() and not path.is_symlink()
        )


def _began(path: Path) -> datetime:
    """Return when a run began: its name says so."""
    return datetime.strptime(path.name.split("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _kept(path: Path, at: datetime, run: Mapping[str, Any], reasons: Mapping[str, str]) -> Kept:
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    words = (str(run.get("verb", "")), str(run.get("environment", "")))
    return Kept(path.name, at, size, *words, reasons.get(path.name, ""))


def _named(root: Path) -> dict[str, str]:
    """Return the runs that something else is told by, with its name in words."""
    found: dict[str, str] = {}
    for name, words in reversed(_NAMED_BY.items()):
        folder = root / ".windlass" / name
        for path in folder.rglob("*.json") if folder.is_dir() else ():
            found |= dict.fromkeys(_run_ids(path), words)
    incidents = root / ".windlass" / "incidents"
    names = [path.name for path in incidents.iterdir()] if incidents.is_dir() else []
    return {**found, **dict.fromkeys(names, _NAMED_BY["incidents"])}


def _run_ids(path: Path) -> Iterator[str]:
    """Yield every run that a JSON file names.  Raises ``preflight_failed``: what cannot be read may name any."""
    try:
        yield from _named_in(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return  # replaced or taken away meanwhile
    except ValueError:
        hint = "look at it (`invoke evidence --verify` tells of evidence); nothing was deleted"
        raise WindlassError("preflight_failed", f"{path} cannot be read, so it may name any run", hint=hint) from None


def _named_in(data: Any) -> Iterator[str]:
    if isinstance(data, Mapping):
        if isinstance(data.get("run_id"), str):
            yield data["run_id"]
        data = list(data.values())
    for item in data if isinstance(data, list) else ():
        yield from _named_in(item)


def _latest(runs: list[record.Record], now: datetime) -> dict[str, str]:
    """Return the runs out of which is told how things stand, and those that are still open."""
    newest = sorted(runs, key=lambda run: str(run["started"]))
    found = {str(run["run_id"]): NEWEST for run in _last_of_each(newest)}
    found |= dict.fromkeys(dashboard.told_by(newest, now), "the dashboard tells by them how databases stand")
    return found


def _last_of_each(runs: list[record.Record]) -> list[record.Record]:
    return list({(run["environment"], run["verb"], bool(run["check"])): run for run in runs}.values())
