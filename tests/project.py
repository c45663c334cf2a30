"""A project of the tests' own: the shipped playbooks, roles and plugins, with scripts and inventories to play with."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testbed import Testbed
from testbed.waiting import LIMIT_S

ROOT = Path(__file__).resolve().parents[1]
_SHIPPED = ("src", "plugins", "playbooks", "roles", "ansible.cfg", "tasks.py")
_RECAP = re.compile(r"^(?P<host>\S+)\s+: (?P<counts>ok=\d+.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Play:
    """How a plain `ansible-playbook` ended: its exit code, its output, and the recap's counts by host."""

    code: int
    output: str
    hosts: Mapping[str, Mapping[str, int]]

    @property
    def changed(self) -> int:
        """Return how many tasks changed something, over all hosts."""
        return sum(counts["changed"] for counts in self.hosts.values())


class Project:
    """A copy of the product in `root`, with no systems and no environments yet."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        for name in _SHIPPED:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
                shutil.copytree(ROOT / name, root / name, ignore=ignored)
            elif (ROOT / name).exists():
                shutil.copy2(ROOT / name, root / name)

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file of the project, with the folders above it, and return its path."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def system(self, name: str = "tried") -> None:
        """Begin a system without scripts."""
        head = {"name": name, "engine": "postgresql", "title": name.title(), "description": "For a test."}
        self.write(f"sql/{name}/system.yml", yaml.safe_dump(head))

    def shipped_system(self, name: str) -> None:
        """Take over one of the systems that the product ships with."""
        shutil.copytree(ROOT / "sql" / name, self.root / "sql" / name)

    def migration(
        self, name: str, up: str, *, down: str = "", verify: str = "SELECT 1 WHERE false;\n", system: str = "tried"
    ) -> None:
        """Write a migration; without `down` there is no down script."""
        folder = f"sql/{system}/migrations/{name}"
        self.write(f"{folder}/up.sql", up)
        if down:
            self.write(f"{folder}/down.sql", down)
        if verify:
            body = verify if "-- check:" in verify else f"-- check: stands\n{verify}"
            self.write(f"{folder}/verify.sql", body)

    def local_environment(
        self, name: str, databases: Sequence[Mapping[str, Any]], *, policy: Mapping[str, Any] | None = None
    ) -> Path:
        """Write an environment whose databases are reached from this machine, without SSH; return its folder."""
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "windlass_state_dir": str(self.root / ".windlass" / "state"),
            "windlass_databases": [dict(database) for database in databases],
            "windlass_policy": dict(policy or {}),
        }
        content = {"databases": {"hosts": {"here": variables}}}
        return self.write(f"inventories/{name}/hosts.yml", yaml.safe_dump(content)).parent

    def testbed_environment(
        self,
        name: str,
        bed: Testbed,
        databases: Mapping[str, Sequence[Mapping[str, Any]]],
        *,
        policy: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write an environment of target hosts, with each one's databases by the host's name; return its folder."""
        return bed.inventory(
            self.root / "inventories" / name,
            hosts=list(databases),
            variables={"windlass_policy": dict(policy or {})},
            host_variables={
                host: {"windlass_databases": [dict(database) for database in listed]}
                for host, listed in databases.items()
            },
        )

    def invoke(
        self, *arguments: str, text: str = "", env: Mapping[str, str] | None = None, timeout: float = LIMIT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run `invoke` with these arguments, typing `text` into it; stderr comes with stdout, as on a terminal."""
        return self._run([program("invoke"), *arguments], text, env, timeout)

    def playbook(
        self,
        name: str,
        environment: str,
        *options: str,
        variables: Mapping[str, Any] | None = None,
        check: bool = False,
        timeout: float = LIMIT_S,
    ) -> Play:
        """Run a playbook with plain `ansible-playbook`; `check` is check mode with diffs."""
        command = [program("ansible-playbook"), "--inventory", f"inventories/{environment}", *options]
        command += ["--check", "--diff"] if check else []
        command += ["--extra-vars", json.dumps(dict(variables))] if variables else []
        plain = {"ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_NOCOLOR": "1"}
        done = self._run([*command, f"playbooks/{name}.yml"], "", plain, timeout)
        return Play(done.returncode, done.stdout, _recap(done.stdout))

    def _run(
        self, command: Sequence[str], text: str, env: Mapping[str, str] | None, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        ours = {"PYTHONPATH": str(self.root / "src"), "ANSIBLE_CONFIG": str(self.root / "ansible.cfg")}
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("WINDLASS_")}
        return subprocess.run(
            command,
            cwd=self.root,
            env={**inherited, **ours, **(env or {})},
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=timeout,
        )


def program(name: str) -> str:
    """Return the path of a program of the virtual environment."""
    return str(Path(sys.executable).with_name(name))


def _recap(output: str) -> dict[str, dict[str, int]]:
    found = {}
    for line in _RECAP.finditer(output):
        pairs = (pair.split("=") for pair in line["counts"].split())
        found[line["host"]] = {key: int(value) for key, value in pairs}
    return found
