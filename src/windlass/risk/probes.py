"""Which searches for bad rows a plan asks for, and what their answers mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.risk.action import Action
from windlass_engine.model import Probe

#: Rules after which the rows of a table are not those of today.
_CHANGES_ROWS = ("update-rows", "delete-rows", "insert-rows", "backfill", "truncate", "modify-column")


@dataclass(frozen=True)
class Asked:
    """A search, the number of the statement that it is for, and why its answer may be out of date by then."""

    statement: int
    probe: Probe
    changed_before: bool = False


def asked(actions: Sequence[tuple[int, Action]]) -> list[Asked]:
    """Return the searches for (number of the statement, action) pairs in order; tables made on the way need none."""
    made: set[tuple[str, ...]] = set()
    touched: set[tuple[str, ...]] = set()
    promised = False
    found = []
    for number, action in actions:
        for probe in action.probes:
            if probe.table not in made:
                found.append(Asked(number, probe, promised or probe.table in touched))
        if action.rule == "add-table":
            made.add(action.table)
        if action.rule in _CHANGES_ROWS:
            touched.add(action.table)
        promised = promised or action.rule == "opaque"
    return found


def words(probe: Probe, answer: Mapping[str, Any]) -> str:
    """Return what was found, in words; an empty string for nothing."""
    if answer["unknown"]:
        return ""
    if not answer["found"]:
        return ""
    table, columns = ".".join(probe.table), ", ".join(probe.columns)
    many = f"{answer['found']} " if answer["found"] > 0 else ""
    told = {
        "nulls": f"{many}rows of {table} have no value in {columns}",
        "rows": f"{table} holds {many}rows, which would have no value in {columns}",
        "duplicates": f"{many}values of {columns or 'the key'} stand in more than one row of {table}",
        "orphans": f"{many}rows of {table} point by {columns} to no row of {'.'.join(probe.other)}",
        "violations": f"{many}rows of {table} violate {probe.condition}",
        "unvalidated": f"{many}rows of {table} violate {columns}",
        "unfit": f"{many}values of {table}.{columns} do not fit into {probe.type}",
    }[probe.kind]
    examples = "; ".join(str(item) for item in answer["examples"])
    return f"{told}, such as {examples}" if examples else told
