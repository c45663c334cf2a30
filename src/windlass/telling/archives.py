"""What rollbacks took away: how archives are told, and written as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from windlass.records import record
from windlass.telling import console
from windlass.telling.keeping import Told
from windlass_engine import files

HEADINGS = ("ARCHIVE", "KEPT (UTC)", "MIGRATION", "TABLE", "WHAT", "ROWS", "SIZE", "STATE", "BY")


def lines(place: str, result: Mapping[str, Any]) -> Told:
    """Yield a database's archives, or what was done with one of them."""
    exported, returned, purged = result["exported"], result["put_back"], result["purged"]
    if exported:
        would = "would write" if exported.get("intended") else f"wrote {exported['rows']} rows of"
        yield f"{place}: {would} {exported['name']} to {exported['path']}", "good"
    elif returned:
        yield f"{place}: {_returned(returned)} {returned['name']}", "good"
    elif purged:
        would = "would delete the rows" if purged.get("intended") else f"deleted the {purged['rows']} rows"
        yield f"{place}: {would} of {purged['name']}", "warn"
    elif result["entries"]:
        yield f"{place}: {console.plural(len(result['entries']), 'archive')}", "head"
        rows = console.table(HEADINGS, [_cells(entry) for entry in result["entries"]], indent="  ")
        yield from ((row, "") for row in rows)
    else:
        yield f"{place}: no rollback has taken anything away here", ""


def _returned(told: Mapping[str, Any]) -> str:
    if told.get("intended"):
        return "would put back the rows of"
    return f"put {told['put_back']} of {told['rows']} rows back into {told['table']} out of"


def _cells(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    what = ", ".join(entry["columns"]) if entry["kind"] == "columns" else entry["kind"]
    size = console.size(entry["bytes"]) if entry["bytes"] else ""
    at = str(entry["at"])[:16].replace("T", " ")
    return (
        entry["name"],
        at,
        entry["migration"],
        entry["table"],
        what,
        entry["rows"],
        size,
        entry["state"],
        entry["who"],
    )


def plan_lines(plan: Mapping[str, Any]) -> Told:
    """Yield what the steps of a rollback take away, with sizes, and whether it is kept."""
    found = [(f"{n}.", loss) for n, step in enumerate(plan["steps"], 1) for loss in step.get("losses") or ()]
    if found:
        kept = "goes into an archive first" if plan.get("archive") else "will be LOST: nothing is archived"
        yield f"  what undoing takes away, and {kept}:", "" if plan.get("archive") else "bad"
        rows = [(number, loss["table"], *_loss_cells(loss)) for number, loss in found]
        yield from ((row, "") for row in console.table(("", "TABLE", "WHAT", "ROWS", "SIZE"), rows, indent="  "))
    if plan.get("unknown_losses"):
        yield f"  what undoing takes away is not known: {console.printable(plan['unknown_losses'])}", "warn"


def _loss_cells(loss: Mapping[str, Any]) -> tuple[str, ...]:
    words = {"table": "the whole table", "columns": ", ".join(loss["columns"]), "rows": "rows that it changes"}
    about = "about " if loss["about"] else ""
    count = f"{about}{loss['rows']} rows" if loss["rows"] or loss["kind"] != "rows" else ""
    return words[loss["kind"]], count, console.size(loss["bytes"]) if loss["bytes"] else ""


def write_csv(path: Path, pages: Iterable[Mapping[str, Any]]) -> int:
    """Write pages of rows as one CSV file that its owner alone may read; return the rows.

    The file appears whole or not at all.  NULL is an empty field, an empty text a pair of quotes.
    """
    record.private_folder(path.parent)
    with files.replacing(str(path), newline="") as stream:
        return _write(stream, pages)


def _write(stream: TextIO, pages: Iterable[Mapping[str, Any]]) -> int:
    """Write headings once and every value in quotes but NULL."""
    out, count = csv.writer(stream, lineterminator="\n"), 0
    for number, page in enumerate(pages):
        if number == 0:
            out.writerow(page["columns"])
        for row in page["rows"]:
            stream.write(",".join(_field(value) for value in row) + "\n")
        count += len(page["rows"])
    return count


def _field(value: str | None) -> str:
    return "" if value is None else '"' + value.replace('"', '""') + '"'
