"""Watches a run from a second session: which tables it locks and for how long, and what it writes.

The run itself is not touched: it goes through the very code of a deployment.  A look is taken every few milliseconds,
so what is shorter than that may not be seen.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from ..dialects.answers import Gauge
from ..dialects.link import ServerError
from ..errors import WindlassError
from ..model import Target, Wire
from ..session import Session, connect

#: Pause between two looks (seconds): short beside any lock that somebody would notice.
PAUSE_S = 0.01


@dataclass(frozen=True)
class Look:
    """What was seen at a time (seconds of the monotonic clock)."""

    at: float
    gauge: Gauge


class Gauging:
    """A thread that looks until it is told to stop: ``with Gauging(target) as seen: …``, then ask ``seen``."""

    def __init__(self, target: Target) -> None:
        """Nothing is connected yet."""
        self._target = target
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="windlass gauging", daemon=True)
        self._began = 0.0
        self.looks: list[Look] = []

    def __enter__(self) -> Gauging:
        """Begin."""
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, after one look more."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        """Look until told to stop.  A server that does not let itself be looked at leaves what was seen so far."""
        try:
            with connect(self._target, "windlass gauging") as session:
                if "gauges" not in session.dialect.capabilities:
                    return
                pid = 0
                while not self._stop.wait(PAUSE_S):
                    pid = pid or _worker(session)
                    self._look(session, pid)
                self._look(session, pid)
        except (ServerError, WindlassError):
            return

    def _look(self, session: Session, pid: int) -> None:
        self.looks.append(Look(time.monotonic(), session.dialect.gauge(session.link, pid)))

    # ------------------------------------------------------------ what was seen

    def log_bytes(self, begin: float, end: float) -> Optional[int]:
        """Return how much log the server wrote between two times, as far as looks tell; None where it does not."""
        known = [(look.at, look.gauge.log_bytes) for look in self.looks if look.gauge.log_bytes is not None]
        if not known:
            return None
        times = [at for at, _ in known]
        first = max(bisect_left(times, begin) - 1, 0)
        last = min(bisect_left(times, end), len(known) - 1)
        return max((known[last][1] or 0) - (known[first][1] or 0), 0)

    def locks(self) -> Optional[list[Wire]]:
        """Return each table lock that was seen: ``{table, mode, blocks, held_ms, waited_ms}``; None: nobody tells."""
        if not any(look.gauge.locks is not None for look in self.looks):
            return None
        spans: dict[tuple[str, str, str], dict[str, float]] = {}
        for before, look in zip(self.looks, self.looks[1:]):
            for lock in look.gauge.locks or ():
                span = spans.setdefault((lock.table, lock.mode, lock.blocks), {"held": 0.0, "waited": 0.0})
                span["held" if lock.granted else "waited"] += look.at - before.at
        return [
            {"table": table, "mode": mode, "blocks": blocks, **_milliseconds(span)}
            for (table, mode, blocks), span in sorted(spans.items())
        ]


def longest_block(locks: Optional[Sequence[Wire]]) -> Optional[Wire]:
    """Return the lock that keeps others waiting longest, None where none was seen."""
    blocking = [lock for lock in locks or () if lock["blocks"]]
    return max(blocking, key=lambda lock: lock["held_ms"], default=None)


def _worker(session: Session) -> int:
    """Return the session that runs the migrations: it holds the deployer lock; 0 before it has it."""
    holder = session.dialect.lock_holder(session.link)
    return holder.pid if holder else 0


def _milliseconds(span: dict[str, float]) -> Wire:
    return {"held_ms": round(span["held"] * 1000), "waited_ms": round(span["waited"] * 1000)}
