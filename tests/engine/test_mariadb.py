"""What only MariaDB asks for, and the systems that run on it, whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.systems import Bench, Maker
from windlass import project as projects
from windlass_engine import plan, session
from windlass_engine.checking import doctor, verify
from windlass_engine.checking.doctor import Places
from windlass_engine.dialects import mysql as dialects_mysql
from windlass_engine.errors import WindlassError
from windlass_engine.finding import FAIL
from windlass_engine.model import Plan, Script, Target
from windlass_engine.running import backfill

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer

ROOT = Path(__file__).parents[2]
SYSTEMS = sorted(p.parent.name for p in ROOT.glob("sql/*/system.yml") if "engine: mysql" in p.read_text())
make = Maker("mysql")


@pytest.fixture
def bench(mariadb: MariaDBServer) -> Iterator[Bench]:
    with mariadb.database() as url:
        yield Bench(url)


def test_a_resumed_script_finds_its_variables_again(bench: Bench) -> None:
    start = "SET @x = 5;\nCREATE TABLE t (id int);\nPREPARE s FROM 'INSERT INTO t VALUES (?)';\n"
    assert bench.deploy(make.system(make.migration("001_t", f"{start}INSERT INTO nowhere VALUES (1)")))["error"]
    mended = make.system(make.migration("001_t", f"{start}INSERT INTO t VALUES (@x)"))
    assert bench.deploy(mended)["error"] is None
    assert bench.query("SELECT id FROM t") == [(5,)]


def test_a_refused_schema_change_can_be_edited(bench: Bench) -> None:
    bench.run_sql("CREATE TABLE t (id int)")
    assert bench.deploy(make.system(make.migration("001_t", "CREATE TABLE t (id int, a int)")))["error"]
    assert bench.journal().entries[0].started == 0
    assert bench.deploy(make.system(make.migration("001_t", "CREATE TABLE t2 (id int)")))["error"] is None


def test_a_long_pause_does_not_look_like_a_deployer_that_is_gone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server gives a silent deployer up; between batches that are far apart it hears of it now and then."""
    table = make.migration(
        "001_t", "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);\nINSERT INTO t (id) VALUES (1), (2)"
    )
    fill = "-- windlass: backfill table=t key=id batch=1 pause=2500ms\nUPDATE t SET n = n + 1 WHERE true /* windlass: batch */"
    monkeypatch.setattr(dialects_mysql, "SILENCE_S", 1)
    monkeypatch.setattr(backfill, "SIGN_OF_LIFE_S", 60.0)
    project = make.system(table, make.migration("002_b", fill))
    silent = bench.deploy(project)
    assert silent["error"]["code"] == "connection_lost", silent
    monkeypatch.setattr(backfill, "SIGN_OF_LIFE_S", 0.3)
    assert bench.deploy(project)["error"] is None
    assert bench.query("SELECT id, n FROM t") == [(1, 1), (2, 1)]


def test_what_a_call_did_is_asked_of_the_operator(bench: Bench) -> None:
    routine = make.migration("001_p", "CREATE PROCEDURE p() BEGIN INSERT INTO nowhere VALUES (1); END")
    project = make.system(routine, make.migration("002_c", "CALL p()"))
    assert bench.deploy(project)["status"] == "failed"
    settled = bench.deploy(project)
    assert settled["error"]["code"] == "statement_unsettled" and "--settle done" in settled["error"]["hint"]
    assert bench.deploy(project, settle="done")["error"] is None


def test_a_careful_down_asks_for_a_word(bench: Bench) -> None:
    down = "BEGIN NOT ATOMIC IF COALESCE(@windlass_allow_data_loss, 0) <> 1 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'rows would be lost'; END IF; END;\nDROP TABLE IF EXISTS t"
    bench.deploy(make.system(make.migration("001_t", "CREATE TABLE t (id int)", down)))
    assert "rows would be lost" in bench.roll_back(steps=1)["error"]["message"]
    assert bench.run(bench.plan_down(steps=1), allow_data_loss=True, settle="again")["error"] is None


def test_the_doctor_finds_nothing_that_stops(bench: Bench, tmp_path: Path) -> None:
    found = doctor.examine([bench.target], Places([str(tmp_path / "state")], str(tmp_path)), {})
    listed = [item for items in found.values() for item in items]
    assert [item for item in listed if item.status == FAIL] == []
    assert {"version", "rights", "MySQL driver", "deployer lock"} <= {item.name for item in listed}


def test_the_socket_and_bad_urls(bench: Bench, mariadb: MariaDBServer) -> None:
    name = bench.query("SELECT DATABASE()")[0][0]
    with session.connect(Target("x", "y", mariadb.socket_url_of(str(name)))) as opened:
        assert opened.query("SELECT DATABASE()") == [(name,)]
    for url in ("mysql://u@h", "mysql://u@h/x?charset=latin1", "mysql://u@h/x?ssl=maybe", "mysql://u@h:port/x"):
        with pytest.raises(WindlassError) as refusal:
            session.connect(Target("x", "y", url, "s3cret"))
        assert refusal.value.code == "inventory_invalid" and "s3cret" not in str(refusal.value.to_wire())


# ---------------------------------------------------------------- the shipped systems


def planned(bench: Bench, project: projects.Project) -> Plan:
    return plan.plan_up(project.view(), bench.journal(), database="test", parse=project.full)


def failures(bench: Bench, scripts: list[Script], kind: str = "check") -> list[str]:
    results = verify.run_checks(bench.target, scripts, kind, scratch=True)
    return [f"{r.name}: {r.error or r.failures}" for r in results if not r.passed]


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_shipped_system_deploys_verifies_and_is_undone(bench: Bench, name: str) -> None:
    project = projects.load(ROOT, name, parse="all")
    before = bench.fingerprint()
    result = bench.run(planned(bench, project))
    assert result["error"] is None, result["error"]
    full = bench.fingerprint()
    assert planned(bench, project).steps == ()
    assert failures(bench, [project.full(m.verify) for m in project.migrations if m.verify]) == []
    assert failures(bench, list(project.checks)) == []
    assert failures(bench, list(project.samples), "sample") == []
    undone = bench.run(bench.plan_down(steps=len(project.migrations)), allow_data_loss=True, scratch=True)
    assert undone["error"] is None, undone["error"]
    assert bench.fingerprint() == before
    assert bench.run(planned(bench, project))["error"] is None
    assert bench.fingerprint() == full


def test_the_doctor_warns_of_commits_that_a_crash_could_take_back(bench: Bench) -> None:
    def durability() -> str:
        with session.connect(bench.target) as opened:
            found = opened.dialect.examine(opened.link, (), "")
            return next(finding.status for finding in found if finding.name == "durable commits")

    assert durability() == "warn"
    bench.run_sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    try:
        assert durability() == "ok"
    finally:
        bench.run_sql("SET GLOBAL innodb_flush_log_at_trx_commit = 0")
