"""The borders between the rooms, held by reading the import statements."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
ENGINE = SOURCE / "windlass_engine"

#: Rooms of the engine, from the left (knows nobody) to the right (knows all).  A room imports itself and to the left.
RANKS = [
    {"errors", "model", "finding"},
    {"project", "wire", "processes", "following", "files"},
    {"dialects"},
    {"plan", "session", "messages", "journal", "scheduled"},
    {"scratch", "schema", "archiving", "keeping"},
    {"checking", "running"},
    {"backups"},
    {"maintain", "rehearsal"},
]
STARTERS = {"subprocess", "pty", "multiprocessing"}
DRIVERS = {"psycopg", "pymysql", "pyodbc", "mssql_python_odbc"}


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    """Full names of what a file imports; relative ones resolved."""
    tree = ast.parse(path.read_text())
    package = path.relative_to(SOURCE).with_suffix("").parts if path.is_relative_to(SOURCE) else ()
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            depth = len(package) - node.level
            base = ".".join(package[:depth]) if node.level else ""
            name = ".".join(part for part in (base, node.module) if part)
            yield name
            yield from (f"{name}.{alias.name}" for alias in node.names)


def room(name: str) -> str:
    """The engine's room that a full module name lies in, or an empty string."""
    parts = name.split(".")
    return parts[1] if parts[0] == "windlass_engine" and len(parts) > 1 else ""


def rank(name: str) -> int:
    found = [number for number, rooms in enumerate(RANKS) if name in rooms]
    assert found, f"{name} has no place in the ranks: give it one"
    return found[0]


@pytest.mark.parametrize("path", modules(ENGINE), ids=lambda path: str(path.relative_to(ENGINE)))
def test_the_engine_imports_only_towards_the_left(path: Path) -> None:
    own = path.relative_to(ENGINE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    known = {name for rooms in RANKS for name in rooms}
    for name in imports(path):
        assert not name.startswith(("windlass.", "ansible", "tests")), f"{path.name} imports {name}"
        other = room(name)
        if other in known and other != own:
            assert rank(other) <= rank(own), f"{own} imports {other}, which is to its right"


@pytest.mark.parametrize("path", modules(ENGINE), ids=lambda path: str(path.relative_to(ENGINE)))
def test_the_engine_travels(path: Path) -> None:
    """Only relative, static imports are shipped with a module, and drivers are imported when somebody connects."""
    text = path.read_text()
    assert "importlib" not in text and "import windlass_engine" not in text and "from windlass_engine" not in text
    assert not DRIVERS & {name.split(".")[0] for name in imports(path, top_level_only=True)}


def test_one_place_starts_processes_on_each_side() -> None:
    def starters(folder: Path) -> set[str]:
        found = {
            path.relative_to(SOURCE).as_posix()
            for path in modules(folder)
            if STARTERS & {name.split(".")[0] for name in imports(path)}
        }
        return found

    assert starters(ENGINE) <= {"windlass_engine/processes.py"}
    assert starters(SOURCE / "windlass") <= {"windlass/playbook.py"}


def test_nothing_loose_lies_in_the_source_folder() -> None:
    """A loose module there would shadow one of Ansible's own."""
    assert [path.name for path in SOURCE.glob("*.py")] == []


def test_the_engine_imports_bare() -> None:
    """No driver and no site packages are needed to import any of it."""
    names = [".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in modules(ENGINE)]
    code = f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n" + "\n".join(f"import {name}" for name in names)
    subprocess.run([sys.executable, "-I", "-S", "-c", code.replace(".__init__", "")], check=True)


def test_the_front_door_is_thin() -> None:
    for path in (ROOT / "tasks.py", *modules(SOURCE / "windlass" / "front")):
        assert not [name for name in imports(path) if room(name) not in ("", "errors")], path
