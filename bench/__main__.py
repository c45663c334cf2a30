"""``python -m bench``: measure, print the tables, and with ``--save`` put them into docs/performance.md."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from bench import tables
from bench.cache import VARIABLE, Missing


def main() -> int:
    """Return an exit code: 0, or 1 where something could not be measured."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))  # a fresh clone is installed nowhere
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers and mounts are to go with this process
    chosen = _arguments().parse_args()
    parts: dict[str, Callable[[], str]] = {
        "engine": lambda: _engine(chosen),
        "deploy": lambda: _deploy(chosen),
        "backup": lambda: _backup(chosen),
        "rehearse": lambda: _rehearse(chosen),
    }
    codes = [_measure(name, parts[name], chosen.save) for name in parts if chosen.what in (name, "all")]
    return max(codes)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure Windlass beside other tools.",
        epilog=f"The other tools are installed into a folder of their own: ${VARIABLE}, or ~/.cache/windlass-bench.",
    )
    parser.add_argument("what", nargs="?", default="all", choices=["engine", "deploy", "backup", "rehearse", "all"])
    parser.add_argument("--migrations", default="100,1000", help="how many, with commas (default: 100,1000)")
    parser.add_argument("--runs", type=int, default=7, help="rounds; slow tools have three (default: 7)")
    parser.add_argument("--only", default="", help="engine: beginnings of tools' names, with commas (default: all)")
    parser.add_argument("--megabytes", type=int, default=500, help="backup: size of the database (default: 500)")
    parser.add_argument("--rows", type=int, default=3_000_000, help="rehearse: rows of the table (default: 3000000)")
    parser.add_argument("--save", action="store_true", help="write the tables into docs/performance.md")
    return parser


def _engine(chosen: argparse.Namespace) -> str:
    from bench import engine

    counts = [int(count) for count in chosen.migrations.split(",")]
    return engine.report(counts, chosen.runs, [name for name in chosen.only.split(",") if name])


def _deploy(chosen: argparse.Namespace) -> str:
    from bench import deploy

    return deploy.report(chosen.runs)


def _backup(chosen: argparse.Namespace) -> str:
    from bench import backup

    return backup.report(chosen.runs, chosen.megabytes)


def _rehearse(chosen: argparse.Namespace) -> str:
    from bench import rehearse

    return rehearse.report(chosen.rows)


def _measure(name: str, report: Callable[[], str], save: bool) -> int:
    try:
        text = report()
    except Missing as missing:
        print(f"NOT MEASURED: {name}: {missing}", file=sys.stderr)
        return 1
    print(text)
    if save:
        tables.save(name, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
