"""Other people's tools, each installed once into a folder outside the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

VARIABLE = "WINDLASS_BENCH_CACHE"


class Missing(Exception):
    """A tool cannot be had here; the text says why."""


def folder() -> Path:
    """Return the folder of installed tools."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "windlass-bench"


def npm(package: str, *beside: str) -> Path:
    """Return the node_modules folder that holds ``package`` (with its version) and those it needs ``beside`` it."""
    home = folder() / package
    if not _is_whole(home):
        (home / "package.json").write_text('{"private": true}\n')
        install = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", package, *beside]
        _install(install, home)
    return home / "node_modules"


def pip(requirement: str, *beside: str) -> Path:
    """Return the programs' folder of a virtual environment with ``requirement`` and what it needs ``beside`` it."""
    home = folder() / requirement.replace("==", "@")
    if not _is_whole(home):
        _run([sys.executable, "-m", "venv", str(home)], home)
        quiet = ["install", "--quiet", "--disable-pip-version-check"]
        _install([str(home / "bin" / "python"), "-m", "pip", *quiet, requirement, *beside], home)
    return home / "bin"


def apt(program: str, *packages: str) -> str:
    """Return the path of a system program; installs its packages where this process may."""
    if not shutil.which(program):
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise Missing(f"install it with: apt-get install {' '.join(packages)}")
        _run(["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages], Path("/"))
    return need(program)


def need(program: str) -> str:
    """Return the path of a program that is not installed by itself.  Raises Missing."""
    path = shutil.which(program)
    if not path:
        raise Missing(f"{program} is not installed")
    return path


def _is_whole(home: Path) -> bool:
    """Return whether an installation ended well; clears the remains of one that did not."""
    if (home / ".whole").exists():
        return True
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    return False


def _install(command: Sequence[str], home: Path) -> None:
    _run(command, home)
    (home / ".whole").touch()


def _run(command: Sequence[str], where: Path) -> None:
    print(f"installing: {' '.join(command)}", file=sys.stderr, flush=True)
    try:
        done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Missing(f"{command[0]} is not installed") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Missing(f"{' '.join(command[:3])} failed: {lines[-1] if lines else done.returncode}")
