"""Timers on a control node: a target host plays one, with its own systemd, and its own PostgreSQL to work on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import yaml

from testbed import Testbed
from testbed.host import ROLE, Host
from testbed.waiting import wait_until
from tests.control_node import HOME, ControlNode
from tests.project import Project
from windlass.schedule.jobs import NAMES

ODD = 'a "b" 100% \\ $HOME; #'
JOBS = {"verify": "off", "drift": "off", "backup": "02:00", "check": {"at": "*:*:0/5", "delay": "0"}}
LEDGER = "home/deploy/windlass/.windlass/schedule/bed/ledger.json"
UNITS = "/etc/systemd/system/windlass-bed-*"


@pytest.fixture
def node(testbed: Testbed) -> Iterator[ControlNode]:
    """A control node whose environment `bed` is its own PostgreSQL, and that of db1 over SSH; left as it was."""
    found = ControlNode(testbed["db3"])
    found.system("tried")
    for name in ("key", "known_hosts"):
        found.write(f"ssh/{name}", (testbed.folder / name).read_text()).chmod(0o600)
    found.write("hook", '#!/bin/sh\necho "$WINDLASS_JOB $WINDLASS_RESULT $ODD" >> ~/metrics/told\n').chmod(0o755)
    page = "[Service]\nType=oneshot\nExecStart=/usr/bin/touch /run/paged\n"
    (found.host.root / "etc/systemd/system/page-me.service").write_text(page)
    found.host.console(f"install -d -o deploy {HOME}/metrics")
    yield found
    found.host.console("rm -f /etc/systemd/system/page-me.service /run/paged")
    # a backup whose play was killed may still be writing there
    gone = lambda: not testbed["db1"].console(f"rm -rf {HOME}/.local/state/windlass", check=False).returncode  # noqa: E731
    wait_until(gone, what="db1 without run files", every=0.2)
    ended = f"systemctl stop '{UNITS.rpartition('/')[2]}' || true; rm -f {UNITS}; systemctl daemon-reload"
    found.host.console(f"{ended}; systemctl reset-failed")
    found.host.console(f"rm -rf {HOME}/windlass {HOME}/venv {HOME}/metrics")


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """What a webhook on this machine hears: paths, in order; the first item is its port."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))  # a connection closed before would look like a failure
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    server = HTTPServer(("0.0.0.0", 0), Handler)
    paths.append(str(server.server_port))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield paths
    server.shutdown()
    server.server_close()


def environment(node: ControlNode, scratch: str = "never", **schedule: Any) -> None:
    """Write the environment `bed`."""
    database = {"name": "salon", "system": "tried", "url": node.host.database_url()}
    known = f"-o UserKnownHostsFile={HOME}/windlass/ssh/known_hosts -o StrictHostKeyChecking=yes"
    there = {
        "ansible_host": node.host.address.rpartition(".")[0] + ".11",
        "ansible_user": "deploy",
        "ansible_ssh_private_key_file": f"{HOME}/windlass/ssh/key",
        "ansible_ssh_common_args": known,
    }
    common = {
        "ansible_python_interpreter": "/usr/bin/python3",
        "windlass_databases": [database],
        "windlass_policy": {"confirm": "none", "scratch": scratch},
        "windlass_schedule": {
            "jobs": JOBS, "metrics": f"{HOME}/metrics", "command": f"{HOME}/windlass/hook",
            "environment": {"ODD": ODD}, "on_failure": "page-me.service", **schedule,
        },
    }  # fmt: skip
    hosts = {"here": {"ansible_connection": "local"}, "db1": there}
    node.write("inventories/bed/hosts.yml", yaml.safe_dump({"databases": {"hosts": hosts, "vars": common}}))


def jobs(host: Host) -> dict[str, Any]:
    """Return the ledger's entries."""
    path = host.root / LEDGER
    found: dict[str, Any] = json.loads(path.read_text())["jobs"] if path.exists() else {}
    return found


def said(node: ControlNode, *words: str, code: int = 0) -> str:
    done = node.there("schedule", "--env", "bed", *words)
    assert done.returncode == code, done.stdout
    return done.stdout


def units(host: Host) -> str:
    return host.console(f"ls {UNITS} 2>/dev/null | sed 's/.*windlass-bed-//'", check=False).stdout


@contextmanager
def a_locked_table(host: Host) -> Iterator[None]:
    """Keep a table of `salon` locked for the length of a block."""
    host.psql(f"CREATE TABLE public.held (); ALTER TABLE public.held OWNER TO {ROLE}")
    hold = "BEGIN; LOCK TABLE public.held; SELECT pg_sleep(600)"
    host.console(f"systemd-run --quiet --collect runuser -u postgres -- psql -d salon -c '{hold}'")
    held = "SELECT count(*) FROM pg_locks WHERE relation = 'public.held'::regclass AND granted"
    wait_until(lambda: host.psql(held) == "1", what="the lock")
    try:
        yield
    finally:
        host.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK TABLE%'")
        host.psql("DROP TABLE public.held")


def test_timers_fire_fail_tell_and_go(node: ControlNode, heard: list[str]) -> None:
    host = node.host
    gateway = host.address.rpartition(".")[0] + ".1"
    environment(node, webhook=f"http://{gateway}:{heard[0]}/hook")
    shown = said(node, "--dry-run")
    assert "+OnCalendar=*:*:0/5" in shown and "2 timers to be installed" in shown and "/hook" not in shown
    assert units(host) == ""

    installed = said(node)
    assert "2 timers installed" in installed and "/hook" not in installed
    telling = (host.root / LEDGER).with_name("telling.json")
    assert telling.stat().st_mode & 0o777 == 0o600 and "/hook" in telling.read_text()
    wait_until(lambda: jobs(host).get("check", {}).get("succeeded"), what="the timer of check to fire")
    wait_until(lambda: heard[1:3] == ["/hook/start", "/hook"], what="the webhook to hear of it")
    assert host.console(f"systemd-analyze verify --man=no {UNITS} 2>&1").stdout == ""
    exposure = host.console("systemd-analyze security --no-pager windlass-bed-backup.service | tail -1").stdout
    assert "OK" in exposure, exposure

    environment(node, webhook=f"http://{gateway}:{heard[0]}/hook", jobs={**JOBS, "check": "off"})
    assert "1 timer installed" in said(node)
    assert units(host).split() == ["backup.service", "backup.timer", "failed@.service"]
    assert "1 timer installed already; nothing changed" in said(node)
    assert "1 timer installed already; nothing would change" in said(node, "--dry-run")
    wait_until(lambda: _rests(host, "windlass-bed-check"), what="the last check to end, which may just have begun")
    assert not jobs(host)["check"]["began"] and heard[-1] == "/hook"

    del heard[1:]
    host.console("systemctl start windlass-bed-backup.service")
    assert heard[1:] == ["/hook/start", "/hook"]
    metrics = (host.root / "home/deploy/metrics/windlass-bed.prom").read_text()
    assert 'windlass_job_last_result{environment="bed",job="backup"} 1' in metrics
    for name in ("here", "db1"):
        assert f'windlass_backup_last_size_bytes{{environment="bed",host="{name}",database="salon"}}' in metrics
    lines = host.console("journalctl -u windlass-bed-backup.service -o cat --no-pager").stdout
    assert "windlass bed backup ok: 2 databases" in lines
    assert f"backup success {ODD}\n" in (host.root / "home/deploy/metrics/told").read_text()
    assert host.console("ls /run/paged", check=False).returncode, "nothing failed yet"

    host.console("systemctl stop postgresql")
    try:
        assert host.console("systemctl start windlass-bed-backup.service", check=False).returncode
    finally:
        host.console("systemctl start postgresql")
    assert heard[-1] == "/hook/fail" and jobs(host)["backup"]["exit_code"] == 7
    wait_until(lambda: host.console("ls /run/paged", check=False).stdout, what="the unit that on_failure names")
    shown = said(node, "--status")
    assert "FAILED, exit 7" in shown and "control-node  backup" in shown

    del heard[1:]
    with a_locked_table(host):  # which the backup waits for
        host.console("systemctl start --no-block windlass-bed-backup.service")
        wait_until(lambda: jobs(host)["backup"]["began"], what="the backup to begin")
        host.console("systemctl kill --signal=KILL windlass-bed-backup.service")
    wait_until(lambda: heard[-1] == "/hook/fail", what="the failure to be told")
    wait_until(lambda: not jobs(host)["backup"]["began"], what="the ledger to be closed")
    assert jobs(host)["backup"]["exit_code"] == 32 and "did not come to its end" in jobs(host)["backup"]["message"]

    assert "the timers are gone" in said(node, "--remove")
    assert units(host) == "" and not telling.exists()
    assert "there are no timers; nothing changed" in said(node, "--remove")


def test_a_timer_drills_a_rollback(node: ControlNode) -> None:
    """Where scratch copies are allowed the drill is one of the timers; it fires, and its time is kept."""
    host = node.host
    environment(node, "allow")
    assert node.there("backup", "--env", "bed").returncode == 0
    assert "OnCalendar=Sun *-*-01..07 02:00:00" in said(node, "--dry-run").replace("+", "")
    often = {"at": "*:*:0/5", "delay": "0"}
    environment(node, "allow", jobs={**JOBS, "check": "off", "backup": "off", "drill-restore": often})
    assert "1 timer installed" in said(node)
    assert units(host).split() == ["drill-restore.service", "drill-restore.timer", "failed@.service"]
    wait_until(lambda: jobs(host).get("drill-restore", {}).get("succeeded"), what="the drill to be done")
    assert "control-node  drill-restore" in said(node, "--status")
    drilled = json.loads((host.root / "home/deploy/windlass/.windlass/drills/bed/restore/salon.json").read_text())
    assert drilled["exit_code"] == 0 and drilled["duration_ms"] > 0
    metrics = host.root / "home/deploy/metrics/windlass-bed.prom"
    assert 'windlass_job_last_result{environment="bed",job="drill-restore"} 1' in metrics.read_text()
    assert "the timers are gone" in said(node, "--remove")
    assert not metrics.exists(), "nobody would renew them"


def test_a_time_that_systemd_does_not_know_is_refused_with_its_place(node: ControlNode) -> None:
    environment(node, jobs={"backup": "half past two"})
    output = said(node, code=4)
    assert "windlass_schedule.jobs.backup: 'half past two' is no time that systemd understands" in output
    assert "inventories/bed/hosts.yml:" in output and units(node.host) == ""


def test_a_schedule_without_jobs_is_settled_too(node: ControlNode) -> None:
    environment(node, jobs=dict.fromkeys(NAMES, "off"))
    assert "0 timers installed" in said(node) and units(node.host) == ""
    assert "0 timers installed already; nothing changed" in said(node)


def test_without_systemd_a_crontab_is_proposed(node: ControlNode) -> None:
    environment(node)
    node.host.console("mv /usr/bin/systemctl /usr/bin/systemctl.away")
    try:
        output = said(node, code=10)
    finally:
        node.host.console("mv /usr/bin/systemctl.away /usr/bin/systemctl")
    assert "systemd does not run here" in output
    assert "metrics" in json.loads((node.host.root / LEDGER).with_name("telling.json").read_text()), "for cron's jobs"
    assert (
        f"{HOME}/venv/bin/python -m invoke --search-root {HOME}/windlass run-scheduled --env bed --job backup" in output
    )


def test_targets_have_timers_of_their_own(project: Project, testbed: Testbed) -> None:
    host = testbed["db2"]
    project.system("tried")
    database = {"name": "salon", "system": "tried", "url": host.database_url()}
    folder = project.testbed_environment("fleet", testbed, {"db2": [database]})
    (folder / "group_vars" / "all").mkdir(parents=True)
    schedule = {"where": "target", "metrics": f"{HOME}/metrics", "jobs": {"backup": {"at": "*:*:0/5", "delay": "0"}}}
    common = folder / "group_vars" / "all" / "main.yml"
    kept = f"{HOME}/100% kept"  # it is not there yet, and a job may make no folder in a home
    own = {"windlass_schedule": schedule, "windlass_retention": {"last": 2}, "windlass_backup_dir": kept}
    common.write_text(yaml.safe_dump(own))
    host.console(f"install -d -o deploy {HOME}/metrics")
    place = f"{HOME}/.local/state/windlass/schedule/fleet"

    def ledger() -> dict[str, Any]:
        text = host.console(f"cat {place}/ledger.json", check=False).stdout
        found: dict[str, Any] = json.loads(text)["jobs"] if text else {}
        return found

    try:
        # the control node's own part needs its systemd, which is not this machine's to give
        limited = ("--limit", "all:!control-node")
        first = project.playbook("schedule", "fleet", *limited)
        assert first.code == 0 and first.hosts["db2"]["changed"] > 3, first.output
        assert testbed.password not in first.output
        wait_until(lambda: ledger().get("backup", {}).get("succeeded"), what="the timer of backup to fire")
        assert host.console(f"stat -c %a {place}/work.json {place}/windlass.pyz").stdout.split() == ["600", "600"]
        told = "windlass fleet backup ok: 1 database"
        wait_until(lambda: told in _journal(host, "backup"), what="the line in the journal")
        backups = host.console(f"ls '{kept}/salon'").stdout.split()
        assert len(backups) >= 1
        metrics = host.console(f"cat {HOME}/metrics/windlass-fleet.prom").stdout
        assert 'windlass_backup_last_size_bytes{environment="fleet",host="db2",database="salon"}' in metrics
        assert host.console("systemd-analyze verify --man=no /etc/systemd/system/windlass-fleet-* 2>&1").stdout == ""

        again = project.playbook("schedule", "fleet", *limited)
        assert again.changed == 0, again.output
        host.console("systemctl stop windlass-fleet-backup.timer")
        wait_until(lambda: _rests(host, "windlass-fleet-backup"), what="the last backup to end")
        host.console("systemctl start windlass-fleet-prune.service")
        host.console("systemctl stop postgresql")
        assert host.console("systemctl start windlass-fleet-backup.service", check=False).returncode
        wait_until(lambda: ledger()["backup"]["status"] == "failed", what="the failure in the ledger")
        assert ledger()["backup"]["exit_code"] == 7 and testbed.password not in _journal(host, "backup")
        assert ledger()["prune"]["status"] == "ok"
    finally:
        host.console("systemctl start postgresql")
        gone = project.playbook("schedule", "fleet", *limited, variables={"schedule_remove": True})
        assert gone.code == 0, gone.output
        assert host.console("ls /etc/systemd/system/windlass-* 2>/dev/null", check=False).stdout == ""
        host.console(f"systemctl reset-failed; rm -rf {HOME}/.local/state/windlass {HOME}/metrics '{kept}'")


def _rests(host: Host, unit: str) -> bool:
    """Return whether a unit that no timer starts any more has come to its end."""
    state = host.console(f"systemctl show --property=ActiveState --value {unit}.service").stdout.strip()
    return state in ("inactive", "failed")


def _journal(host: Host, job: str) -> str:
    return host.console(f"journalctl -u windlass-fleet-{job}.service -o cat --no-pager").stdout
