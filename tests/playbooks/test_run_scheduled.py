"""The jobs for real, run by hand as their timers would."""

from __future__ import annotations

import json

import yaml

from tests.project import Project
from tests.servers.postgresql import PostgresServer
from windlass.schedule.jobs import NAMES
from windlass_engine import session
from windlass_engine.model import Target

#: Those that differ from another one by a value only.
ALIKE = {"maintain-daily", "maintain-monthly", "offsite-check"}


def test_each_job_runs_to_its_end(project: Project, database: str, pg: PostgresServer) -> None:
    project.system("tried")
    project.migration("001_first", "CREATE TABLE public.a (id int PRIMARY KEY);\n", down="DROP TABLE public.a;\n")
    project.write("sql/tried/maintenance/tidy.sql", "-- windlass: schedule hourly\nSELECT 1 AS tidied;\n")
    more = {"windlass_client_bin": str(pg.bin), "windlass_retention": {"last": 1}}
    project.write("inventories/here/group_vars/all/more.yml", yaml.safe_dump(more))
    policy = {
        "confirm": "none",
        "backup": "never",
        "restore_test_host": "here",
        "backup_max_age": "1h",
        "scratch": "allow",
    }
    project.local_environment("here", [{"name": "d", "system": "tried", "url": database}], policy=policy)
    assert project.invoke("deploy", "--env", "here", "--yes").returncode == 0
    early = project.invoke("run-scheduled", "--env", "here", "--job", "check")
    assert early.returncode == 36 and "no backup has been verified" in early.stdout.splitlines()[-1]
    for name in (name for name in NAMES if name not in ALIKE):
        done = project.invoke("run-scheduled", "--env", "here", "--job", name)
        assert done.returncode == 0, done.stdout
        assert done.stdout.splitlines()[-1].startswith(f"windlass here {name} ok: 1 database"), done.stdout
    ledger = json.loads((project.root / ".windlass/schedule/here/ledger.json").read_text())
    assert {entry["status"] for entry in ledger["jobs"].values()} == {"ok"}
    for scenario in ("restore", "migration"):
        drilled = json.loads((project.root / f".windlass/drills/here/{scenario}/d.json").read_text())
        assert drilled["exit_code"] == 0 and drilled["duration_ms"] > 0
    with session.connect(Target("d", "tried", database)) as here:
        assert here.query("SELECT datname FROM pg_database WHERE datname LIKE 'windlass_drill%'") == []
    facts = ledger["facts"]["here"]["d"]
    assert facts["verified"]["at"] == facts["backup"]["at"] > 0 and facts["pending"] == facts["schema_drift"] == 0
