"""Small migrations one after the other, each with the server before its turn, so that it never waits for us.

Each is one message and a transaction of its own as ever.  The server throws away what follows an error, so nothing is
applied behind a migration that failed.  Only one waits, so a killed run begins no more than one that nobody follows.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Optional

from ..dialects.link import ServerError
from ..messages import refused
from ..model import Step
from .context import Context
from .patience import Patience

#: The migration that the server works on, and the one behind it.
AHEAD = 2


class Ahead:
    """Runs those of a plan's steps that can follow one another so."""

    def __init__(self, context: Context, patience: Patience) -> None:
        """Nothing is sent yet."""
        self._context = context
        self._patience = patience
        self._results: Optional[Generator[list[int], None, None]] = None
        self._last: Optional[Step] = None

    def takes(self, step: Step) -> bool:
        """Return whether a step is one message, and can be sent before those in front of it have ended."""
        context = self._context
        return (
            not context.measuring
            and len(step.script.statements) == 1
            and step.action in ("apply", "reapply")
            and not step.resumed
            and context.dialect.can_follow(step.script)
            and not context.leaves_settings(step)
        )

    def run(self, step: Step) -> int:
        """Run a step, or take the results of one that was sent; return the rows affected.  Raise Refused."""
        if self._results is None:
            self._begin(step)
        assert self._results is not None
        try:
            rows = self._receive(step, self._results)
        except BaseException:
            self._end()
            raise
        if step is self._last:
            self._end()
        return rows

    def _begin(self, step: Step) -> None:
        """Start a stream of this step and those behind it."""
        every = self._context.plan.steps
        steps = []
        for item in every[every.index(step) :]:
            if not self.takes(item):
                break
            steps.append(item)
        self._context.prepare(steps)
        self._last = steps[-1]
        self._results = self._context.session.link.stream(self._messages(steps), AHEAD, self._context.tick)

    def _end(self) -> None:
        """Leave the stream; what was sent and not begun is not run."""
        if self._results:
            self._results.close()
        self._results = None

    def _messages(self, steps: Iterable[Step]) -> Iterator[Sequence[str]]:
        """Yield each step's one message: what opens its transaction, the statement, and what closes it."""
        for step in steps:
            sql = step.script.sql(step.script.statements[0])
            yield (*self._opening(step), sql, *self._context.closing(step, prepared=True), "COMMIT")

    def _opening(self, step: Step) -> tuple[str, ...]:
        """Return what opens a step's transaction."""
        return self._context.dialect.begin(*self._patience.timeouts(step))

    def _receive(self, step: Step, results: Iterator[list[int]]) -> int:
        """Take a step's result."""
        context, opening, began = self._context, self._opening(step), time.monotonic()
        context.begin(step, 1, step.script.statements[0])
        try:
            rows = next(results)[len(opening)]
        except ServerError as error:
            raise refused(error, opening) from error
        context.end(step, 1, began, rows)
        return rows
