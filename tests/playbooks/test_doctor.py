"""`invoke doctor` and its playbook: every host at once, each fault said with its mend, nothing changed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.waiting import LIMIT_S
from tests.project import Project
from tests.servers import sshd as servers
from tests.servers.ports import closed_port
from tests.servers.postgresql import PostgresServer
from tests.servers.sshd import Sshd, make_key

needs_sshd = pytest.mark.skipif(not servers.program(), reason="sshd is missing: apt-get install openssh-server")

Findings = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    server = Sshd()
    yield server
    server.remove()


@pytest.fixture
def world(project: Project, pg15: PostgresServer) -> Iterator[World]:
    with pg15.database() as url:
        yield World(project, pg15, url)


class World:
    """A project with one system, a database for it, and hosts that are added one by one."""

    def __init__(self, project: Project, server: PostgresServer, url: str) -> None:
        self.project, self.server, self.url = project, server, url
        self.hosts: dict[str, Any] = {}
        self.output = ""
        project.system()
        project.migration("001_t", "CREATE TABLE t (id int);\n", down="DROP TABLE t;\n")
        project.write("password", "opensesame\n").chmod(0o600)

    def host(self, name: str, **variables: Any) -> None:
        """Add a host whose database is well; it is this machine unless SSH is asked for."""
        self.hosts[name] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "windlass_state_dir": str(self.project.root / "state"),
            "windlass_client_bin": str(self.server.bin),
            "windlass_databases": [
                {"name": "tried", "system": "tried", "url": bare(self.url), "password": "{{ vaulted }}"}
            ],
            **variables,
        }

    def ssh_host(self, name: str, sshd: Sshd, **variables: Any) -> None:
        """Add a host that is reached through an SSH server."""
        way = {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": sshd.port,
            "ansible_user": sshd.user,
            "ansible_ssh_private_key_file": str(sshd.client_key),
            "ansible_ssh_common_args": sshd.common_args,
            # A shared connection would let hosts of one address in by the key check of another.
            "ansible_ssh_args": "-o ControlMaster=no",
            "ansible_ssh_timeout": int(LIMIT_S),  # eight hosts are one machine, which may have other things to do
        }
        self.host(name, **{**way, **variables})

    def python(self, text: str) -> str:
        """Write a script that stands in for a host's Python; return its path."""
        path = self.project.write("bin/python", f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    def doctor(self, *arguments: str) -> tuple[int, dict[str, dict[str, Findings]]]:
        """Run the doctor; return its exit code and its findings by host, database and name."""
        inventory = {"databases": {"hosts": self.hosts}}
        self.project.write("inventories/here/hosts.yml", yaml.safe_dump(inventory))
        from ansible.parsing.vault import VaultLib, VaultSecret

        vault = VaultLib([("default", VaultSecret(b"opensesame"))])
        secret = yaml.safe_dump({"vaulted": self.server.password})
        self.project.write("inventories/here/group_vars/all/vault.yml", bytes(vault.encrypt(secret)))
        done = self.project.invoke(
            "doctor", "--env", "here", *arguments,
            env={"ANSIBLE_VAULT_PASSWORD_FILE": str(self.project.root / "password")},
        )  # fmt: skip
        self.output = done.stdout
        self.record = json.loads((self.project.root / ".windlass" / "last-doctor.json").read_text())
        return done.returncode, {host: by_name(part["databases"]) for host, part in self.record["hosts"].items()}


def by_name(databases: Mapping[str, Any]) -> dict[str, Findings]:
    return {name: {item["name"]: item for item in part["doctor"]} for name, part in databases.items()}


def bare(url: str) -> str:
    """Return a URL without its password."""
    scheme, _, rest = url.partition("://")
    login, _, place = rest.partition("@")
    return f"{scheme}://{login.partition(':')[0]}@{place}"


def test_a_fleet_that_is_well(world: World) -> None:
    world.host("one")
    world.host("two")
    code, found = world.doctor()
    assert code == 0, world.output
    assert set(found) == {"one", "two"}
    assert "control node: project" in found["one"][""]
    assert "control node: project" not in found["two"][""]
    assert found["two"]["tried"]["journal"]["found"] == "none yet"
    faults = [item for part in found.values() for names in part.values() for item in names.values()]
    assert [item for item in faults if item["status"] != "ok" and item["name"] != "settings"] == []
    assert not (world.project.root / "state").exists()


@needs_sshd
def test_every_host_is_looked_at_and_each_fault_has_its_mend(world: World, sshd: Sshd, tmp_path: Path) -> None:
    other = tmp_path / "other"
    make_key(other, "ed25519")
    kind, key = other.with_suffix(".pub").read_text().split()[:2]
    changed = tmp_path / "changed"
    changed.write_text(f"[127.0.0.1]:{sshd.port} {kind} {key}\n")
    unknown = tmp_path / "unknown"
    unknown.touch()
    world.ssh_host("well", sshd)
    world.ssh_host("changed", sshd, ansible_ssh_common_args=knows(sshd, changed))
    world.ssh_host("unknown", sshd, ansible_ssh_common_args=knows(sshd, unknown))
    trusting = knows(sshd, tmp_path / "trusting") + " -o StrictHostKeyChecking=no"
    world.ssh_host("careless", sshd, ansible_ssh_common_args=trusting)
    world.ssh_host("stranger", sshd, ansible_ssh_private_key_file=str(other))
    world.ssh_host("bare", sshd, ansible_python_interpreter=world.python(f'exec {sys.executable} -S "$@"'))
    world.ssh_host("wrong", sshd, windlass_databases=[login_of(world, password="hunter2")])
    with closed_port() as silent:
        world.ssh_host("silent", sshd, ansible_port=silent)
        code, found = world.doctor()
    assert code != 0
    status = {host: part[""]["ssh"]["status"] for host, part in found.items()}
    assert status == {
        "well": "ok",
        "changed": "fail",
        "unknown": "fail",
        "careless": "warn",
        "silent": "fail",
        "stranger": "fail",
        "bare": "ok",
        "wrong": "ok",
    }
    ssh = {host: part[""]["ssh"] for host, part in found.items()}
    assert f"{changed}:1" in ssh["changed"]["found"]
    assert f"ssh-keygen -R '[127.0.0.1]:{sshd.port}' -f {changed}" in ssh["changed"]["mend"]
    assert "not on record" in ssh["unknown"]["found"]
    assert f">> {unknown}" in ssh["unknown"]["mend"]
    assert "Connection refused" in ssh["silent"]["found"]
    assert "Permission denied" in ssh["stranger"]["found"]
    assert found["bare"][""]["driver"]["status"] == "fail"
    assert "prepare.yml" in found["bare"][""]["driver"]["mend"]
    assert found["wrong"]["tried"]["login"]["found"].startswith("login_refused")
    assert found["well"]["tried"]["login"]["status"] == "ok"
    codes = {host: (part["error"] or {}).get("code") for host, part in world.record["hosts"].items()}
    assert codes["changed"] == codes["unknown"] == "host_key_changed"
    assert codes["silent"] == codes["stranger"] == "host_unreachable"
    assert codes["bare"] == codes["wrong"] == "preflight_failed"
    assert codes["well"] is None
    for secret in ("hunter2", "opensesame", world.server.password):
        assert secret not in world.output
        assert secret not in json.dumps(world.record)


@needs_sshd
def test_what_is_said_of_an_unknown_host_key_is_typed_and_mends(world: World, sshd: Sshd, tmp_path: Path) -> None:
    unknown = tmp_path / "unknown"
    unknown.touch()
    world.ssh_host("new", sshd, ansible_ssh_common_args=knows(sshd, unknown))
    _, found = world.doctor()
    command = found["new"][""]["ssh"]["mend"].partition("record it with: ")[2]
    unknown.write_text(command.split("'")[1] + "\n")
    code, found = world.doctor()
    assert found["new"][""]["ssh"]["status"] == "ok"
    assert code == 0, world.output


@pytest.mark.parametrize(("ahead", "status"), [(-30, "warn"), (600, "fail")])
def test_a_host_whose_clock_is_apart(world: World, ahead: int, status: str) -> None:
    world.project.write(
        "skewed/sitecustomize.py", f"import time\nreal = time.time\ntime.time = lambda: real() + {ahead}\n"
    )
    skewed = world.python(f'PYTHONPATH={world.project.root}/skewed exec {sys.executable} "$@"')
    world.host("apart", ansible_python_interpreter=skewed)
    _, found = world.doctor()
    assert found["apart"][""]["clock"]["status"] == status
    assert found["apart"]["tried"]["clock of the database server"]["status"] == status


def test_a_python_that_runs_no_module_is_a_finding(world: World) -> None:
    world.host("old", ansible_python_interpreter=world.python("echo 'SyntaxError: too old' >&2; exit 1"))
    world.host("none", ansible_python_interpreter="/no/such/python")
    code, found = world.doctor()
    assert code != 0
    for host, word in (("old", "bin/python"), ("none", "/no/such/python")):
        assert found[host][""]["python"]["status"] == "fail"
        assert word in found[host][""]["python"]["found"]


def test_scripts_that_need_what_the_server_lacks(world: World) -> None:
    up = 'CREATE EXTENSION IF NOT EXISTS "no_such_thing";\n'
    world.project.migration("002_x", up, down="DROP EXTENSION no_such_thing;\n")
    world.host("one")
    code, found = world.doctor()
    assert code != 0
    assert found["one"]["tried"]["extension no_such_thing"]["status"] == "fail"


def test_a_system_without_scripts_does_not_hide_the_rest(world: World) -> None:
    world.host("one", windlass_databases=[{**login_of(world), "system": "nosuch"}])
    _, found = world.doctor()
    assert found["one"]["tried"]["project"]["status"] == "fail"
    assert found["one"]["tried"]["login"]["status"] == "ok"


def test_an_inventory_that_cannot_be_used_is_a_finding(world: World) -> None:
    world.host("one", windlass_databases=[{**login_of(world), "nonsense": 1}])
    world.host("two")
    code, found = world.doctor()
    assert code != 0
    assert "nonsense" in found["one"][""]["inventory"]["found"]
    assert found["two"]["tried"]["login"]["status"] == "ok"


def test_backups_that_policy_forgoes_need_no_programs(world: World) -> None:
    nowhere = str(world.project.root / "nowhere")
    world.host("with", windlass_client_bin=nowhere)
    world.host("without", windlass_client_bin=nowhere, windlass_policy={"backup": "never"})
    _, found = world.doctor()
    assert found["with"]["tried"]["client programs"]["status"] == "fail"
    assert found["without"]["tried"]["client programs"]["status"] == "warn"


def test_plain_ansible_changes_nothing_with_or_without_check_mode(world: World) -> None:
    world.host("one", windlass_databases=[login_of(world, password="hunter2")])
    world.doctor()
    variables = {"vaulted": world.server.password}
    for check in (False, True):
        play = world.project.playbook(
            "doctor", "here", "--vault-password-file", str(world.project.root / "password"),
            variables=variables, check=check,
        )  # fmt: skip
        assert play.code == 2, play.output
        assert play.changed == 0
        assert "login_refused" in play.output
        assert "hunter2" not in play.output


def login_of(world: World, **more: str) -> dict[str, str]:
    return {"name": "tried", "system": "tried", "url": bare(world.url), "password": "{{ vaulted }}", **more}


def knows(sshd: Sshd, file: Path) -> str:
    """Return the server's ssh options with another known_hosts file."""
    return sshd.common_args.replace(str(sshd.known_hosts), str(file))
