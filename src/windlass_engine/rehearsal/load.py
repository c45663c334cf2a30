"""Load on a copy while a plan runs there: a system's own statements, by several sessions, each one's time kept."""

from __future__ import annotations

import random
import threading
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, takewhile
from typing import Optional

from ..dialects.link import ServerError
from ..errors import WindlassError
from ..model import Script, Target, Wire
from ..session import Session, connect

#: The load runs alone for so long before and after (seconds): what it is like without the plan.
ALONE_S = 2.0
#: Points of the picture over time.
BUCKETS = 60
#: Kinds of errors that are told.
MOST_ERRORS = 5


@dataclass(frozen=True)
class Sample:
    """One call of a script: when it began (seconds since the load did), how long it took, and its error if any.

    ``pid`` is the session that made it, 0 where there was none.
    """

    name: str
    began: float
    took: float
    error: str = ""
    pid: int = 0

    def overlaps(self, begin: float, end: float) -> bool:
        """Return whether it was under way between two times."""
        return self.began < end and self.began + self.took > begin

    def shared(self, begin: float, end: float) -> float:
        """Return for how long it was under way between two times (seconds)."""
        return min(self.began + self.took, end) - max(self.began, begin)


class Workload:
    """Runs load scripts at random until it is told to stop: ``with Workload(…) as load: …``, then ``load.result()``.

    Each script is one unit of work: its statements run one after the other, in one transaction where it has several.
    With no script it does nothing.
    """

    def __init__(self, target: Target, scripts: Sequence[Script], workers: int) -> None:
        """Nothing runs yet."""
        self._target = target
        self._scripts = scripts
        self._stop = threading.Event()
        self._samples: list[Sample] = []
        #: When the load began, by the monotonic clock.
        self.zero = 0.0
        self._window = (0.0, 0.0)
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(workers)]

    def __enter__(self) -> Workload:
        """Begin, and run alone for a while."""
        self.zero = time.monotonic()
        if self._scripts:
            for thread in self._threads:
                thread.start()
            time.sleep(ALONE_S)
        self._window = (time.monotonic() - self.zero, 0.0)
        return self

    def __exit__(self, *_: object) -> None:
        """Run alone for a while again, then end."""
        self._window = (self._window[0], time.monotonic() - self.zero)
        if self._scripts:
            time.sleep(ALONE_S)
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def _work(self, number: int) -> None:
        chosen = random.Random(number)  # the same mixture in each rehearsal
        session: Optional[Session] = None
        while not self._stop.is_set():
            script = chosen.choice(self._scripts)
            began, pid, error = time.monotonic(), session.backend_pid if session else 0, ""
            try:
                session = session or connect(self._target, "windlass load")
                pid = session.backend_pid
                _call(session, script)
            except (ServerError, WindlassError) as failed:
                error = failed.message
                session = _mended(session)
                self._stop.wait(0.05)  # a server that is away is not asked without end
            ended = time.monotonic()
            self._samples.append(Sample(_name(script), began - self.zero, ended - began, error, pid))
        if session:
            session.close()

    # ------------------------------------------------------------ result

    def script_of(self, pid: int, begin: float, end: float, sql: str = "") -> str:
        """Return the script that a session of the load was at longest between two times, "" for no such one.

        Times of the monotonic clock; ask when the load is over.  Somebody who waits makes one long call, and short ones
        before and after it; where its ``sql`` is known, one of a script that has it.
        """
        ends, own = self._calls.get(pid, ([], []))
        begin, end = begin - self.zero, end - self.zero
        there = list(takewhile(lambda sample: sample.began <= end, islice(own, bisect_left(ends, begin), None)))
        named = [sample for sample in there if sql and sql in self._texts.get(sample.name, "")]
        longest = max(named or there, key=lambda sample: sample.shared(begin, end), default=None)
        return longest.name if longest else ""

    @cached_property
    def _texts(self) -> dict[str, str]:
        """Return each script's statements with single blanks."""
        return {
            _name(script): "; ".join(" ".join(script.sql(each).split()) for each in script.statements)
            for script in self._scripts
        }

    @cached_property
    def _calls(self) -> dict[int, tuple[list[float], list[Sample]]]:
        """Return each session's calls, one after the other, with their ends: there may be very many."""
        found: dict[int, tuple[list[float], list[Sample]]] = {}
        for sample in self._samples:
            ends, own = found.setdefault(sample.pid, ([], []))
            ends.append(sample.began + sample.took)
            own.append(sample)
        return found

    def result(self) -> Wire:
        """Return throughput and latencies while the plan ran and without it, errors, and a picture over time.

        ``{workers, during, alone, errors, picture}``: ``during`` and ``alone`` are ``{calls, per_s, p50_ms, p99_ms,
        worst_ms}``; ``picture`` is a list of ``{at_ms, calls, middle_ms, worst_ms}``.  Empty when there was no load.
        """
        if not self._scripts:
            return {}
        begin, end = self._window
        during = [s for s in self._samples if s.overlaps(begin, end)]
        alone = [s for s in self._samples if not s.overlaps(begin, end)]
        length = max((s.began + s.took for s in self._samples), default=0.0)
        errors: dict[str, int] = {}
        for sample in self._samples:
            if sample.error:
                errors[sample.error] = errors.get(sample.error, 0) + 1
        told = sorted(errors.items(), key=lambda item: -item[1])[:MOST_ERRORS]
        return {
            "workers": len(self._threads),
            "during": _figures(during, end - begin),
            "alone": _figures(alone, length - (end - begin)),
            "errors": [{"message": message, "count": count} for message, count in told],
            "window_ms": [round(begin * 1000), round(end * 1000)],
            "picture": _picture(self._samples, length),
        }


def _call(session: Session, script: Script) -> None:
    statements = [script.sql(statement) for statement in script.statements]
    if len(statements) == 1:
        session.link.ask(statements[0])
        return
    session.run(session.dialect.begin(0, 0))
    for statement in statements:
        session.link.ask(statement)
    session.run("COMMIT")


def _mended(session: Optional[Session]) -> Optional[Session]:
    """Return the session after an error, rolled back; None when it has to be opened again."""
    try:
        if session:
            session.run("ROLLBACK")
    except ServerError:
        return None
    return session


def _name(script: Script) -> str:
    return script.path.rsplit("/", 1)[-1]


def _figures(samples: Sequence[Sample], seconds: float) -> Wire:
    times = sorted(sample.took * 1000 for sample in samples if not sample.error)
    if not times:
        return {"calls": 0, "per_s": 0.0, "p50_ms": 0.0, "p99_ms": 0.0, "worst_ms": 0.0}
    return {
        "calls": len(times),
        "per_s": round(len(times) / seconds, 1) if seconds else 0.0,
        "p50_ms": round(times[len(times) // 2], 2),
        "p99_ms": round(times[min(int(len(times) * 0.99), len(times) - 1)], 2),
        "worst_ms": round(times[-1], 2),
    }


def _picture(samples: Sequence[Sample], length: float) -> list[Wire]:
    """Return calls that ended and the middle and the worst time in each span; a call counts in all that it lasted."""
    width = max(length / BUCKETS, 0.001)
    ended, times = [0] * BUCKETS, [[] for _ in range(BUCKETS)]  # type: tuple[list[int], list[list[float]]]
    for sample in samples:
        first, last = (min(int(at / width), BUCKETS - 1) for at in (sample.began, sample.began + sample.took))
        ended[last] += 1
        for number in range(first, last + 1):
            times[number].append(sample.took * 1000)
    return [
        {
            "at_ms": round(number * width * 1000),
            "calls": ended[number],
            "middle_ms": round(sorted(took)[len(took) // 2], 2) if took else 0.0,
            "worst_ms": round(max(took, default=0.0), 2),
        }
        for number, took in enumerate(times)
    ]
