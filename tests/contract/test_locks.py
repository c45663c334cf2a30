"""One deployer at a time, and tables that others keep locked."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from testbed.waiting import LIMIT_S
from tests.contract.engines import words
from tests.systems import Bench
from windlass_engine import session
from windlass_engine.checking import inspection
from windlass_engine.errors import WindlassError
from windlass_engine.model import Wire
from windlass_engine.project.view import ProjectView


def project(bench: Bench, alter: bool = True) -> ProjectView:
    table = bench.make.migration("001_t", "CREATE TABLE t (id int PRIMARY KEY)")
    change = bench.make.migration("002_a", f"ALTER TABLE t {words(bench).add} a int")
    return bench.make.system(table, *([change] if alter else []))


def test_a_second_deployer_is_told_who_holds_the_lock(bench: Bench) -> None:
    planned = bench.plan(project(bench))
    with session.connect(bench.target, "windlass run-7 maria") as other:
        assert other.dialect.try_lock(other.link)
        with pytest.raises(WindlassError) as refusal:
            bench.run(planned, deploy_lock_wait_s=0.3)
        assert refusal.value.code == "deploy_locked"
        assert "windlass run-7 maria" in refusal.value.message and str(other.backend_pid) in refusal.value.message
        told: list[str] = []

        def emit(event: dict[str, object]) -> None:
            if event["event"] == "lock_waiting":
                told.append(str(event["holder"]))
                other.dialect.unlock(other.link)

        assert bench.run(planned, emit, deploy_lock_wait_s=LIMIT_S)["error"] is None
    assert "windlass run-7 maria" in told[0]


def test_of_many_deployers_one_applies_and_the_rest_see_it(bench: Bench) -> None:
    planned = bench.plan(project(bench))
    outcomes: list[str] = []

    def deploy() -> None:
        try:
            outcomes.append(bench.run(planned, lambda _: None, deploy_lock_wait_s=LIMIT_S)["status"])
        except WindlassError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=deploy) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done"] + ["plan_stale"] * 5


def test_a_look_that_waits_for_the_lock_sees_what_its_holder_did(bench: Bench) -> None:
    looks: list[Future[Wire]] = []
    with ThreadPoolExecutor(2) as pool:

        def emit(event: dict[str, object]) -> None:
            if event["event"] == "lock_acquired":
                looks.extend(pool.submit(inspection.look, bench.target, lock_wait_s=wait_s) for wait_s in (0, LIMIT_S))
                assert looks[0].result()["lock"], "the first look does not wait, so it sees the holder"

        assert bench.deploy(project(bench), emit)["error"] is None
        seen = looks[1].result()
    assert seen["lock"] is None
    assert [entry["state"] for entry in seen["journal"]["entries"]] == ["applied", "applied"]


def test_a_blocked_table_is_waited_for_and_the_blocker_named(bench: Bench) -> None:
    bench.deploy(project(bench, alter=False))
    bench.run_sql("INSERT INTO t VALUES (1)")
    with session.connect(bench.target, "the crm") as other:
        other.run([*bench.make.dialect.begin(0, 0), words(bench).read.format("t")])

        def emit(event: dict[str, object]) -> None:
            bench.events.append(event)
            if event["event"] == "retry" and f"pid {other.backend_pid}" in str(event["blockers"]):
                other.run("ROLLBACK")

        result = bench.deploy(project(bench), emit, lock_timeout_ms=200)
    assert result["error"] is None, result
    assert result["steps"][0]["retries"] >= 1
    assert bench.query("SELECT id, a FROM t") == [(1, None)]


def test_patience_ends_with_the_blocker_named_and_nothing_changed(bench: Bench) -> None:
    bench.deploy(project(bench, alter=False))
    before = bench.fingerprint()
    with session.connect(bench.target, "the crm") as other:
        other.run([*bench.make.dialect.begin(0, 0), words(bench).read.format("t")])
        result = bench.deploy_against(f"pid {other.backend_pid}", project(bench))
        assert result["error"]["code"] == "lock_timeout"
        assert f"pid {other.backend_pid}" in result["error"]["message"]
        assert result["error"]["where"]["line"] == 1
    assert bench.fingerprint() == before
    assert bench.deploy(project(bench))["error"] is None


def test_a_locked_row_is_waited_for(bench: Bench) -> None:
    bench.deploy(project(bench, alter=False))
    bench.run_sql("INSERT INTO t VALUES (1)")
    change = bench.make.system(
        *project(bench, alter=False).migrations, bench.make.migration("002_u", "UPDATE t SET id = 2")
    )
    with session.connect(bench.target, "the crm") as other:
        other.run([*bench.make.dialect.begin(0, 0), "UPDATE t SET id = 3"])

        def emit(event: dict[str, object]) -> None:
            if event["event"] == "retry" and f"pid {other.backend_pid}" in str(event["blockers"]):
                other.run("ROLLBACK")

        result = bench.deploy(change, emit, lock_timeout_ms=200)
    assert result["error"] is None, result
    assert bench.query("SELECT id FROM t") == [(2,)]
    assert bench.query(f"SELECT count(*) FROM {words(bench).events} WHERE name = '002_u' AND event = 'applied'") == [
        (1,)
    ]
