"""When each statement of a plan ran: taken from the run's own events."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Optional

from ..model import Wire


@dataclass(frozen=True)
class Ran:
    """One statement: where it stands, its text, and when it ran (seconds of the monotonic clock)."""

    migration: str
    statement: int
    line: int
    sql: str
    begin: float
    end: float
    rows: int = 0

    @property
    def place(self) -> str:
        """Return where it stands, in words."""
        return f"{self.migration}, line {self.line}"

    def names(self, table: str) -> bool:
        """Return whether its text names a table, with or without its schema."""
        return bool(table) and table.rpartition(".")[2].lower() in self.sql.lower()


class Statements:
    """Takes a run's events and keeps its statements, also one that did not end."""

    def __init__(self) -> None:
        """Nothing has run yet.  Events carry the time of day; ``offset`` leads to the monotonic clock."""
        self._offset = time.time() - time.monotonic()
        self._begun: dict[tuple[str, int], tuple[float, Wire]] = {}
        self._given_up: list[Ran] = []
        self.done: list[Ran] = []

    def __call__(self, event: Wire) -> None:
        """Keep what is of a statement."""
        if event["event"] not in ("statement_started", "statement_done"):
            return
        at = datetime.fromisoformat(event["at"]).timestamp() - self._offset
        key = (event["migration"], event["statement"])
        if event["event"] == "statement_started":
            if key in self._begun:  # it gave way to others, and is tried again
                began, earlier = self._begun[key]
                self._given_up.append(_ran(earlier, began, at, 0))
            self._begun[key] = (at, event)
        elif key in self._begun:
            begin = at - (event["duration_ms"] + event.get("measuring_ms", 0)) / 1000
            self.done.append(_ran(self._begun.pop(key)[1], begin, at, event["rows"]))

    def all(self) -> list[Ran]:
        """Return every statement and try in the order in which they began; what did not end is still under way."""
        open_ones = (_ran(event, at, float("inf"), 0) for at, event in self._begun.values())
        return sorted([*self.done, *self._given_up, *open_ones], key=lambda ran: ran.begin)

    def at(self, moment: float) -> Optional[Ran]:
        """Return the statement that ran at a time, or else the last before it."""
        return next((ran for ran in reversed(self.all()) if ran.begin <= moment), None)

    def between(self, begin: float, end: float) -> Iterator[Ran]:
        """Yield the statements that were under way between two times."""
        return (ran for ran in self.all() if ran.begin <= end and ran.end >= begin)


def _ran(started: Wire, begin: float, end: float, rows: int) -> Ran:
    return Ran(started["migration"], started["statement"], started["line"], started["sql"], begin, end, rows)
