"""The process that is measured: it does on a project in the current folder what a target does, and times the parts.

Started as ``python -m bench.ours [--atomic] [--keep-schema]`` with BENCH_URL and BENCH_PASSWORD; prints JSON, seconds.
Events go into a file as they do on a target.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BEGAN = time.perf_counter()


def main() -> None:
    """Import and load, then bring the database up to date; say how long each part took."""
    watch = Stopwatch(BEGAN)
    import psycopg  # noqa: F401  the driver is part of starting up

    from windlass import project
    from windlass_engine import dialects, journal, model, plan, session
    from windlass_engine.running import execute

    dialects.get("postgresql")  # imported when it is asked for
    watch.lap("import")
    scripts = project.load(Path.cwd(), "bench")
    view = scripts.view()
    watch.lap("load")
    target = model.Target("bench", "bench", os.environ["BENCH_URL"], os.environ["BENCH_PASSWORD"])
    with session.connect(target) as reader:
        watch.lap("connect")
        standing = journal.read(reader)
    watch.lap("read")
    work = plan.plan_up(view, standing, database="bench", atomic="--atomic" in sys.argv, parse=scripts.full)
    watch.lap("plan")
    log = os.open("events.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    # None of the others keeps the schema for a later look at drift, so it is a row of its own.
    options = model.Options("bench", "bench", "bench", remember="--keep-schema" in sys.argv)
    result = execute.run(target, work, options, _into(log))
    watch.lap("run")
    print(json.dumps({"status": result["status"], "error": result["error"], **watch.laps}))


class Stopwatch:
    """Seconds since the last lap, by name."""

    def __init__(self, began: float) -> None:
        """Begin at a time of the performance counter."""
        self.laps: dict[str, float] = {}
        self._last = began

    def lap(self, name: str) -> None:
        """End a part."""
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now


def _into(log: int) -> Callable[[dict[str, Any]], None]:
    """Return an ear that writes each event as a line."""
    encoder = json.JSONEncoder(separators=(",", ":"), default=str)

    def write(event: dict[str, Any]) -> None:
        os.write(log, encoder.encode(event).encode() + b"\n")

    return write


if __name__ == "__main__":
    main()
