"""The decision tree on a screen: first the answer of each database, then what it stands on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from windlass.records import record
from windlass.telling import console
from windlass.telling.lines import Line, Lines, host_errors

#: Of more databases than these only the answers are shown, so that it stays one screen.
WHOLE = 2
_TITLES = {
    "migration": "undo what the last run applied",
    "application": "undo it with the application away, caches cleared, workers restarted",
    "restore": "bring a backup back in place of the database",
    "forward": "undo nothing; mend it with a new migration",
}


def lines(run: record.Record) -> Lines:
    """Yield what can be done about each database of a run."""
    found = [(f"{host} {name}", data["ways"]) for host, name, data in record.databases(run) if "ways" in data]
    for place, known in found:
        yield Line("")
        yield from _answer(place, known)
        if len(found) <= WHOLE:
            yield from _grounds(known, "asked for" if known.get("asked") else "recommended")
    if len(found) > WHOLE:
        yield from (Line(""), Line("Add --host HOST or --database NAME to see the grounds and the other ways.", "dim"))
    yield from host_errors(run)


def _answer(place: str, known: Mapping[str, Any]) -> Lines:
    """Yield the way to take, the command, and why; or why there is none to name."""
    if not known["recommended"]:
        yield Line(f"{place}: {console.printable(known['reason'])}", "bad")
        yield Line("  see first what is wrong: invoke doctor")
        return
    way = next(way for way in known["ways"] if way["way"] == known["recommended"])
    yield Line(f"{place}, at {known['version'] or '(empty)'}: {_TITLES[way['way']]}", "good")
    yield Line(f"  {way['command']}", "head")
    yield Line(f"  {known['reason']}")


def _grounds(known: Mapping[str, Any], mark: str) -> Lines:
    """Yield what the last runs did, what stands, and every way, the one to take with its ``mark``."""
    yield Line("")
    for run in known["runs"]:
        at = str(run["at"])[:16].replace("T", " ")
        yield Line(f"  {at}  {run['who']}  run {run['run_id']}: {', '.join(run['did'])}")
    rows = [_row(item) for item in known["migrations"]]
    if rows:
        yield from map(Line, console.table(("MIGRATION", "STATE", "WAY BACK"), rows, indent="  "))
    yield Line("")
    for number, way in enumerate(known["ways"], 1):
        yield from _way(number, way, mark if way["way"] == known["recommended"] else "")


def _row(item: Mapping[str, Any]) -> tuple[str, ...]:
    back = f"down script{', proved' if item['proved'] else ', not proved'}"
    return item["name"], item["state"], back if item["reversible"] else f"IRREVERSIBLE: {item['irreversible']}"


def _way(number: int, way: Mapping[str, Any], mark: str) -> Iterator[Line]:
    """Yield a way: its command, what it loses, how long it took."""
    if not way["possible"]:
        yield Line(f"  {number}. {way['way']}: not possible: {way['why_not']}", "dim")
        return
    marked = f" ({mark})" if mark else ""
    yield Line(f"  {number}. {way['way']}: {_TITLES[way['way']]}{marked}", "head" if mark else "")
    yield Line(f"       {way['command']}")
    yield Line(f"       loses {'; '.join(way['loses'])}")
    if way["drilled"]:
        yield Line(f"       {way['drilled']}")
