"""Ways of doing the same work: timed in turn, round after round, and compared within each round."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from bench import tables
from bench.measure import run
from bench.tools import ROOT, Command

#: What is measured in each round, by name: what prepares it (not timed), and the command.
Way = Callable[[], Command]
Rounds = Sequence[dict[str, float]]


def timed(ways: Mapping[str, Way], folder: Path, rounds: int) -> tuple[Rounds, dict[str, int]]:
    """Time each way in every round, which begins with another one; return the bytes that each left in ``folder`` too.

    What a command prints is a time of its own, in seconds: that without the start of its process.
    """
    found: list[dict[str, float]] = []
    sizes: dict[str, int] = {}
    names = list(ways)
    for number in range(rounds):
        turn = number % len(names)
        took = {}
        for name in [*names[turn:], *names[:turn]]:
            took[name], said = run(ways[name]())
            if said:
                took[inside(name)] = float(said)
            sizes[name] = sizes[inside(name)] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        found.append({name: took[name] for each in names for name in (each, inside(each)) if name in took})
        print(f"round {number + 1} of {rounds}: {found[-1]}", file=sys.stderr, flush=True)
    return found, sizes


def inside(name: str) -> str:
    """Return what the time is called that our process tells: from connecting on."""
    return f"{name}, without the start of its process"


def compared(rounds: Rounds, name: str, other: str) -> list[str]:
    """Return two cells: the seconds of a way, and how many times those of another one that is."""
    return [tables.seconds(median(each[name] for each in rounds)), ratio(rounds, name, other)]


def ratio(rounds: Rounds, name: str, other: str) -> str:
    """Return the median of the rounds' ratios."""
    return tables.ratio(median(each[name] / each[other] for each in rounds))


def ours(verb: str, path: str, jobs: int, url: str, password: str, programs: str) -> Command:
    """Return our engine's backup or restore in a process of its own, as on a target (see :mod:`bench.ours_backup`)."""
    found = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    environment = {"PYTHONPATH": found, "BENCH_URL": url, "BENCH_PASSWORD": password, "BENCH_PROGRAMS": programs}
    return Command([sys.executable, "-m", "bench.ours_backup", verb, path, str(jobs)], ROOT, environment)
