"""The database server goes away in mid-migration: the run says what state the database is in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from testbed.waiting import LIMIT_S
from tests.servers.postgresql import PostgresServer
from tests.systems import Bench, migration, system
from windlass_engine.project.view import Migration


def test_a_terminated_session_is_reported_with_the_true_state(bench: Bench) -> None:
    project = system(
        migration("001_a", "CREATE TABLE a (id int)"),
        migration("002_b", "CREATE TABLE b (id int);\nSELECT pg_terminate_backend(pg_backend_pid());\nSELECT 1"),
    )
    result = bench.deploy(project)
    assert result["error"]["code"] == "connection_lost"
    assert "002_b was undone whole" in result["state"]
    assert result["applied"] == ["001_a"]
    assert bench.states() == {"001_a": "applied"}


def test_a_killed_server_that_comes_back(bench: Bench, pg: PostgresServer) -> None:
    reached = threading.Event()

    def emit(event: dict[str, object]) -> None:
        if event["event"] == "statement_started" and event["statement"] == 2:
            reached.set()

    project = system(migration("001_b", "CREATE TABLE b (id int);\nSELECT pg_sleep(300)"))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(bench.deploy, project, emit)
        assert reached.wait(LIMIT_S)
        pg.kill()
        pg.start()
        result = running.result()
    assert result["error"]["code"] == "connection_lost"
    assert "undone whole" in result["state"]
    assert bench.query("SELECT to_regclass('b')") == [(None,)]


def _table(number: int) -> str:
    # The eighth takes so long that what was told of those before it has been passed on meanwhile.
    return f"CREATE TABLE t{number} AS SELECT {number} AS id FROM pg_sleep({1 if number == 7 else 0})"


TEN = system(*(migration(f"{n:03d}_t", _table(n), f"DROP TABLE IF EXISTS t{n}") for n in range(10)))


@pytest.fixture
def lazy_bench(mortal_pg: PostgresServer) -> Iterator[Bench]:
    with mortal_pg.database() as url:
        yield Bench(url)


def tables(bench: Bench) -> list[str]:
    found = bench.query("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^t[0-9]$' ORDER BY 1")
    return [name for (name,) in found]


def crash(pg: PostgresServer) -> None:
    pg.kill()
    pg.start()


@pytest.mark.parametrize("atomic", [False, True])
def test_a_finished_run_survives_a_crash_right_after_it(
    lazy_bench: Bench, mortal_pg: PostgresServer, atomic: bool
) -> None:
    assert lazy_bench.deploy(TEN, atomic=atomic)["status"] == "done"
    crash(mortal_pg)
    assert len(tables(lazy_bench)) == 10
    assert lazy_bench.deploy(TEN)["status"] == "nothing"


def test_what_a_failed_run_told_survives_a_crash_right_after_it(lazy_bench: Bench, mortal_pg: PostgresServer) -> None:
    broken = system(*TEN.migrations[:3], migration("100_broken", "SELECT 1/0"))
    assert lazy_bench.deploy(broken)["applied"] == ["000_t", "001_t", "002_t"]
    crash(mortal_pg)
    assert tables(lazy_bench) == ["t0", "t1", "t2"]
    assert lazy_bench.query("SELECT name FROM windlass.events WHERE event = 'failed'") == [("100_broken",)]


def test_a_crash_in_mid_run_takes_the_last_steps_with_their_journal_rows(mortal_pg: PostgresServer) -> None:
    for _ in range(5):
        with mortal_pg.database() as url:
            bench = Bench(url)
            if lost_in_mid_run(bench, mortal_pg):
                return
    pytest.fail("the server wrote its log out each time: no run lost anything, and so proved nothing")


def lost_in_mid_run(bench: Bench, server: PostgresServer) -> bool:
    """Crash the server in mid-run, judge what stands, and deploy again; tell whether the crash took any step."""
    done: list[object] = []

    def emit(event: dict[str, object]) -> None:
        if event["event"] == "step_done":
            done.append(event["migration"])
            if len(done) == 7:
                crash(server)

    result = bench.deploy(TEN, emit)
    assert result["status"] == "failed"
    standing = [name for name, state in bench.states().items() if state == "applied"]
    assert standing == result["applied"] == [f"{n:03d}_t" for n in range(len(standing))]
    assert tables(bench) == [f"t{n}" for n in range(len(standing))]
    lost = len(standing) < 7
    if lost:
        assert "gone again, journal and all: " in result["state"] and "006_t" in result["state"]
    assert bench.deploy(TEN)["status"] == "done"
    assert len(tables(bench)) == 10
    return lost


def crash_in_mid_run(bench: Bench, server: PostgresServer, *first: Migration) -> list[str]:
    """Deploy what is given and then something slow, crash the server in the slow one; return what stands."""
    slow = migration("900_slow", "CREATE TABLE slow AS SELECT 1 AS id FROM pg_sleep(300)")

    def emit(event: dict[str, object]) -> None:
        if event["event"] == "statement_started" and event["migration"] == "900_slow":
            crash(server)

    result = bench.deploy(system(*first, slow), emit)
    assert result["error"]["code"] == "connection_lost"
    return [name for name, state in bench.states().items() if state == "applied"]


def test_marks_of_a_script_without_a_transaction_survive_a_crash(lazy_bench: Bench, mortal_pg: PostgresServer) -> None:
    loose = migration("001_v", "-- windlass: no-transaction\nCREATE TABLE v (id int);\nVACUUM v")
    after = migration("002_a", "CREATE TABLE a (id int)")
    assert crash_in_mid_run(lazy_bench, mortal_pg, loose, after) == ["001_v"]


def test_where_other_servers_are_known_each_commit_is_waited_for(lazy_bench: Bench, mortal_pg: PostgresServer) -> None:
    knows = migration("001_s", "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w")
    later = migration("002_a", "SET search_path = public; CREATE TABLE a (id int)")
    assert crash_in_mid_run(lazy_bench, mortal_pg, knows, later) == ["001_s", "002_a"]
