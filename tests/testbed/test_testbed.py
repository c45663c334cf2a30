"""The target hosts are real, reachable, and break and mend as the other tests need them to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import yaml

from testbed import Host, Testbed, TestbedError, cgroups, network, slot
from testbed.__main__ import write_environment

ROOT = Path(__file__).resolve().parents[2]


def out_of_reach(host: Host) -> bool:
    """Whether packets to a host lead nowhere."""
    try:
        socket.create_connection((host.address, 22), timeout=5).close()
    except OSError:
        return True
    return False


def test_three_hosts_run_systemd_with_nothing_failed(testbed: Testbed) -> None:
    assert [host.name for host in testbed] == ["db1", "db2", "db3"]
    for host in testbed:
        assert host.run("hostname").stdout.strip() == host.name
        assert host.run("systemctl is-system-running").stdout.strip() == "running"


def test_ssh_checks_the_host_key(testbed: Testbed) -> None:
    host = testbed["db1"]
    assert host.run("sudo -n id -un", user="deploy").stdout.strip() == "root"
    with host.other_host_key():
        refused = host.run("true", check=False)
        assert refused.returncode == 255
        assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in refused.stderr
    assert host.run("true").returncode == 0


def test_every_host_has_a_key_of_its_own(testbed: Testbed) -> None:
    keys = [line.split(" ", 1)[1] for line in testbed.known_hosts.read_text().splitlines()]
    assert len(set(keys)) == len(testbed)


def test_postgresql_answers_as_the_deploy_role(testbed: Testbed) -> None:
    for host in testbed:
        query = "SELECT current_user, pg_catalog.pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'salon'"
        told = host.run(f'psql -XAtq "{host.database_url()}" -f -', text=query, user="deploy")
        assert told.stdout.strip() == "windlass_deploy|windlass_deploy"


def test_postgresql_wants_the_password_also_from_outside(testbed: Testbed) -> None:
    url = testbed["db2"].database_url(from_outside=True)
    with psycopg.connect(url) as connection:
        assert connection.info.encoding == "utf-8"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(testbed.password, "wrong"))


def test_databases_come_and_go(testbed: Testbed) -> None:
    host = testbed["db1"]
    host.create_database('it\'s "ö"')
    assert host.psql("SELECT current_database()", database='it\'s "ö"') == 'it\'s "ö"'
    host.drop_database('it\'s "ö"')
    with pytest.raises(TestbedError, match="does not exist"):
        host.psql("SELECT 1", database='it\'s "ö"')


def test_a_cut_host_is_out_of_reach_but_goes_on(testbed: Testbed) -> None:
    host = testbed["db3"]
    kept = psycopg.connect(host.database_url(from_outside=True))
    with host.cut_off():
        assert out_of_reach(host)
        assert host.psql("SELECT 1 + 1") == "2"
        assert testbed["db2"].run("true").returncode == 0
    assert host.run("true").returncode == 0
    with kept:  # a connection outlives a short cut: nobody was told of it
        assert kept.execute("SELECT 1").fetchone() == (1,)


def test_a_killed_host_keeps_what_it_wrote(testbed: Testbed) -> None:
    host = testbed["db2"]
    started = host.psql("SELECT pg_postmaster_start_time()")
    host.psql("CREATE TABLE IF NOT EXISTS public.kept (id int); INSERT INTO kept VALUES (1)", database="postgres")
    host.kill()
    assert not host.running
    assert out_of_reach(host)
    assert testbed["db1"].running
    host.boot()
    assert host.psql("SELECT pg_postmaster_start_time()") != started
    assert host.psql("SELECT count(*) FROM kept; DROP TABLE kept", database="postgres") == "1"


def test_the_driver_can_be_missing_and_installed_again(testbed: Testbed) -> None:
    host = testbed["db1"]
    with host.without_driver():
        assert "No module named 'psycopg'" in host.run("python3 -c 'import psycopg'", check=False).stderr
        host.run("sudo apt-get update -q && sudo apt-get install -qy python3-psycopg", user="deploy")
        assert host.run("python3 -c 'import psycopg'").returncode == 0


def test_ansible_reaches_all_hosts_through_the_inventory(testbed: Testbed, tmp_path: Path) -> None:
    folder = testbed.inventory(tmp_path, hosts=["db1", "db3"], host_variables={"db3": {"answer": 42}})
    written = yaml.safe_load((folder / "hosts.yml").read_text())
    assert written["databases"]["hosts"]["db3"] == {"ansible_host": testbed["db3"].address, "answer": 42}
    command = [
        str(Path(sys.executable).with_name("ansible")),
        "-i",
        str(folder),
        "all",
        "-b",
        "-m",
        "command",
    ]
    done = subprocess.run([*command, "-a", "id -un"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("rc=0") == 2
    assert done.stdout.split().count("root") == 2


def test_nothing_leads_out_of_the_hosts_network(testbed: Testbed) -> None:
    assert testbed["db1"].run("ip route show default").stdout == ""


def test_a_testbed_that_died_is_cleared_by_the_next(testbed: Testbed, tmp_path: Path) -> None:
    """A process that is killed cleans nothing up: the next testbed does, and leaves the living one alone."""
    script = """
        import os, signal
        from testbed import Testbed
        bed = Testbed(hosts=1)
        print(bed.folder, os.path.ismount(bed["db1"].root), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    died = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    left, mounted = died.stdout.split()
    assert (Path(left) != testbed.folder, mounted) == (True, "True")
    with Testbed(hosts=1) as fresh:
        kept = socket.create_connection((fresh["db1"].address, 22), timeout=10)
        assert inotify_instances(fresh["db1"]) <= 7, "many machines have 128 for all hosts of four workers"
        assert fresh["db1"].run("hostname").stdout.strip() == "db1"
        assert testbed["db1"].run("true").returncode == 0
    with kept, suppress(ConnectionError):  # but no TimeoutError: a connection left open would bring one
        while kept.recv(64):
            pass
    for number in {int(Path(left).name), int(fresh.folder.name)}:
        place = slot.Slot(number)
        if place.hold():  # else another suite on this machine has come, and cleared it before it moved in
            try:
                assert traces(place) == []
            finally:
                place.release()


def inotify_instances(host: Host) -> int:
    """How many of the kernel's inotify instances root's processes on a host have."""
    found = 0
    for pid in cgroups.processes(host.group):
        with suppress(OSError):  # it ended meanwhile
            if os.stat(f"/proc/{pid}").st_uid == 0:
                found += [os.readlink(entry) for entry in os.scandir(f"/proc/{pid}/fd")].count("anon_inode:inotify")
    return found


def traces(place: slot.Slot) -> list[str]:
    """What there is of a slot's testbed."""
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if f" {place.folder}/" in line]
    bridge = network.bridge(place.number)
    found = {
        str(place.folder): place.folder.exists(), "processes": cgroups.processes(str(place.number)),
        bridge: network.exists(bridge), "mounts": mounts,
    }  # fmt: skip
    return [name for name, there in found.items() if there]


def test_an_environment_can_be_written_that_one_deploys_to_at_once(testbed: Testbed, tmp_path: Path) -> None:
    write_environment(testbed, tmp_path / "testbed")
    path = tmp_path / "testbed" / "hosts.yml"
    hosts = yaml.safe_load(path.read_text())["databases"]["hosts"]
    [jobs] = hosts["db3"]["windlass_databases"][1:]
    assert (jobs["system"], jobs["url"].partition("://")[0]) == ("jobs", "mysql")
    testbed["db3"].drop_mariadb_database("jobs")
    for host in testbed:
        database = hosts[host.name]["windlass_databases"][0]
        assert (database["name"], database["system"]) == ("salon", "salon")
        assert database["url"] == host.database_url()
    assert path.stat().st_mode & 0o777 == 0o600
