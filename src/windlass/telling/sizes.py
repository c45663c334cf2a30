"""How large tables were before a run and are after it: those that it worked on, and those that changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from windlass.telling import console

#: (table, before, after, of these the indexes before, after) in words.
Row = tuple[str, str, str, str, str]
HEADINGS = ("TABLE", "BEFORE", "AFTER", "CHANGE", "INDEXES")
#: So many are told on a terminal.
MOST = 10


def rows(data: Mapping[str, Any]) -> list[Row]:
    """Return a database's tables: first those that changed, then those that the plan worked on and left as large."""
    found = (data.get("run") or {}).get("sizes")
    if found is None:
        return []
    changed = {item["table"] for item in found}
    return [*map(_changed, found), *_unchanged(data.get("plan") or {}, changed)]


def _changed(item: Mapping[str, Any]) -> Row:
    before = console.size(item["before"]) if item["before"] else "new"
    after = console.size(item["after"]) if item["after"] else "gone"
    indexes = [console.size(item[key]) for key in ("indexes_before", "indexes_after") if item[key]]
    return (item["table"], before, after, _change(item["after"] - item["before"]), " → ".join(dict.fromkeys(indexes)))


def _change(difference: int) -> str:
    return f"{'+' if difference > 0 else '-'}{console.size(abs(difference))}"


def _unchanged(plan: Mapping[str, Any], changed: set[str]) -> Iterator[Row]:
    """Yield the tables that statements worked on, as large as the plan had found them."""
    risks = [risk for step in plan.get("steps") or () for risk in step.get("risks") or ()]
    known = {risk["table"]: risk["bytes"] for risk in risks if risk["table"] and risk["bytes"]}
    bare = {name.rpartition(".")[2] for name in changed}
    for table, size in known.items():
        if table.rpartition(".")[2] not in bare:
            yield (table, console.size(size), console.size(size), "", "")
