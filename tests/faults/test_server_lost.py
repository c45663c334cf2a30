"""The database server goes away in mid-migration: the run says what state the database is in."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from tests.servers.postgresql import PostgresServer
from tests.systems import Bench, migration, system


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

    project = system(migration("001_b", "CREATE TABLE b (id int);\nSELECT pg_sleep(30)"))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(bench.deploy, project, emit)
        assert reached.wait(20)
        pg.kill()
        pg.start()
        result = running.result()
    assert result["error"]["code"] == "connection_lost"
    assert "undone whole" in result["state"]
    assert bench.query("SELECT to_regclass('b')") == [(None,)]
