"""The risk of a plan in the words and tables that console and report share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from windlass.telling import console
from windlass_engine.model import Wire

HEADINGS = ("", "RISK", "RULE", "TABLE", "LOCK", "WAITING", "WAY BACK", "ROWS", "SIZE", "NOTE")
_STYLES = {"medium": "warn", "high": "bad"}
#: What a reader of SQL puts where a script makes up a name while it runs.
_MADE_UP = "?"
#: Signs of a subject's names that are told; the rest is counted.
_NAMED = 3


def lines(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (text, style) of a plan's risk: a row for all that is alike in a step, and what lint found."""
    found = list(rows(plan))
    if found:
        whole = plan["risk"]
        yield f"  risk: {summary(whole)}", _STYLES.get(whole["open_class"], "")
        table = console.table(HEADINGS, [cells for cells, _ in found], indent="  ")
        yield from zip(table, ["", *(_STYLES.get(level, "") for _, level in found)], strict=True)
    for step in plan["steps"]:
        for finding in step.get("findings") or ():
            yield f"  {console.printable(finding_text(finding))}", "" if finding["allowed"] else "warn"


def summary(whole: Mapping[str, Any]) -> str:
    """Return the traits of a whole plan: ``high, breaking, not reversible, data loss``."""
    told = [whole["class"]]
    if whole["open_class"] != whole["class"]:
        told.append(f"{whole['open_class']} without what scripts allow")
    return ", ".join([*told, *_traits(whole)])


def _traits(risk: Mapping[str, Any]) -> list[str]:
    back = {"yes": "", "hard": "hard to roll back", "no": "not reversible"}[risk["reversible"]]
    return [word for word in ("breaking" * risk["breaking"], back, "data loss" * risk["data_loss"]) if word]


def rows(plan: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield (cells, class) for all that is alike in a step, in order."""
    for number, step in enumerate(plan["steps"], 1):
        groups: dict[tuple[Any, ...], list[Wire]] = {}
        for risk in step.get("risks") or ():
            groups.setdefault(_sameness(risk), []).append(risk)
        for found in groups.values():
            if found[0]["class"] == "zero" and found[0]["rule"].endswith("-object") and len(groups) > 1:
                continue  # a helper, a comment: worth a line only where there is nothing else
            level = found[0]["class"] if not found[0]["allowed"] else ""
            yield _cells(number, found), level


def _sameness(risk: Mapping[str, Any]) -> tuple[Any, ...]:
    table = "new tables" if risk["new_table"] else risk["table"]
    return (risk["rule"], risk["class"], table, risk["lock"], risk["note"], risk["allowed"], risk["reversible"])


def _cells(number: int, found: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    first = found[0]
    level = first["class"] + (", breaking" if first["breaking"] else "") + (", data loss" if first["data_loss"] else "")
    way_back = {"yes": "", "hard": "hard", "no": "NONE"}[first["reversible"]]
    stands = not first["new_table"] and first["bytes"]
    return (
        f"{number}.", level, f"{first['rule']}{f' ({len(found)})' if len(found) > 1 else ''}",
        "new" if first["new_table"] else _table(first["table"]), "" if first["new_table"] else first["lock"],
        _waiting(found), way_back,
        str(first["rows"]) if stands else "", console.size(first["bytes"]) if stands else "", _note(found),
    )  # fmt: skip


def _table(name: str) -> str:
    """Return a table's name, or that the script makes it up while it runs."""
    return "(named by the script)" if _MADE_UP in name.split(".") else name


def _waiting(found: Sequence[Mapping[str, Any]]) -> str:
    """Return who waits and for how long, roughly."""
    first, took = found[0], sum(risk["estimate_ms"] for risk in found)
    if first["waits"] == "nobody":
        return f"nobody, works about {console.duration(took)}" if took >= 1000 else ""
    if not first["lock"]:
        return ""
    return f"{first['waits']}, about {console.duration(took)}" if took >= 100 else f"{first['waits']}, for a moment"


def _note(found: Sequence[Mapping[str, Any]]) -> str:
    """Return why it is allowed, what is not known, or the names of what it is about."""
    first = found[0]
    if first["allowed"]:
        return f"allowed: {first['allowed']}"
    if first["note"]:
        return f"line {first['line']}: {first['note']}"
    if first["new_table"] or first["class"] == "zero":
        return ""
    names = list(dict.fromkeys(risk["subject"] for risk in found if risk["subject"] not in ("", _MADE_UP)))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    traffic = f"; {first['writes_s']:.0f} rows/s written" if first["writes_s"] >= 1 else ""
    return ", ".join(names[:_NAMED]) + more + traffic


def finding_text(finding: Mapping[str, Any]) -> str:
    """Return what lint found, in one line."""
    place = f"{finding['path']}:{finding['line']}" if finding["line"] else finding["path"]
    because = f" (allowed: {finding['allowed']})" if finding["allowed"] else ""
    return f"lint: {place}: {finding['message']} [{finding['rule']}]{because}"
