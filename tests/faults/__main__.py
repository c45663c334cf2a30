"""``python -m tests.faults``: try the fault matrix, print what became of it, and with ``--save`` write it down."""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from bench.tables import save
from tests.faults.results import VARIABLE, Result, begun, read

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
HEAD = ("fault", "engine", "verb", "tries", "hit", "mended", "how the disturbed command ended")
TESTS = ("tests/faults", "tests/contract/test_killed.py")
TITLES = {"postgresql": "PostgreSQL", "mysql": "MariaDB"}


def main() -> int:
    """Return pytest's exit code."""
    chosen = _arguments().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = (chosen.results or Path(folder) / "results").absolute()
        seed = begun(found, chosen.seed or secrets.randbelow(1_000_000) + 1)
        if chosen.seed not in (0, seed):
            print(f"{found} was begun with seed {seed}: go on without --seed, or give another file", file=sys.stderr)
            return 2
        print(f"seed {seed}: WINDLASS_FAULTS_SEED={seed} repeats the same choice and the same moments", flush=True)
        if any(read(found)):
            print(f"{len(list(read(found)))} tries lie in {found}; the mended ones are not repeated", flush=True)
        code = _try(chosen, seed, found)
        results = list(read(found))
    text = f"{_heading(seed, results)}\n\n{table(results)}"
    print(text)
    if chosen.save:
        save("faults", text, DOCUMENT)
    return code


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Try the fault matrix.")
    parser.add_argument("--full", action="store_true", help="everything, not a sample: an hour or so")
    parser.add_argument("--seed", type=int, default=0, help="choose the same again (default: a new one)")
    parser.add_argument("--only", default="", metavar="WORDS", help="pytest's -k: a part of the matrix")
    parser.add_argument("--workers", type=int, default=2, help="how many at once, each with hosts of its own (2)")
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="keep the tries there; those in it are not repeated"
    )
    parser.add_argument("--save", action="store_true", help=f"write the results into docs/{DOCUMENT.name}")
    return parser


def _try(chosen: argparse.Namespace, seed: int, found: Path) -> int:
    more = {"WINDLASS_FAULTS": "full" if chosen.full else "", "WINDLASS_FAULTS_SEED": str(seed), VARIABLE: str(found)}
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(chosen.workers), "--dist", "load", *TESTS]
    command += ["-k", chosen.only] if chosen.only else []
    return subprocess.run(command, env={**os.environ, **more}, check=False).returncode


def table(results: Sequence[Result]) -> str:
    """Return the results as a table in Markdown; of what was tried twice, the last try."""
    lines = [HEAD, ("---",) * len(HEAD), *_rows(sorted(_last(results), key=_row))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _last(results: Sequence[Result]) -> list[Result]:
    return list({(*_row(result), result.number): result for result in results}.values())


def _row(result: Result) -> tuple[str, str, str]:
    return result.fault, result.engine, result.verb


def _rows(results: Sequence[Result]) -> Iterator[tuple[str, ...]]:
    """Yield a line for each fault, engine and verb."""
    for (fault, engine, verb), each in groupby(results, _row):
        tries = list(each)
        hit = sum(not result.ended.endswith("came") for result in tries)
        ends = Counter(result.ended or "not as it should" for result in tries)
        told = ", ".join(f"{count}x {end}" if count > 1 else end for end, count in ends.most_common())
        mended = sum(result.mended for result in tries)
        yield fault, TITLES.get(engine, engine), verb, str(len(tries)), str(hit), str(mended), told


def _heading(seed: int, results: Sequence[Result]) -> str:
    """Return when, with what, and how it went in all."""
    last = _last(results)
    mended = sum(result.mended for result in last)
    minutes = sum(result.seconds for result in results) / 60
    twice = f" {len(results) - len(last)} were tried twice." if len(results) > len(last) else ""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, ansible-core {version('ansible-core')}, Python {sys.version.split()[0]}, "
        f"{_servers()}; seed {seed}.\n{len(last)} tries in {minutes:.0f} minutes of work; {mended} were mended by one "
        f"more command.{twice}"
    )


def _servers() -> str:
    """Return the versions of the servers on the target hosts, as their package manager knows them."""
    from testbed import image

    listed = subprocess.run(
        ["dpkg-query", f"--root={image.get().root}", "-W", "-f", "${Package} ${Version}\\n", "postgresql-1*", "mariadb-server"],
        capture_output=True, text=True, check=False,
    ).stdout.split("\n")  # fmt: skip
    return ", ".join(sorted(line for line in listed if " " in line.strip() and not line.endswith(" "))) or "servers"


if __name__ == "__main__":
    sys.exit(main())
