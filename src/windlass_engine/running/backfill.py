"""A batched UPDATE by key ranges: each batch commits together with its position, so it goes on where it stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Callable, Optional

from ..dialects.link import Tick
from ..messages import Messages
from ..model import JournalEntry, Statement, Step, Wire
from ..project.directives import BATCH_MARK
from ..session import Session

#: Seconds between two signs of life in a long pause; far less than the silence at which a server gives a session up.
SIGN_OF_LIFE_S = 15.0
Range = tuple[Optional[str], str]


class Backfill:
    """One statement's walk over a table's keys, lowest first."""

    def __init__(
        self,
        session: Session,
        step: Step,
        number: int,
        statement: Statement,
        emit: Callable[[Wire], None],
        as_self: Callable[[tuple[str, ...]], tuple[str, ...]],
    ) -> None:
        """Prepare; nothing is sent yet.  ``as_self`` gives what writes marks in the login's own role."""
        assert statement.backfill is not None
        self._as_self = as_self
        self._session = session
        self._step = step
        self._number = number
        self._emit = emit
        self._plan = statement.backfill
        self._sql = step.script.sql(statement)
        self._last: Optional[str] = None
        self.rows = 0

    def resume(self, entry: Optional[JournalEntry]) -> None:
        """Go on after the last key that an earlier run committed, where there was one."""
        if entry is None or entry.started != self._number:
            return
        found = self._session.query(self._session.dialect.journal.read_position(self._step, self._number))
        if found:
            self._last, self.rows = found[0]

    def ranges(self) -> Iterator[Range]:
        """Yield (after, up to) key ranges of ``batch`` keys, as text."""
        while True:
            upper = self._upper()
            if upper is None:
                return
            yield self._last, upper
            self._last = upper
            self._emit(
                {
                    "event": "progress",
                    "migration": self._step.name,
                    "statement": self._number,
                    "phase": f"backfill, key {upper}",
                    "done": self.rows,
                    "total": 0,
                }
            )
            self._pause()

    def _pause(self) -> None:
        """Wait between batches, with a sign of life now and then: a server gives silent deployers up."""
        until = time.monotonic() + self._plan.pause_ms / 1000
        while True:
            left = until - time.monotonic()
            time.sleep(max(0.0, min(left, SIGN_OF_LIFE_S)))
            if left <= SIGN_OF_LIFE_S:
                return
            self._session.query("SELECT 1")

    def run_batch(self, bounds: Range, messages: Messages, timeouts: tuple[int, int], tick: Tick) -> int:
        """Update one range and record its end in the same transaction; return its rows.  Raise Refused."""
        dialect = self._session.dialect
        messages.put_off(dialect.begin(*timeouts))
        rows = messages.send(self._sql.replace(BATCH_MARK, self._condition(bounds)), (), tick)
        first, *rest = self._as_self((dialect.journal.position(self._step, self._number, bounds[1], rows),))
        messages.send(first, (*rest, "COMMIT"))
        self.rows += rows
        return rows

    def _condition(self, bounds: Range) -> str:
        """Return the range as SQL that continues a WHERE."""
        dialect, key = self._session.dialect, self._session.dialect.identifier(self._plan.key)
        after, upto = bounds
        lower = f" AND {key} > {dialect.literal(after)}" if after is not None else ""
        return f"{lower} AND {key} <= {dialect.literal(upto)} "

    def _upper(self) -> Optional[str]:
        """Return the last key of the next batch, or None where no key is left."""
        dialect = self._session.dialect
        key = dialect.identifier(self._plan.key.rpartition(".")[2])
        after = f"WHERE {key} > {dialect.literal(self._last)}" if self._last is not None else ""
        table = dialect.identifier(self._plan.table)
        rows = self._session.query(dialect.last_of_batch(table, key, after, self._plan.batch))
        return str(rows[0][0]) if rows else None
