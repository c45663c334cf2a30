"""What a run tells of its progress: while the server works, so that telling keeps nobody waiting."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timezone
from typing import Callable

from ..model import Wire

#: These come with every small statement; they wait until the next one is on its way.
_MAY_WAIT = frozenset({"step_started", "statement_started", "statement_done", "step_done"})


class Telling:
    """An emit that adds database and time: the time at which it was called, however late it passes things on."""

    def __init__(self, emit: Callable[[Wire], None], database: str) -> None:
        """Pass on to ``emit``."""
        self._emit = emit
        self._database = database
        self._held: deque[tuple[datetime, Wire]] = deque()

    def __call__(self, event: Wire) -> None:
        """Take an event, and pass it on now unless it may wait for :meth:`flush`."""
        self._held.append((datetime.now(timezone.utc), event))
        if event["event"] not in _MAY_WAIT:
            self.flush()

    def flush(self) -> None:
        """Pass on what waits, in order: a few at a time, for a pile of them would keep an idle server waiting."""
        while self._held:
            at, event = self._held.popleft()
            self._emit({"at": at.isoformat(timespec="milliseconds"), "database": self._database, **event})
