"""Proof and maintenance, through the playbooks and the front door, on real servers of both engines."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.project import ROOT, Project

ALLOWED = {"backup": "never", "confirm": "none", "scratch": "allow"}


@pytest.fixture
def environment(project: Project, pg, mariadb):
    """One host with a PostgreSQL and a MariaDB database, and three of the shipped systems."""
    for system in ("salon", "jobs", "blazz"):
        project.shipped_system(system)
    with pg.database() as first, mariadb.database() as second:
        databases = [
            {"name": "salon", "system": "salon", "url": first},
            {"name": "jobs", "system": "jobs", "url": second},
        ]
        project.local_environment("here", databases, policy=ALLOWED)
        yield project


def test_the_systems_prove_and_the_plan_says_so(environment: Project) -> None:
    before = environment.invoke("plan", "--env", "here")
    assert "down script, proved" not in before.stdout
    done = environment.invoke("prove", "--env", "here", "--json")
    assert done.returncode == 0, done.stdout
    found = json.loads(done.stdout[done.stdout.index("{") :])["hosts"]["here"]["databases"]
    assert {name: part["proof"]["proved"] for name, part in found.items()} == {"salon": True, "jobs": True}
    after = environment.invoke("plan", "--env", "here")
    assert after.stdout.count("down script, proved") == 5
    assert len(list((environment.root / ".windlass" / "proofs").rglob("*.json"))) == 5
    up = environment.root / "sql/jobs/migrations/002_surgical_patch/up.sql"
    up.write_text(up.read_text() + "\n-- edited\n")
    assert environment.invoke("plan", "--env", "here").stdout.count("down script, proved") == 4


def test_another_system_on_a_server_of_its_engine(environment: Project) -> None:
    done = environment.playbook("prove", "here", variables={"windlass_system": "blazz"})
    assert done.code == 0, done.output
    assert done.changed == 0
    shutil.rmtree(environment.root / "sql" / "blazz" / "samples")
    nowhere = environment.invoke("prove", "--env", "here", "--system", "blazz", "--database", "salon")
    assert nowhere.returncode == 2
    assert "no database of here has a server on which blazz could be proved" in nowhere.stdout


def test_a_migration_that_is_not_proved(environment: Project) -> None:
    environment.system()
    environment.migration("001_once", "CREATE TABLE once (id int);\n", down="DROP TABLE once;\n", verify="")
    done = environment.invoke("prove", "--env", "here", "--system", "tried")
    assert done.returncode == 34, done.stdout
    assert "001_once: up again" in done.stdout
    assert 'relation "once" already exists' in done.stdout
    assert [kept["proved"] for kept in _kept(environment, "tried")] == [False]


def _kept(project: Project, system: str) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in (project.root / ".windlass/proofs" / system).glob("*.json")]


def test_the_policy_may_forbid_scratch_databases(environment: Project, pg) -> None:
    with pg.database() as url:
        environment.local_environment("strict", [{"name": "salon", "system": "salon", "url": url}])
        done = environment.invoke("prove", "--env", "strict")
    assert done.returncode == 10
    assert "allows no scratch databases" in done.stdout


def test_maintenance_on_both_engines(environment: Project) -> None:
    refused = environment.invoke("maintain", "--env", "here")
    assert refused.returncode == 10 and "nothing was ever deployed here" in refused.stdout
    assert environment.invoke("deploy", "--env", "here", "--yes").returncode == 0
    shown = environment.invoke("maintain", "--env", "here", "--dry-run")
    assert shown.stdout.count("would run") == 3 and "DELETE" not in shown.stdout
    done = environment.invoke("maintain", "--env", "here", "--schedule", "hourly")
    assert done.returncode == 0, done.stdout
    assert "expired_rows" in done.stdout and "expired_locks" in done.stdout and "messages_partitions" not in done.stdout
    log = environment.invoke("history", "--env", "here")
    assert log.stdout.count("maintained") == 2
    unknown = environment.invoke("maintain", "--env", "here", "--job", "expired_row")
    assert unknown.returncode == 2 and "expired_rows (hourly)" in unknown.stdout


def test_a_job_that_fails_stops_neither_the_others_nor_the_other_databases(environment: Project) -> None:
    assert environment.invoke("deploy", "--env", "here", "--yes").returncode == 0
    environment.write("sql/salon/maintenance/1_broken.sql", "-- windlass: schedule hourly\n\nDELETE FROM nowhere;\n")
    done = environment.invoke("maintain", "--env", "here")
    assert done.returncode == 33, done.stdout
    assert "sql/salon/maintenance/1_broken.sql:3" in done.stdout
    assert done.stdout.count("  done ") == 3


def test_a_job_that_nobody_runs_is_overdue(environment: Project, pg) -> None:
    assert environment.invoke("deploy", "--env", "here", "--yes").returncode == 0
    assert "overdue" not in environment.invoke("status", "--env", "here").stdout
    inventory = environment.root / "inventories/here/hosts.yml"
    url = next(
        line.split("url:")[1].strip() for line in inventory.read_text().splitlines() if "url: postgresql" in line
    )
    with pg.connect(url.rpartition("/")[2].partition("?")[0]) as opened:
        opened.execute("UPDATE windlass.migrations SET applied_at = applied_at - interval '3 days'")
    assert "expired_rows overdue, messages_partitions overdue" in environment.invoke("status", "--env", "here").stdout
    environment.invoke("maintain", "--env", "here", "--database", "salon")
    assert "overdue" not in environment.invoke("status", "--env", "here").stdout


def test_the_shipped_demo_allows_proofs() -> None:
    assert "scratch: allow" in (ROOT / "inventories/demo/hosts.yml").read_text()


def test_the_plan_says_what_the_server_will_do(environment: Project, mariadb) -> None:
    with mariadb.database() as url:
        environment.local_environment("shop", [{"name": "shop", "system": "blazz", "url": url}], policy=ALLOWED)
        first = environment.invoke("deploy", "--env", "shop", "--yes", "--to", "001_standing_tables")
        assert first.returncode == 0, first.stdout
        assert "standing checks and sample-data tests wait for the migrations after this one" in first.stdout
        shown = environment.invoke("plan", "--env", "shop", "--to", "002_phase_1_chats_webhook")
        assert "add-column (4)" in shown.stdout and "INSTANT" in shown.stdout
        assert "add-index" in shown.stdout and "INPLACE, LOCK=NONE" in shown.stdout
