"""Losing a lock is not an error yet: short timeouts, growing pauses, and the names of those who block.

A short lock timeout keeps an ALTER from queueing behind a long transaction, where every later reader would queue
behind it in turn.
"""

from __future__ import annotations

import random
import time
from typing import Callable

from ..errors import WindlassError
from ..messages import Refused
from ..model import Step
from .context import Context
from .watch import blockers_text

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0


class Patience:
    """Tries again what lost a lock."""

    def __init__(self, context: Context) -> None:
        """Count from nothing."""
        self._context = context
        self.retries = 0

    def timeouts(self, step: Step) -> tuple[int, int]:
        """Return (lock timeout, statement timeout) in milliseconds: the script's own, else the policy's."""
        asked = step.script.directives
        lock = self._context.options.lock_timeout_ms if asked.lock_timeout_ms is None else asked.lock_timeout_ms
        return lock, asked.statement_timeout_ms or 0

    def try_until_had(self, step: Step, work: Callable[[], int], what: str) -> int:
        """Do work that is undone whole when it loses a lock; return the rows it affected.

        Raises Refused for every other failure, WindlassError (lock_timeout) when the retries are used up.
        """
        asked = step.script.directives.lock_retries
        retries = self._context.options.lock_retries if asked is None else asked
        attempt = 0
        while True:
            try:
                return work()
            except Refused as refused:
                self._roll_back(refused)
                attempt += 1
                if not self._context.dialect.is_lock_failure(refused.error):
                    raise
                if attempt > retries:
                    raise self._used_up(refused, attempt, what) from refused
                # A wait of a fifth of a second is over before a second session could be opened to look at it.
                self._context.watch.eager()
                self.pause(step, attempt, retries, refused.error.message)

    def pause(self, step: Step, attempt: int, of: int, reason: str) -> None:
        """Wait before the next try: 0.1 s at first, half as long again each time, 10 s at most, never in step."""
        self.retries += 1
        seconds = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 1.5 ** (attempt - 1)) * random.uniform(0.8, 1.2)
        blockers = blockers_text(self._context.watch.blockers)
        event = {"event": "retry", "migration": step.name, "attempt": attempt, "of": of, "reason": reason}
        self._context.emit({**event, "pause_ms": int(seconds * 1000), "blockers": blockers})
        time.sleep(seconds)

    def _roll_back(self, refused: Refused) -> None:
        """Give up the open transaction, where there is still somebody to say it to."""
        self._context.messages.forget()
        if not refused.error.lost:
            self._context.session.run("ROLLBACK")

    def _used_up(self, refused: Refused, attempts: int, what: str) -> WindlassError:
        """Return the error of a lock that could not be had."""
        seen = blockers_text(self._context.watch.blockers) or "none seen in the end"
        return WindlassError(
            "lock_timeout",
            f"{what}: {refused.error.message}, {attempts} times; blocking sessions: {seen}",
            hint="end the blocking sessions or deploy when they are gone "
            "(windlass_policy has lock_timeout and lock_retries)",
        )
