"""What the way over Ansible and SSH costs: a deployment with nothing to do, beside a ping and a rollback."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from bench import machine, tables
from bench.cache import Missing
from bench.measure import run
from bench.tools import Command
from testbed import Testbed, TestbedUnavailable
from tests.project import Project, program

_HOSTS = ("db1", "db2", "db3")
_PING = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.ping:
"""
Round = dict[str, float]


def report(rounds: int) -> str:
    """Measure, and return the text for the document.  Raises Missing where no target hosts can be booted."""
    try:
        with Testbed(hosts=len(_HOSTS)) as bed, tempfile.TemporaryDirectory(prefix="windlass-bench-") as folder:
            return _text(_rounds(_project(Path(folder) / "project", bed), rounds))
    except TestbedUnavailable as reason:
        raise Missing(f"no target hosts: {reason}") from reason


def _project(root: Path, bed: Testbed) -> Project:
    """Make a project whose one system is deployed to every host already."""
    project = Project(root)
    project.shipped_system("salon")
    project.write("ping.yml", _PING)
    listed = {name: [{"name": "salon", "system": "salon", "url": bed[name].database_url()}] for name in _HOSTS}
    project.testbed_environment("bench", bed, listed)
    run(_deploy(project, ()))
    project.system("undone")
    project.migration("001_table", "CREATE TABLE public.t (id int);\n", down="DROP TABLE public.t;\n", system="undone")
    undone = [{"name": "undone", "system": "undone", "url": bed["db1"].create_database("undone")}]
    project.testbed_environment("undo", bed, {"db1": undone}, policy={"backup": "never"})
    return project


def _rounds(project: Project, rounds: int) -> list[Round]:
    """Time each thing in every round, over connections that are open already."""
    commands = {
        "ping": _ping(project, ["db1"]),
        "ping, three hosts": _ping(project, _HOSTS),
        "deploy": _deploy(project, ["db1"]),
        "deploy, three hosts": _deploy(project, ()),
        "ansible-playbook deploy.yml": _playbook(project, ["db1"]),
    }
    for command in commands.values():
        run(command)
    again, undo = _undo(project, "deploy"), _undo(project, "rollback", "--steps", "1")
    run(again)
    found = []
    for number in range(rounds):
        found.append({name: run(command)[0] for name, command in commands.items()})
        found[-1]["nothing to do"] = run(again)[0]
        found[-1]["rollback"] = run(undo)[0]
        run(again)
        print(f"round {number + 1} of {rounds}: {found[-1]}", file=sys.stderr, flush=True)
    return found


def _text(rounds: Sequence[Round]) -> str:
    ping = "ping"
    rows = [
        ["`ansible-playbook`, one ping, one host", *_cells(rounds, "ping", ping)],
        ["`ansible-playbook`, one ping, three hosts", *_cells(rounds, "ping, three hosts", ping)],
        ["`ansible-playbook playbooks/deploy.yml`, one host", *_cells(rounds, "ansible-playbook deploy.yml", ping)],
        ["`invoke deploy`, one host", *_cells(rounds, "deploy", ping)],
        ["`invoke deploy`, three hosts", *_cells(rounds, "deploy, three hosts", ping)],
        ["`invoke rollback --steps 1` of a small migration, one host", *_cells(rounds, "rollback", ping)],
    ]
    undoing = median(each["rollback"] / each["nothing to do"] for each in rounds)
    further = median(each["deploy, three hosts"] - each["deploy"] for each in rounds) / 2
    return "\n\n".join([
        f"Measured on {machine.description()}, which also carries the target hosts; load average {machine.load():.1f}.",
        tables.table(["Command", "s", "to the first ping"], rows),
        f"Medians of {len(rounds)} rounds. Each further host costs {further:.2f} s. "
        f"Undoing one migration (no backups) takes {undoing:.1f} times a deployment with nothing to do.",
    ])  # fmt: skip


def _cells(rounds: Sequence[Round], name: str, other: str) -> list[str]:
    ratio = median(each[name] / each[other] for each in rounds)
    return [tables.seconds(median(each[name] for each in rounds)), tables.ratio(ratio)]


def _ping(project: Project, hosts: Sequence[str]) -> Command:
    arguments = ["--inventory", "inventories/bench", "--limit", ",".join(hosts), "ping.yml"]
    return _command(project, [program("ansible-playbook"), *arguments], {"ANSIBLE_STDOUT_CALLBACK": "default"})


def _playbook(project: Project, hosts: Sequence[str]) -> Command:
    arguments = ["--inventory", "inventories/bench", "--limit", ",".join(hosts), "--extra-vars", "windlass_yes=true"]
    return _command(project, [program("ansible-playbook"), *arguments, "playbooks/deploy.yml"], {})


def _deploy(project: Project, hosts: Sequence[str]) -> Command:
    limit = ["--host", ",".join(hosts)] if hosts else []
    return _command(project, [program("invoke"), "deploy", "--env", "bench", "--yes", *limit], {})


def _undo(project: Project, verb: str, *words: str) -> Command:
    return _command(project, [program("invoke"), verb, "--env", "undo", "--yes", *words], {})


def _command(project: Project, arguments: Sequence[str], more: Mapping[str, str]) -> Command:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "PYTHONPATH": str(project.root / "src"), "ANSIBLE_CONFIG": str(project.root / "ansible.cfg")}
    return Command(arguments, project.root, {**own, **more})
