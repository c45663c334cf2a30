"""What a rehearsal says: the cost of each statement, who would wait, the way back, and what the load felt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from windlass.records import rehearsals
from windlass.telling import console

#: (text, style); the styles are those of the closing lines.
Told = Iterator[tuple[str, str]]
_LONGEST_SQL = 60
#: Stands for a figure that nobody knows.
UNKNOWN = "?"


def lines(place: str, found: Mapping[str, Any]) -> Told:
    """Yield one database's rehearsal."""
    if found.get("intended"):
        yield f"{place}: would be rehearsed on {found['host']} with the backup {found['backup']}", ""
        return
    if found.get("skipped"):
        yield f"{place}: not rehearsed: {console.printable(found['skipped'])}", "bad"
        return
    restored = console.duration(found["restore_ms"])
    yield f"{place}: on a copy of {found['backup']} ({found['rows']} rows, restored in {restored})", "head"
    for part in found["parts"]:
        yield from _part(part)
    yield from _tests(found)
    yield from query_lines(found.get("queries") or ())
    yield from _load(found.get("load") or {})
    style = "bad" if found["failed"] else "good"
    yield f"  {found['failed'] or rehearsals.cost(found)}", style


def _part(part: Mapping[str, Any]) -> Told:
    """Yield a run: its statements as a table where it is the plan, and its totals."""
    spent = [console.duration(part["duration_ms"])]
    spent += [f"{console.size(part['log_bytes'])} of log"] if part["log_bytes"] is not None else []
    spent += [f"{console.size(part['temporary_bytes'])} temporary"] if part["temporary_bytes"] else []
    yield f"  {part['what']}: {', '.join(spent)}", "bad" if part["error"] else ""
    if part["what"] == "the plan":
        for text in _statements(part["statements"]):
            yield text, ""
        for text in _locks(part):
            yield text, "warn"
        for text, style in _left_behind(part):
            yield f"    {text}", style
    for table, change in part["growth"].items():
        yield f"    {table}: {_signed(change)} in all", ""
    for line in part["differences"]:
        yield f"    differs: {console.printable(line)}", "bad"


def _statements(statements: Sequence[Mapping[str, Any]]) -> list[str]:
    titles = ("WHERE", "AT", "TIME", "ROWS", "LOG", "TEMPORARY", "STATEMENT")
    rows = [
        (
            item["migration"], f"line {item['line']}", console.duration(item["duration_ms"]), str(item["rows"]),
            _size(item["log_bytes"]), temporary(item),
            console.printable(item["sql"][:_LONGEST_SQL]),
        )
        for item in statements
    ]  # fmt: skip
    return console.table(titles, rows, indent="    ") if rows else []


def temporary(statement: Mapping[str, Any]) -> str:
    """Return what a statement wrote into temporary files, "?" where that is not known, nothing for nothing."""
    written = statement.get("temporary_bytes")
    return UNKNOWN if written is None else console.size(written) if written else ""


def grown(change: Mapping[str, Any]) -> str:
    """Return by how much a statement changed a table, in words: ``public.chats +17 MB, its indexes +2 MB``."""
    own, indexes = change["own"], change["indexes"]
    if own is None:
        built = f", indexes that came or went {_signed(indexes)}" if indexes else ""
        return f"{change['table']} {_signed(change['bytes'])} with its indexes{built}"
    parts = [_signed(own)] if own or not indexes else []
    parts += [f"its indexes {_signed(indexes)}"] if indexes else []
    return f"{change['table']} {', '.join(parts)}"


def unknown(part: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is not known of a part's statements."""
    if part.get("growth_note"):
        yield str(part["growth_note"])
    elif any(item.get("growth") is None for item in part["statements"]):
        yield "by how much some statements made tables grow is not known"
    if any(item.get("temporary_bytes") is None for item in part["statements"]):
        yield f"{UNKNOWN}: what went into temporary files is not known: the server does not tell it here"


def _left_behind(part: Mapping[str, Any]) -> Told:
    """Yield by how much each statement made tables grow, and what is not known."""
    for item in part["statements"]:
        for change in item.get("growth") or ():
            yield f"{item['migration']}, line {item['line']}: {console.printable(grown(change))}", ""
    for text in unknown(part):
        yield text, "warn"


def _signed(change: int) -> str:
    return f"{'-' if change < 0 else '+'}{console.size(abs(change))}"


def _size(count: int | None) -> str:
    return "" if count is None else console.size(count)


def _locks(part: Mapping[str, Any]) -> Iterator[str]:
    for lock in part["locks"] or ():
        if lock["blocks"]:
            yield f"    {blocking(lock)}"
    if part.get("lock_note"):
        yield f"    {part['lock_note']}"


def blocking(lock: Mapping[str, Any]) -> str:
    """Return whom a lock keeps waiting, for how long and how often, in words."""
    often = f", {lock['times']} times" if lock.get("times", 1) > 1 else ""
    waited = f", {console.duration(lock['waited_ms'])} of it for its turn" if lock["waited_ms"] else ""
    length = console.duration(rehearsals.blocked_ms(lock))
    return f"{lock['blocks']} of {lock['table']} wait for {length}{often} ({lock['mode']}{waited})"


def _tests(found: Mapping[str, Any]) -> Told:
    for key, title in (("checks", "checks"), ("samples", "sample-data tests")):
        bad = [each for each in found[key] if each["failures"] or each["error"]]
        if found[key]:
            yield f"  {title}: {len(found[key]) - len(bad)} of {len(found[key])} passed", "bad" if bad else ""
        for each in bad:
            why = each["error"] or "; ".join(each["failures"][:3])
            yield f"    {each['name']}: {console.printable(why)}", "bad"


def query_lines(compared: Sequence[Mapping[str, Any]]) -> Told:
    """Yield how many known queries were compared, and those that a change made worse."""
    if not compared:
        return
    bad = [query for query in compared if query["finding"]]
    yield f"  queries: {len(compared) - len(bad)} of {len(compared)} as before", "warn" if bad else ""
    for query in bad:
        yield f"    {query['name']}: {console.printable(query['finding'])}", "warn"


def _load(load: Mapping[str, Any]) -> Told:
    if not load:
        return
    rows = [
        (title, str(figures["calls"]), f"{figures['per_s']:g}", *(f"{figures[key]:g} ms" for key in _TIMES))
        for title, figures in (("while the plan ran", load["during"]), ("without it", load["alone"]))
    ]
    yield f"  load by {load['workers']} sessions:", ""
    for text in console.table(("", "CALLS", "PER S", "P50", "P99", "WORST"), rows, indent="    "):
        yield text, ""
    for error in load["errors"]:
        yield f"    {error['count']} x {console.printable(error['message'])}", "bad"
    if load.get("waits", ()) is None:
        yield "    who waited for whom is not known: the server does not tell", "warn"
    for wait in load.get("waits") or ():
        yield f"    {console.printable(waited(wait))}", "warn"


def waited(wait: Mapping[str, Any]) -> str:
    """Return who waited for whom and for how long, in words: ``read.sql waited for 001_a, line 1 (…) …``."""
    who = _with_sql(wait["who"], wait["who_sql"])
    whom = _with_sql(wait["whom"], wait["whom_sql"])
    table = f" on {wait['table']}" if wait["table"] else ""
    longest = console.duration(wait["longest_ms"])
    spent = f"{wait['times']} times, {longest} at most" if wait["times"] > 1 else f"for {longest}"
    return f"{who} waited {spent}{table}: {whom}"


def _with_sql(name: str, sql: str) -> str:
    short = sql if len(sql) <= _LONGEST_SQL else f"{sql[:_LONGEST_SQL]}…"
    return f"{name} ({short})" if sql else name


_TIMES = ("p50_ms", "p99_ms", "worst_ms")
