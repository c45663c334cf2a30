"""Timing: the tools take turns, round after round, so that a busy minute of the machine hits all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.cache import Missing
from bench.changes import changes, expected
from bench.server import Server
from bench.tools import Command, Tool, Windlass

#: A tool that needs this much longer than the fastest one has its say in fewer rounds.
SLOW = 6.0
SLOW_ROUNDS = 3


@dataclass(frozen=True)
class Timing:
    """One round of one tool, in seconds: the whole process; the same again with nothing to do; our own parts."""

    whole: float
    idle: float
    laps: dict[str, float] = field(default_factory=dict)
    idle_laps: dict[str, float] = field(default_factory=dict)

    @property
    def work(self) -> float:
        """Return the time from connecting to finished.

        Our own process tells it.  For the others it is the whole without the idle time, in which they start, connect
        and look at their journal as well: a little less than the truth, in their favour.
        """
        parts = [self.laps[name] for name in ("connect", "read", "plan", "run") if name in self.laps]
        return sum(parts) if parts else self.whole - self.idle


@dataclass
class Contest:
    """All timings of ``count`` migrations by tool, in the order of the rounds (None: not in this round)."""

    count: int
    timings: dict[Tool, list[Timing | None]] = field(default_factory=dict)

    def middle(self, tool: Tool, part: Callable[[Timing], float]) -> float:
        """Return the median of a part, in seconds."""
        return median(part(timing) for timing in self.timings[tool] if timing)

    def ratio(self, tool: Tool, other: Tool, part: Callable[[Timing], float]) -> float:
        """Return the median over the rounds of the ratio between two tools in that round."""
        pairs = zip(self.timings[tool], self.timings[other], strict=True)
        return median(part(one) / part(two) for one, two in pairs if one and two)

    def rounds(self, tool: Tool) -> int:
        """Return how often a tool was timed."""
        return sum(timing is not None for timing in self.timings[tool])


def present(tools: Sequence[Tool], server: Server) -> list[Tool]:
    """Return the tools that can be installed and do migrate; say loudly which cannot, and why."""
    found = []
    for tool in tools:
        try:
            tool.install()
            _timed(tool, server, 3)
            found.append(tool)
        except Missing as missing:
            print(f"SKIPPED: {tool.name}: {missing}", file=sys.stderr, flush=True)
    return found


def contest(tools: Sequence[Tool], server: Server, count: int, rounds: int) -> Contest:
    """Time every tool in each round; each round begins with another tool."""
    found = Contest(count, {tool: [] for tool in tools})
    for number in range(rounds):
        for tool in [*tools[number % len(tools) :], *tools[: number % len(tools)]]:
            left_out = number >= SLOW_ROUNDS and _is_slow(found, tool)
            found.timings[tool].append(None if left_out else _timed(tool, server, count))
            _say(found, tool, number, rounds)
    return found


def run(command: Command) -> tuple[float, str]:
    """Return how long a command took (seconds) and what it printed.  Raises Missing when it fails."""
    began = time.perf_counter()
    done = subprocess.run(
        command.arguments, cwd=command.folder, env={**_surroundings(), **command.environment},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    took = time.perf_counter() - began
    if done.returncode:
        raise Missing(f"exit code {done.returncode}: {(done.stderr + done.stdout).strip()[-2000:]}")
    return took, done.stdout


def _surroundings() -> dict[str, str]:
    """Return this process's environment, without a word that would let Python compile a tool anew at each start."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _timed(tool: Tool, server: Server, count: int) -> Timing:
    """Time one tool on an empty database, and once more with nothing to do.  Raises Missing where it did not work."""
    database = server.database()
    folder = server.room / database.name
    folder.mkdir()
    tool.lay_out(folder, changes(count))
    command = tool.migrate(folder, database)
    whole, said = run(command)
    if server.standing(database) != expected(count):
        raise Missing(f"after {count} migrations there stand {server.standing(database)}")
    server.settle()
    idle, said_idle = run(tool.idle(folder, database))
    return Timing(whole, idle, _laps(tool, said, "done"), _laps(tool, said_idle, "nothing"))


def _laps(tool: Tool, said: str, status: str) -> dict[str, float]:
    """Return what our own process tells of its parts."""
    if not isinstance(tool, Windlass):
        return {}
    told = json.loads(said.splitlines()[-1])
    if told.pop("status") != status or told.pop("error"):
        raise Missing(said)
    return {name: float(value) for name, value in told.items()}


def _is_slow(found: Contest, tool: Tool) -> bool:
    fastest = min(found.middle(other, lambda t: t.whole) for other in found.timings if found.rounds(other))
    return found.middle(tool, lambda t: t.whole) > SLOW * fastest


def _say(found: Contest, tool: Tool, number: int, rounds: int) -> None:
    timing = found.timings[tool][-1]
    if timing:
        print(
            f"{found.count} migrations, round {number + 1} of {rounds}, {tool.name}: {timing.whole:.2f} s "
            f"(nothing to do {timing.idle:.2f} s)", file=sys.stderr, flush=True,
        )  # fmt: skip
