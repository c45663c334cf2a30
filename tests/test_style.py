"""The tools that hold the code to its style find nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# They read all there is, with nothing remembered on a fresh machine: no hang as long as others want its processors, too.
pytestmark = pytest.mark.timeout(3600)

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(sys.executable).parent


def complaints(name: str, *arguments: str) -> str:
    """Return what a tool of the virtual environment complains about; nothing when it is content."""
    # ansible-lint starts the ansible programs that it finds on the PATH: it must be those beside it.
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    program = shutil.which(name, path=path)
    if program is None:
        pytest.skip(f"{name} is missing: pip install -e .[test]")
    environment = {**os.environ, "PATH": path, "NO_COLOR": "1"}
    done = subprocess.run([program, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}" or f"exit code {done.returncode}"


def test_ruff() -> None:
    assert complaints("ruff", "check", "--no-fix", ".") == ""


def test_mypy() -> None:
    assert complaints("mypy") == ""


def test_ansible_lint() -> None:
    folders = [name for name in ("playbooks", "roles") if (ROOT / name).is_dir()]
    assert folders, "there is nothing to look at"
    assert complaints("ansible-lint", "--offline", "--strict", "--profile=production", *folders) == ""


def test_the_tools_do_find_something(tmp_path: Path) -> None:
    """A tool that looks at nothing would be content with everything."""
    bad = tmp_path / "bad.py"
    bad.write_text("import os\n\n\ndef answer() -> int:\n    return 'x'\n")
    assert "F401" in complaints("ruff", "check", "--config", str(ROOT / "pyproject.toml"), str(bad))
    assert "return-value" in complaints("mypy", "--config-file", str(ROOT / "pyproject.toml"), str(bad))
    play = tmp_path / "bad.yml"
    play.write_text("- hosts: all\n  tasks:\n    - shell: uptime\n")
    assert "name[" in complaints("ansible-lint", "--offline", "--profile=production", str(play))
