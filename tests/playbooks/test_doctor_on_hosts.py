"""The doctor and the tunnel on real target hosts."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg

from testbed import Testbed
from testbed.host import Host
from testbed.waiting import LIMIT_S
from tests.project import Project, program
from windlass import tunnel


def fleet(project: Project, testbed: Testbed) -> None:
    """Write an environment with the one database of each host."""
    project.shipped_system("salon")
    databases = {host.name: [{"name": "salon", "system": "salon", "url": host.database_url()}] for host in testbed}
    project.testbed_environment("bed", testbed, databases)


def findings(project: Project) -> dict[str, dict[str, dict[str, dict[str, str]]]]:
    """Return what the doctor wrote: by host, database and check."""
    record = json.loads((project.root / ".windlass" / "last-doctor.json").read_text())
    return {
        host: {name: {item["name"]: item for item in data["doctor"]} for name, data in part["databases"].items()}
        for host, part in record["hosts"].items()
    }


def test_hosts_that_are_well(project: Project, testbed: Testbed) -> None:
    fleet(project, testbed)
    done = project.invoke("doctor", "--env", "bed")
    found = findings(project)
    assert done.returncode == 0, done.stdout
    assert set(found) == {"db1", "db2", "db3"}
    for host in found.values():
        assert host[""]["clock"]["status"] == host[""]["ssh"]["status"] == "ok"
        assert host["salon"]["client programs"]["status"] == "ok"
    assert testbed.password not in done.stdout


def test_three_hosts_with_three_faults_are_told_in_one_run(project: Project, testbed: Testbed) -> None:
    fleet(project, testbed)
    with ExitStack() as faults:
        faults.enter_context(testbed["db1"].without_driver())
        faults.enter_context(testbed["db2"].other_host_key())
        faults.enter_context(testbed["db3"].cut_off())
        done = project.invoke("doctor", "--env", "bed")
    found = findings(project)
    assert done.returncode != 0
    assert found["db1"][""]["driver"]["status"] == "fail"
    assert found["db1"]["salon"]["login"]["found"].startswith("driver_missing")
    assert "ssh-keygen -R" in found["db2"][""]["ssh"]["mend"]
    assert found["db3"][""]["ssh"]["status"] == "fail"
    assert "ssh-keygen -R" in done.stdout


def test_a_tunnel_to_a_hosts_unix_socket(project: Project, testbed: Testbed) -> None:
    host = testbed["db1"]
    url = host.database_url()
    fleet(project, testbed)
    with (
        tunnel.open("bed", host="db1", root=project.root) as opened,
        psycopg.connect(opened.url, password=testbed.password) as connection,
    ):
        assert connection.execute("SELECT current_database()").fetchone() == ("salon",)
    assert testbed.password not in opened.url, url


@contextmanager
def verb(project: Project, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run `invoke tunnel` until the block ends; give its process and the lines that it has printed so far."""
    lines: list[str] = []
    with subprocess.Popen(
        [program("invoke"), "tunnel", *arguments],
        cwd=project.root,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process, lines
        finally:
            process.kill()


def test_the_verb_prints_the_command_and_ends_with_ctrl_c(project: Project, testbed: Testbed) -> None:
    fleet(project, testbed)
    with verb(project, "--env", "bed", "--host", "db2") as (process, lines):
        assert process.stdout is not None
        patience = threading.Timer(LIMIT_S, process.kill)
        patience.start()
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        patience.cancel()
        told = "".join(lines)
        found = re.search(r"^psql '?(postgresql://[^\s']+)", told, re.MULTILINE)
        assert found, told
        with psycopg.connect(found[1], password=testbed.password) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("salon",)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=LIMIT_S) in (0, 130), process.stdout.read()
    assert testbed.password not in told


def test_a_host_with_another_key_gets_no_tunnel(project: Project, testbed: Testbed) -> None:
    fleet(project, testbed)
    host: Host = testbed["db3"]
    with host.other_host_key():
        done = project.invoke("tunnel", "--env", "bed", "--host", "db3")
    assert done.returncode == 6, done.stdout
    assert "ssh-keygen -R" in done.stdout
