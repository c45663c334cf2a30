"""What the matrix has found so far, a line for each try, for whoever wants to write a table of it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

#: A file that is written only where this variable names it.
VARIABLE = "WINDLASS_FAULTS_RESULTS"


@dataclass(frozen=True)
class Result:
    """One try; `ended` is how the disturbed command ended, `mended` whether one more brought all to its place."""

    fault: str
    verb: str
    engine: str
    number: int
    ended: str
    mended: bool
    seconds: float


def keep(result: Result) -> None:
    """Add a try to the file, if there is one."""
    if VARIABLE in os.environ:
        with Path(os.environ[VARIABLE]).open("a") as stream:
            stream.write(json.dumps(asdict(result)) + "\n")


def keep_killed(verb: str, engine: str, number: int, began: float) -> None:
    """Add a deployer on this machine that was killed and mended: before its nth message, or after it (-n).

    `began` is a monotonic time.
    """
    keep(Result("engine killed -9 at a message", verb, engine, number, "killed", True, time.monotonic() - began))


def is_mended(fault: str, verb: str, engine: str, number: int) -> bool:
    """Return whether an earlier part of this run tried it and had it mended."""
    path = Path(os.environ.get(VARIABLE) or os.devnull)
    return any(
        result.mended and (result.fault, result.verb, result.engine, result.number) == (fault, verb, engine, number)
        for result in read(path)
    )


def begun(path: Path, seed: int) -> int:
    """Return the seed that a file of tries was begun with: this one, which is noted, where it is new.

    What goes on with another seed would try other moments under the same numbers.
    """
    path.touch()
    if path.read_text()[-1:] not in ("", "\n"):
        with path.open("a") as stream:
            stream.write("\n")  # behind a line that was broken off
    for line in path.read_text().splitlines():
        with suppress(ValueError):
            return int(json.loads(line)["seed"])
    with path.open("a") as stream:
        stream.write(json.dumps({"seed": seed}) + "\n")
    return seed


def read(path: Path) -> Iterator[Result]:
    """Yield the tries of a file, in the order in which they were made; a line that was broken off is left out."""
    for line in path.read_text().splitlines():
        with suppress(ValueError):
            known = json.loads(line)
            if "seed" not in known:
                yield Result(**known)
