"""What a timer on a target starts: the packed engine with the work that the play gave it, run by a bare Python."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils import windlass_adapter as adapter

from testbed.waiting import LIMIT_S
from tests.project import ROOT, Project
from tests.servers.postgresql import PostgresServer
from windlass.environment import part_url
from windlass.schedule import packing
from windlass_engine.keeping import catalogue

PROBE = [
    {
        "name": "Probe",
        "hosts": "databases",
        "tasks": [
            {"name": "Timers", "ansible.builtin.include_role": {"name": "windlass", "tasks_from": "timers"}},
            {
                "name": "Keep",
                "ansible.builtin.copy": {
                    "content": "{{ windlass_timed.windlass_units.schedule_work | to_json }}",
                    "dest": "{{ playbook_dir }}/../target/work.json",
                    "mode": "0600",
                },
            },
        ],
    }
]
#: Options that are given when the work is done, or that only a play has.
LATER = {*adapter.FOLLOWING, "plans", "by_policy", "moment"}


@pytest.fixture
def target(project: Project, database: str, pg: PostgresServer) -> Path:
    """A folder with what a play brings to a target, for a database `good` and one whose server is not there."""
    project.system("tried")
    (project.root / "target").mkdir()
    more = {"windlass_client_bin": str(pg.bin), "windlass_retention": {"last": 1}}
    project.write("inventories/here/group_vars/all/more.yml", yaml.safe_dump(more))
    away = re.sub(r":\d+/", ":9/", database)
    listed = [{"name": name, "system": "tried", "url": url} for name, url in (("away", away), ("good", database))]
    project.local_environment("here", listed, policy={"prune": "after_backup"})
    project.write("playbooks/probe.yml", yaml.safe_dump(PROBE))
    done = project.playbook("probe", "here")
    assert done.code == 0, done.output
    password = part_url(database)[1]
    assert not password or password not in done.output
    (project.root / ".windlass/schedule/windlass.pyz").rename(project.root / "target/windlass.pyz")
    (project.root / "target/telling.json").write_text(json.dumps({"metrics": str(project.root / "target")}))
    return project.root / "target"


def run(target: Path, *words: str) -> tuple[int, str]:
    command = [sys.executable, "-E", str(target / "windlass.pyz"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S, cwd="/")
    return done.returncode, done.stdout + done.stderr


def entries(target: Path, name: str) -> list[dict[str, Any]]:
    return catalogue.read(str(target.parent / ".windlass/state/backups"), [name])[name]


def test_every_option_of_a_module_is_given_to_it(target: Path) -> None:
    work = json.loads((target / "work.json").read_text())
    steps = [step for steps in work["jobs"].values() for step in steps]
    assert {step["module"] for step in steps} == {"db_backup", "db_prune"}
    for step in steps:
        text = (ROOT / "plugins/modules" / f"{step['module']}.py").read_text()
        own = set(re.findall(r'^    "(\w+)": \{', text.partition("\nSPEC = {")[2].partition("\n}")[0], re.MULTILINE))
        assert own - LATER <= set(step["params"]), step["module"]


def test_one_database_that_fails_does_not_keep_the_other_from_its_backup(target: Path) -> None:
    code, output = run(target, "--job", "backup")
    assert code == 7 and "windlass here backup FAILED, exit 7: away: " in output
    assert [entry["state"] for entry in entries(target, "good")] == ["complete"] and not entries(target, "away")
    metrics = (target / "windlass-here.prom").read_text()
    assert 'windlass_job_last_result{environment="here",job="backup"} 0' in metrics
    assert 'windlass_backup_last_size_bytes{environment="here",host="here",database="good"}' in metrics
    logins = json.loads((target / "work.json").read_text())["jobs"]["backup"][0]["params"]["databases"]
    secrets = [login["password"] for login in logins if login["password"]]
    assert not [secret for secret in secrets if secret in output + (target / "ledger.json").read_text()]


def test_a_play_goes_on_with_the_other_database_too(target: Path, project: Project) -> None:
    done = project.invoke("backup", "--env", "here")
    assert done.returncode == 7 and [entry["state"] for entry in entries(target, "good")] == ["complete"], done.stdout


def test_retention_follows_a_backup_and_can_run_alone(target: Path) -> None:
    for _ in range(2):
        run(target, "--job", "backup")
    assert len(entries(target, "good")) == 1
    code, output = run(target, "--job", "prune")
    assert (code, output) == (0, "windlass here prune ok: 2 databases\n")


def test_a_job_that_was_killed_is_told_by_the_other_service(target: Path) -> None:
    assert run(target, "--job", "backup", "--died")[0] == 0
    entry = json.loads((target / "ledger.json").read_text())["jobs"]["backup"]
    assert entry["exit_code"] == 32 and "journalctl -u windlass-here-backup" in entry["message"]


def test_the_same_engine_is_the_same_file(tmp_path: Path) -> None:
    packing.pack(ROOT, tmp_path / "new" / "one.pyz")
    packing.pack(ROOT, tmp_path / "two.pyz")
    first = (tmp_path / "new" / "one.pyz").read_bytes()
    assert first == (tmp_path / "two.pyz").read_bytes()
    (tmp_path / "two.pyz").write_bytes(b"old")
    packing.pack(ROOT, tmp_path / "two.pyz")
    assert (tmp_path / "two.pyz").read_bytes() == first
