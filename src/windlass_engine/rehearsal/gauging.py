"""Watches a run from a second session: which tables it locks and for how long, who waits, and what it writes.

The run itself is not touched: it goes through the very code of a deployment.  A look is taken every few milliseconds,
so what is shorter than that may not be seen.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Callable, Optional

from ..dialects.answers import Gauge, HeldLock, Wait
from ..dialects.link import ServerError
from ..errors import WindlassError
from ..model import Target, Wire
from ..session import Session, connect

#: Pause between two looks (seconds): short beside any lock that somebody would notice.
PAUSE_S = 0.01
#: The first look is waited for so long (seconds).
READY_S = 10.0


@dataclass(frozen=True)
class Look:
    """What was seen between two times: when the server was asked, and when its answer was there.

    In seconds of the monotonic clock.
    """

    asked: float
    at: float
    gauge: Gauge
    waits: Optional[tuple[Wait, ...]] = None


@dataclass
class Span:
    """A lock of a table without a break, in seconds of the monotonic clock; for ``held`` of them it was had.

    It came between ``after``, when the last look without it was asked for, and ``seen``, when the first with it was
    there; ``begin`` is the end of that last look.
    """

    lock: HeldLock
    after: float
    begin: float
    seen: float
    end: float
    held: float = 0.0

    @property
    def length(self) -> float:
        """Return how long it was there at most (seconds)."""
        return self.end - self.begin


def _all_of_it(begin: float, end: float) -> float:
    return end - begin


class Gauging:
    """A thread that looks until it is told to stop: ``with Gauging(target) as seen: …``, then ask ``seen``.

    ``waits``: look for whom others wait, too.  ``worker`` is the session that was looked at, 0 before it was known.
    ``standing`` are the tables that others can be at work on, None for all: nobody waits for a lock on another.
    ``net`` gives the seconds between two times that are the run's own.
    """

    def __init__(self, target: Target, waits: bool = False, net: Callable[[float, float], float] = _all_of_it) -> None:
        """Nothing is connected yet."""
        self.net = net
        self._target = target
        self._waits = waits
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="windlass gauging", daemon=True)
        self.worker = 0
        self.looks: list[Look] = []
        self.standing: Optional[frozenset[str]] = None

    def __enter__(self) -> Gauging:
        """Begin, and return when the first look was taken: what comes after it is seen."""
        self._thread.start()
        self._ready.wait(READY_S)
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
                self._look(session)
                while not self._stop.wait(PAUSE_S):
                    self.worker = self.worker or _worker(session)
                    self._look(session)
                self._look(session)
        except (ServerError, WindlassError):
            return
        finally:
            self._ready.set()

    def _look(self, session: Session) -> None:
        asked = time.monotonic()
        gauge = session.dialect.gauge(session.link, self.worker)
        at = time.monotonic()
        waits = session.dialect.waits(session.link) if self._waits else None
        self.looks.append(Look(asked, at, gauge, waits))
        self._ready.set()

    # ------------------------------------------------------------ what was seen

    def log_bytes(self, begin: float, end: float) -> Optional[int]:
        """Return how much log the server wrote between two times, as far as looks tell; None where it does not."""
        return _between([(look.at, look.gauge.log_bytes) for look in self.looks], begin, end)

    def temporary_bytes(self, begin: float, end: float) -> Optional[int]:
        """Return how much temporary space was taken between two times; None where no look tells."""
        return _between([(look.at, look.gauge.temporary) for look in self.looks], begin, end)

    def unseen_s(self, begin: float, end: float) -> float:
        """Return the longest time between two times that lay between two looks: what came and went then is not known.

        That is little where looks are quick, and the rest of a run where they broke off.
        """
        looks = [look for look in self.looks if look.at > begin and look.asked < end]
        since, until = [begin, *(look.asked for look in looks)], [*(look.at for look in looks), end]
        return max(min(later, end) - max(earlier, begin) for earlier, later in zip(since, until))

    @property
    def note(self) -> str:
        """Return what of the locks is not known, and what would let the server tell."""
        told = [look.gauge for look in self.looks if look.gauge.note]
        return next((gauge.note for gauge in told if gauge.locks is not None), told[0].note if told else "")

    def spans(self) -> list[Span]:
        """Return every lock that was seen, in the order in which they were."""
        found: list[Span] = []
        going: dict[tuple[str, str, str], Span] = {}
        for before, look in zip(self.looks, self.looks[1:]):
            now: dict[tuple[str, str, str], Span] = {}
            for lock in sorted(map(self._felt, look.gauge.locks or ()), key=lambda lock: not lock.granted):
                key = (lock.table, lock.mode, lock.blocks)
                span = now[key] = (
                    now.get(key) or going.get(key) or Span(lock, before.asked, before.at, look.at, before.at)
                )
                span.held += self.net(span.end, look.at) if lock.granted else 0.0
                span.end = look.at
            found += [span for key, span in now.items() if key not in going]
            going = now
        return found

    def _felt(self, lock: HeldLock) -> HeldLock:
        """Return a lock; one of a table that nobody knows yet keeps nobody waiting."""
        known = self.standing is None or lock.table.lower() in self.standing
        return lock if known else replace(lock, blocks="")

    def locks(self) -> Optional[list[Wire]]:
        """Return each table lock that was seen; None: nobody tells.

        ``{table, mode, blocks, times, held_ms, waited_ms, longest_ms}``: had and waited for in all, and the longest
        time without a break from asking for it to its end, in which others had to wait.
        """
        if not any(look.gauge.locks is not None for look in self.looks):
            return None
        found: dict[tuple[str, str, str], list[Span]] = {}
        for span in self.spans():
            found.setdefault((span.lock.table, span.lock.mode, span.lock.blocks), []).append(span)
        return [
            {"table": table, "mode": mode, "blocks": blocks, **self._times(spans)}
            for (table, mode, blocks), spans in sorted(found.items())
        ]

    def _times(self, spans: Sequence[Span]) -> Wire:
        held = sum(span.held for span in spans)
        length = [self.net(span.begin, span.end) for span in spans]
        return {
            "times": len(spans),
            "held_ms": round(held * 1000),
            "waited_ms": round((sum(length) - held) * 1000),
            "longest_ms": round(max(length) * 1000),
        }


def _between(told: Sequence[tuple[float, Optional[int]]], begin: float, end: float) -> Optional[int]:
    """Return by how much a counter rose between two times; one that falls back went with its session."""
    known = [(at, value) for at, value in told if value is not None]
    if not known:
        return None
    times = [at for at, _ in known]
    values = list(accumulate((value for _, value in known), max))
    first = max(bisect_left(times, begin) - 1, 0)
    last = min(bisect_left(times, end), len(known) - 1)
    return max(values[last] - values[first], 0)


def longest_block(locks: Optional[Sequence[Wire]]) -> Optional[Wire]:
    """Return the lock that keeps others waiting longest, None where none was seen."""
    blocking = [lock for lock in locks or () if lock["blocks"]]
    return max(blocking, key=lambda lock: lock["longest_ms"], default=None)


def _worker(session: Session) -> int:
    """Return the session that runs the migrations: it holds the deployer lock; 0 before it has it."""
    holder = session.dialect.lock_holder(session.link)
    return holder.pid if holder else 0
