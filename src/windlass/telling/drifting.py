"""Drift in words: what others changed, and the SQL that undoes or adopts it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from windlass.telling import console
from windlass_engine.errors import WindlassError

Told = Iterator[tuple[str, str]]
SIGNS = {"added": "+", "missing": "-", "changed": "~"}
#: Objects that are named in one line; the rest is counted.
_NAMED = 5


def headline(drift: Mapping[str, Any]) -> str:
    """Return what changed in one line, an empty text for nothing."""
    changes = drift["changes"]
    if not changes:
        return ""
    names = [f"{SIGNS[item['what']]} {item['kind']} {item['identity']}" for item in changes[:_NAMED]]
    more = f" and {len(changes) - _NAMED} more" if len(changes) > _NAMED else ""
    known = drift["known"]
    return f"changed since the run {known['run_id']} of {known['who']} ({known['at']}): {', '.join(names)}{more}"


def refuse(host: str, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ``drift_found`` for the first database with drift."""
    for name, drift in found.items():
        if drift["changes"]:
            raise error(name, drift).located(host=host)


def in_the_way(database: str, drift: Mapping[str, Any]) -> WindlassError:
    """Return the refusal to deploy over drift, which an emergency can pass."""
    found = error(database, drift)
    found.hint += '; in an emergency: --break-glass "REASON", which is recorded'
    return found


def error(database: str, drift: Mapping[str, Any]) -> WindlassError:
    """Return that there is drift, as a failure."""
    return WindlassError(
        "drift_found",
        f"the schema was {headline(drift)}",
        hint="`invoke drift --env ENV` shows the SQL that undoes or adopts it; what shall stay as it is: "
        "invoke drift --env ENV --accept",
        where={"database": database},
    )


def lines(place: str, drift: Mapping[str, Any]) -> Told:
    """Yield (text, style) of one database's drift."""
    if drift["unknown"]:
        yield f"{place}: drift is not known: {drift['unknown']}", "warn"
        if drift.get("accepted"):
            yield "  the schema as it stands is kept from now on", "good"
        return
    if not drift["changes"]:
        yield f"{place}: no drift since the run {drift['known']['run_id']} ({drift['known']['at']})", "good"
        return
    accepted = ", accepted" if drift.get("accepted") else ""
    yield f"{place}: {console.plural(len(drift['changes']), 'change')}{accepted}", "head"
    yield f"  since the run {drift['known']['run_id']} of {drift['known']['who']} ({drift['known']['at']})", "dim"
    for item in drift["changes"]:
        yield from _change(item)
    yield from _script("to undo it:", [item["undo"] for item in reversed(drift["changes"])])
    yield from _script("to adopt it, in a new migration:", [item["adopt"] for item in drift["changes"]])
    by_hand = [f"{i['kind']} {i['identity']}" for i in drift["changes"] if i["undo"] is None or i["adopt"] is None]
    if by_hand:
        yield f"  by hand, one way or both: {', '.join(by_hand)}", "warn"


def _change(item: Mapping[str, Any]) -> Told:
    style = {"added": "good", "missing": "bad", "changed": "warn"}[item["what"]]
    yield f"  {SIGNS[item['what']]} {item['kind']} {console.printable(item['identity'])}", style
    if item["what"] == "changed":
        yield f"      was {console.printable(_short(item['before']))}", ""
        yield f"      is  {console.printable(_short(item['after']))}", ""


def _short(text: str) -> str:
    return text if len(text) <= 300 else text[:299] + "…"


def _script(title: str, statements: Sequence[str | None]) -> Told:
    """Yield SQL that can be copied as it stands."""
    texts = [text for text in statements if text]
    if texts:
        yield f"  {title}", "dim"
        for text in texts:
            yield from ((f"    {console.printable(line)}", "") for line in f"{text};".splitlines())
