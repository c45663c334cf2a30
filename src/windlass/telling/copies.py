"""Backups that were made or are kept, and restores."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from windlass import typed
from windlass.records import record
from windlass.telling import console, keeping, summary
from windlass.telling.lines import Line, Lines, host_errors, table


def backup(run: record.Record) -> Lines:
    """Yield the backups that were made."""
    found = [(host, name, data["backup"]) for host, name, data in record.databases(run) if "backup" in data]
    rows = [
        (host, name, b.get("id", ""), summary.backup_text(b), b.get("path", ""), b.get("skipped", ""))
        for host, name, b in found
    ]
    yield from table(("HOST", "DATABASE", "BACKUP", "SIZE", "WHERE", "WHY NOT"), rows)
    for host, name, made in found:
        if made.get("method"):
            yield Line(f"{host} {name}: {console.printable(_way(made))}")
        for text in made.get("warnings") or ():
            yield Line(f"{host} {name}: {console.printable(text)}", "warn")
    for host, name, data in record.databases(run):
        for part, told in (("offsite", keeping.offsite_lines), ("retention", keeping.retention_lines)):
            if part in data and not data[part].get("skipped"):
                yield from (Line(*line) for line in told(f"{host} {name}", data[part]))
    yield from host_errors(run)


def _way(made: Mapping[str, Any]) -> str:
    """Return how a backup would be made: program, compression with its level, the room that it has."""
    packed = made["compression"]
    packed = f"compressed by {packed} (chosen for speed)" if packed != "none" else "not compressed: this edition cannot"
    place = made.get("elsewhere") or made["path"]
    room = "" if made.get("elsewhere") else f", {console.size(made['free_bytes'])} free"
    return f"would be made by {made['method']} {made['client_version']}, {packed}; into {place}{room}"


def backups(run: record.Record) -> Lines:
    """Yield the catalogue."""
    found = [
        (host, name, entry)
        for host, name, data in record.databases(run)
        for entry in (data.get("backups") or {}).get("entries") or ()
    ]
    rows = [keeping.catalogue_row(*each) for each in found]
    yield from table(keeping.CATALOGUE, rows, [keeping.is_bad(entry) for _, _, entry in found])
    for host, name, data in record.databases(run):
        if "backups" in data and not data["backups"]["entries"]:
            yield Line(f"{host} {name}: there is no backup", "bad")
    yield from host_errors(run)


def restore(run: record.Record) -> Lines:
    """Yield where restored databases stand."""
    for host, database, data in record.databases(run):
        if data.get("restore"):
            yield Line("")
            where = f"invoke restore --env {shlex.quote(run['environment'])}{typed.scope(host, [database])}"
            yield from _restored(f"{host} {database}", data["restore"], where)
    yield from host_errors(run)


def _restored(place: str, restored: Mapping[str, Any], command: str) -> Lines:
    if restored.get("dropped"):
        would = f"would be dropped ({restored['skipped']})" if restored.get("skipped") else "is dropped"
        yield Line(f"{place}: {restored['dropped']} {would}", "" if restored.get("skipped") else "good")
        return
    backup = f" from backup {restored['backup']}" if restored.get("backup") else ""
    if restored.get("skipped"):
        yield Line(f"{place}: would stand in {restored['into']}{backup} ({restored['skipped']})")
        yield from (Line(f"  {console.printable(text)}") for text in restored.get("outlook") or ())
        return
    yield Line(f"{place}: stands in {restored['into']}{backup}", "good")
    if restored.get("only"):
        yield Line(f"  with the rows of these tables only: {console.printable(', '.join(restored['only']))}")
    if restored.get("tables") is not None:
        yield Line(f"  {console.plural(restored['tables'], 'table')}, {restored.get('total_rows', 0)} rows, compared")
    if restored.get("kept_as"):
        yield Line(f"  what stood in its place is kept as {restored['kept_as']}", "warn")
    for difference in restored.get("differences") or ():
        yield Line(f"  differs: {console.printable(difference)}", "warn")
    yield from _ways_on(restored, command)


def _ways_on(restored: Mapping[str, Any], command: str) -> Lines:
    """Yield what can be done with a restored database, or with one that a swap kept."""
    if restored.get("swapped") and restored.get("kept_as"):
        undone = "_undone_" in restored["kept_as"]
        way = f"--swap-standing --into {restored['kept_as']}" if undone else "--undo"
        yield Line(f"  to take it back: {command} {way}")
        yield Line(f"  when nobody needs it: {command} --drop {restored['kept_as']}")
    elif not restored.get("swapped"):
        into = "" if restored["into"].endswith("_restored") else f" --into {restored['into']}"
        if not restored.get("only"):
            yield Line(f"  to let it take the original's place: {command} --swap-standing{into}")
        if restored["into"].endswith(("_restored", "_restored_tables")):
            yield Line(f"  when nobody needs it: {command} --drop {restored['into']}")
