"""The lines that every view is made of: tables, errors, SQL that would run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from windlass.records import record
from windlass.telling import console
from windlass_engine.errors import WindlassError


class Line(NamedTuple):
    """One line of output; ``style`` is "", head, good, bad, warn or dim."""

    text: str
    style: str = ""


Lines = Iterator[Line]


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]], bad: Sequence[bool] = ()) -> Lines:
    """Yield a table with its heading; ``bad`` rows stand out."""
    if not rows:
        return
    heading, *body = console.table(headings, rows)
    yield Line("")
    yield Line(heading, "dim")
    for index, text in enumerate(body):
        yield Line(text, "bad" if bad and bad[index] else "")


def dry_run_sql(host: str, database: str, result: Mapping[str, Any]) -> Lines:
    """Yield the SQL that would run, under the name of each migration."""
    for migration, items in groupby(result.get("sql") or (), key=lambda item: item["migration"]):
        yield Line("")
        yield Line(f"-- {host} {database}: {migration}", "head")
        for item in items:
            text = str(item["sql"]).strip()
            ended = text if text.endswith((";", "\\.")) else f"{text};"
            yield from (Line("  " + console.printable(line.expandtabs(4))) for line in ended.splitlines())


def host_errors(run: record.Record) -> Lines:
    """Yield a reminder for each of many hosts that failed: the failure itself was shown when it came."""
    if len(run["hosts"]) < 2:
        return
    bad = [(host, part) for host, part in run["hosts"].items() if part["error"]]
    yield from (Line(f"{host}: {part['status']}: {part['error']['code']}", "bad") for host, part in bad)


def failure(error: Mapping[str, Any]) -> Iterator[str]:
    """Yield an error for people: where, what, what next, and the difference where there is one."""
    text = str(WindlassError.from_wire({"hint": "", "where": {}, "detail": {}, **error}))
    first, *others = text.splitlines()
    yield f"FAILED  {console.printable(first)}"
    yield from (f"  {console.printable(line.removeprefix('  '))}" for line in others)  # none passes for a line of ours
    difference = (error.get("detail") or {}).get("diff")
    if difference:
        texts = difference.splitlines() if isinstance(difference, str) else difference
        yield from (f"    {console.printable(line)}" for line in texts)


def repetition(error: Mapping[str, Any], first: str) -> str:
    """Return the line for a failure that is the same as an earlier one of the host ``first``, but for the place."""
    where = error.get("where") or {}
    place = ", ".join(f"{key} {where[key]}" for key in ("host", "database") if where.get(key))
    return f"FAILED  {console.printable(place)}: the same as on {first}"


def moment(at: Any) -> str:
    """Return an ISO time as ``2025-11-21 04:05:06``."""
    return str(at or "")[:19].replace("T", " ")
