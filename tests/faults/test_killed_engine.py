"""The engine killed -9 at a message boundary and inside statements: one more deploy mends everything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from testbed.waiting import wait_until
from tests.faults.chance import some
from tests.faults.dying import dies_at, killed_while, messages_of
from tests.faults.results import keep_killed
from tests.servers.postgresql import PostgresServer
from tests.systems import Bench, migration, system
from windlass_engine import session
from windlass_engine.project.view import ProjectView

PROJECT = system(
    migration("001_t", "CREATE TABLE t (id int PRIMARY KEY, a int, n int NOT NULL DEFAULT 0);\nINSERT INTO t (id, a) SELECT g, g FROM generate_series(1, 60) g;\nCREATE TABLE log (word text)"),
    migration("002_i", "-- windlass: no-transaction\nCREATE INDEX CONCURRENTLY t_a ON t (a);\nINSERT INTO log VALUES ('once');\nDROP INDEX CONCURRENTLY t_a;\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_u ON t (a);\nVACUUM t"),
    migration("003_b", "-- windlass: no-transaction\n-- windlass: backfill table=t key=id batch=20\nUPDATE t SET n = n + 1 WHERE true /* windlass: batch */;\nINSERT INTO log VALUES ('twice?')"),
    migration("004_c", "ALTER TABLE t ADD COLUMN c int;\nUPDATE t SET c = 1;\nINSERT INTO log VALUES ('thrice?')"),
    migration("005_d", "CREATE TABLE d AS SELECT count(*) AS n FROM log"),
    migration("006_e", "CREATE TABLE e AS SELECT n FROM d"),
    repeatables={"f": "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"},
)  # fmt: skip
ROWS = (
    "SELECT (SELECT array_agg(word ORDER BY word) FROM log), (SELECT count(*) FROM t WHERE n = 1 AND c = 1 AND a = id)"
)
CLEAN = [(["once", "thrice?", "twice?"], 60)]


@pytest.fixture
def fresh(pg: PostgresServer) -> Iterator[Callable[[], Bench]]:
    opened = []

    def make() -> Bench:
        context = pg.database()
        opened.append(context)
        return Bench(context.__enter__())

    yield make
    for context in opened:
        context.__exit__(None, None, None)


@pytest.mark.timeout(3600)  # a hundred of them, or two, where everything is tried
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_a_message_boundary(fresh: Callable[[], Bench], after: bool) -> None:
    clean = fresh()
    count = messages_of(lambda: clean.deploy(PROJECT))
    assert clean.query(ROWS) == CLEAN
    wanted = clean.fingerprint()
    assert count > 15, "the set of migrations sends more messages than that"
    for message in some(range(1, count + 1), 6, "message", after):
        bench, began = fresh(), time.monotonic()
        assert dies_at(message, after, lambda bench=bench: bench.deploy(PROJECT)), message  # type: ignore[misc]
        bench.wait_for_deployers()
        result = bench.deploy(PROJECT)
        assert result["error"] is None, (message, result)
        assert bench.fingerprint() == wanted, message
        assert bench.query(ROWS) == CLEAN, message
        assert set(bench.states().values()) == {"applied"}, message
        keep_killed("deploy", "PostgreSQL", -message if after else message, began)


def killed_at(bench: Bench, project: ProjectView, statement: str) -> None:
    """Kill a deploying child while the server works on a statement that somebody keeps waiting."""
    at_work = f"SELECT 1 FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'active' AND query LIKE '{statement}'"
    assert killed_while(lambda: bench.query(at_work), lambda: bench.deploy(project))
    wait_until(lambda: not bench.query(at_work), what="the server to notice that its client was killed")


def test_killed_inside_a_transaction(bench: Bench) -> None:
    up = "CREATE TABLE s (id int);\nSELECT pg_advisory_xact_lock(7) /* inside */;\nINSERT INTO s VALUES (1)"
    project = system(migration("001_s", f"-- windlass: lock-timeout 0\n{up}"))
    with session.connect(bench.target, "gate") as gate:
        gate.run("SELECT pg_advisory_lock(7)")
        killed_at(bench, project, "%/* inside */%")
    assert bench.deploy(project)["error"] is None
    assert bench.query("SELECT count(*) FROM s") == [(1,)]


def test_killed_inside_an_online_build(bench: Bench) -> None:
    table = migration("001_t", "CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 100)")
    bench.deploy(system(table))
    project = system(
        table, migration("002_i", "-- windlass: no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS t_id ON t (id)")
    )
    with session.connect(bench.target, "reader") as reader:
        reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t")
        killed_at(bench, project, "CREATE INDEX CONCURRENTLY%")
        reader.run("COMMIT")
    assert bench.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_id'::regclass") == [(False,)]
    assert bench.deploy(project)["error"] is None
    assert bench.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_id'::regclass") == [(True,)]
