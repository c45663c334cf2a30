"""Who waited for whom while a plan ran under load: the load for the plan, the plan for the load, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from ..dialects.answers import Wait
from ..model import Wire
from .gauging import Gauging, Span
from .load import Workload
from .statements import Ran, Statements

#: So many pairs are told, those that waited longest first.
MOST_PAIRS = 20
#: Whom the plan waits for where the server does not tell: on a copy there is nobody else.
SOMEBODY = "the load"


@dataclass
class _Waited:
    """One wait without a break, in seconds of the monotonic clock."""

    wait: Wait
    begin: float
    end: float


class Waits:
    """What was ``seen`` of a plan's ``statements`` and of the ``load`` beside it, put together."""

    def __init__(self, seen: Gauging, statements: Statements, load: Workload) -> None:
        """Ask nobody: all was seen already."""
        self._seen = seen
        self._statements = statements
        self._load = load
        self._locks = seen.spans()

    def told(self) -> Optional[list[Wire]]:
        """Return ``{who, who_sql, whom, whom_sql, table, times, longest_ms, total_ms}``, None where nobody tells.

        ``who`` and ``whom`` are scripts of the load or statements of the plan.  Those that waited longest come first.
        """
        if all(look.waits is None for look in self._seen.looks):
            return None
        pairs: dict[tuple[str, str, str, str, str], list[float]] = {}
        for waited in self._waited():
            pairs.setdefault(self._pair(waited), []).append(self._seen.net(waited.begin, waited.end))
        found: list[Wire] = [
            {
                **dict(zip(("who", "who_sql", "whom", "whom_sql", "table"), pair)),
                "times": len(lengths),
                "longest_ms": round(max(lengths) * 1000),
                "total_ms": round(sum(lengths) * 1000),
            }
            for pair, lengths in pairs.items()
        ]
        return sorted(found, key=lambda item: -item["total_ms"])[:MOST_PAIRS]

    def _waited(self) -> Iterator[_Waited]:
        """Yield each wait, put together from the looks that saw it."""
        going: dict[Wait, _Waited] = {}
        for before, look in zip(self._seen.looks, self._seen.looks[1:]):
            now = {wait: going.get(wait) or _Waited(wait, before.at, before.at) for wait in look.waits or ()}
            for waited in now.values():
                waited.end = look.at
            yield from (waited for wait, waited in going.items() if wait not in now)
            going = now
        yield from going.values()

    def _pair(self, waited: _Waited) -> tuple[str, str, str, str, str]:
        """Return who waited with which statement for whom with which, and the table."""
        wait, worker, middle = waited.wait, self._seen.worker, (waited.begin + waited.end) / 2
        if wait.waiter == worker:
            own = self._statements.at(middle)
            return (*_told(own), self._at_work(wait.holder, waited) or SOMEBODY, "", wait.table)
        who = self._at_work(wait.waiter, waited, wait.sql) or "another session"
        if wait.holder and wait.holder != worker:
            return (who, wait.sql, self._at_work(wait.holder, waited) or "another session", "", wait.table)
        # Where the server does not tell for whom: on a copy nobody but the plan locks a table.
        table, ran = self._holding(wait.table, middle)
        return (who, wait.sql, *_told(ran), table)

    def _at_work(self, pid: int, waited: _Waited, sql: str = "") -> str:
        return self._load.script_of(pid, waited.begin, waited.end, sql)

    def _holding(self, table: str, moment: float) -> tuple[str, Optional[Ran]]:
        """Return a table with the statement of the plan that took the lock of it which stood at a time."""
        there = [span for span in self._locks if span.begin <= moment <= span.end]
        there = [span for span in there if not table or _bare(span.lock.table) == _bare(table)]
        there.sort(key=lambda span: not span.lock.blocks)
        running = self._statements.at(moment)
        if not there:
            return table, running
        name = table or there[0].lock.table
        if running and running.end >= moment and not there[0].lock.blocks and running.names(name):
            return name, running  # it waits for rows: those that are being changed
        return name, self._taker(there[0], name) or running

    def _taker(self, span: Span, table: str) -> Optional[Ran]:
        """Return the statement that took a lock: one that was under way when it came, if possible one that names it."""
        candidates = list(self._statements.between(span.after, span.seen))
        named = [ran for ran in candidates if ran.names(table)]
        return next(iter(named or candidates[-1:]), None)


def _told(ran: Optional[Ran]) -> tuple[str, str]:
    return (ran.place, ran.sql) if ran else ("the plan", "")


def _bare(table: str) -> str:
    return table.rpartition(".")[2]
