"""Scripts without a transaction: marks, resuming, online index builds, backfills."""

from __future__ import annotations

import threading

import pytest

from tests.systems import Bench, migration, system
from windlass_engine import plan, session
from windlass_engine.errors import WindlassError

TABLE = migration(
    "001_t",
    "CREATE TABLE t (id bigint PRIMARY KEY, a int, b int); INSERT INTO t SELECT g, g % 7 FROM generate_series(1, 1000) g",
)


def loose(name: str, body: str, down: str | None = None):
    return migration(name, f"-- windlass: no-transaction\n{body}", down)


def test_indexes_are_built_online(bench: Bench) -> None:
    project = system(
        TABLE,
        loose(
            "002_i",
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS t_a ON t (a);\nCREATE INDEX CONCURRENTLY t_b ON t (b);\nVACUUM t",
        ),
    )
    assert bench.deploy(project)["error"] is None
    assert bench.query("SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND indisvalid") == [(3,)]


def test_a_failed_tail_may_be_edited_but_not_what_is_permanent(bench: Bench) -> None:
    result = bench.deploy(
        system(
            TABLE,
            loose(
                "002_x", "INSERT INTO t VALUES (2000);\nINSERT INTO t VALUES (2001);\nINSERT INTO nowhere VALUES (1)"
            ),
        )
    )
    assert result["changed"] and "2 of 3 statements are permanent" in result["state"]
    assert "goes on at statement 3" in result["next"]
    assert bench.states()["002_x"] == "partial"
    with pytest.raises(WindlassError) as refusal:
        bench.plan(system(TABLE, loose("002_x", "INSERT INTO t VALUES (2000);\nINSERT INTO t VALUES (9);\nSELECT 1")))
    assert refusal.value.code == "checksum_changed" and "permanent already" in refusal.value.message
    mended = system(
        TABLE,
        loose(
            "002_x",
            "INSERT INTO t VALUES (2000);\nINSERT INTO t VALUES (2001);\nINSERT INTO t VALUES (2002);\nINSERT INTO t VALUES (2003)",
        ),
    )
    planned = bench.plan(mended)
    assert (planned.steps[0].action, planned.steps[0].skip) == ("resume", 2)
    assert bench.run(planned)["error"] is None
    assert bench.query("SELECT array_agg(id ORDER BY id) FROM t WHERE id > 1000") == [([2000, 2001, 2002, 2003],)]
    assert bench.deploy(mended)["status"] == "nothing"


def test_a_tail_may_be_cut_off(bench: Bench) -> None:
    bench.deploy(system(TABLE, loose("002_x", "INSERT INTO t VALUES (2000);\nINSERT INTO nowhere VALUES (1)")))
    short = system(TABLE, loose("002_x", "INSERT INTO t VALUES (2000)"))
    assert bench.deploy(short)["error"] is None
    assert bench.states()["002_x"] == "applied"


def test_a_half_done_migration_can_be_undone(bench: Bench) -> None:
    half = loose(
        "002_x",
        "CREATE INDEX CONCURRENTLY t_a ON t (a);\nSELECT 1/0",
        "-- windlass: no-transaction\nDROP INDEX CONCURRENTLY IF EXISTS t_a",
    )
    bench.deploy(system(TABLE, half))
    assert bench.roll_back(steps=1)["error"] is None
    assert bench.query("SELECT to_regclass('t_a')") == [(None,)]
    assert bench.states()["002_x"] == "reverted"


def test_an_invalid_leftover_is_not_taken_for_done(bench: Bench) -> None:
    bench.deploy(system(TABLE))
    bench.run_sql("INSERT INTO t VALUES (3000, 1)")
    unique = loose("002_u", "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_u ON t (a)")
    with pytest.raises(Exception, match="could not create unique index"):
        bench.run_sql("CREATE UNIQUE INDEX CONCURRENTLY t_u ON t (a)")
    assert bench.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_u'::regclass") == [(False,)]
    failed = bench.deploy(system(TABLE, unique))
    assert "could not create unique index" in failed["error"]["message"]
    assert bench.query("SELECT to_regclass('t_u')") == [(None,)], "nothing invalid may stay behind"
    bench.run_sql("UPDATE t SET a = id")
    assert bench.deploy(system(TABLE, unique))["error"] is None
    assert bench.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_u'::regclass") == [(True,)]


def test_an_online_build_waits_for_old_transactions_and_names_them(bench: Bench) -> None:
    bench.deploy(system(TABLE))
    seen = threading.Event()
    with session.connect(bench.target, "the long report") as other:
        other.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t")

        def emit(event: dict[str, object]) -> None:
            if event["event"] == "waiting" and "the long report" in str(event["blockers"]) and not seen.is_set():
                seen.set()
                other.run("COMMIT")

        result = bench.deploy(system(TABLE, loose("002_i", "CREATE INDEX CONCURRENTLY t_a ON t (a)")), emit)
    assert seen.is_set() and result["error"] is None
    assert bench.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_a'::regclass") == [(True,)]


def backfill(batch: int = 100) -> str:
    return (
        f"-- windlass: backfill table=public.t key=id batch={batch} pause=0\n"
        "UPDATE t SET b = coalesce(b, 0) + a + 1 WHERE id > 0 /* windlass: batch */"
    )


def test_a_backfill_commits_in_batches(bench: Bench) -> None:
    result = bench.deploy(system(TABLE, loose("002_b", backfill())))
    assert result["error"] is None
    assert bench.query("SELECT count(*), count(*) FILTER (WHERE b = a + 1) FROM t") == [(1000, 1000)]
    assert bench.query("SELECT count(DISTINCT xmin::text) FROM t") == [(10,)]
    assert bench.query("SELECT position, rows FROM windlass.statements") == [("1000", 1000)]


def test_a_backfill_goes_on_where_it_stopped(bench: Bench) -> None:
    bench.deploy(system(TABLE))
    bench.run_sql("ALTER TABLE t ADD CONSTRAINT stop CHECK (id <> 555 OR b IS NULL)")
    stopped = bench.deploy(system(TABLE, loose("002_b", backfill())))
    assert stopped["status"] == "failed"
    assert bench.query("SELECT position, rows FROM windlass.statements") == [("500", 500)]
    bench.run_sql("ALTER TABLE t DROP CONSTRAINT stop")
    assert bench.deploy(system(TABLE, loose("002_b", backfill())))["error"] is None
    # Each row once: a row done twice would hold more.
    assert bench.query("SELECT count(*) FILTER (WHERE b = a + 1) FROM t") == [(1000,)]
    assert bench.query("SELECT position, rows FROM windlass.statements") == [("1000", 1000)]


def test_a_backfill_over_text_and_uuid_keys(bench: Bench) -> None:
    up = "CREATE TABLE u (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), n int); INSERT INTO u (n) SELECT 0 FROM generate_series(1, 250)"
    fill = "-- windlass: backfill table=u key=id batch=100\nUPDATE u SET n = n + 1 WHERE true /* windlass: batch */"
    assert bench.deploy(system(migration("001_u", up), loose("002_b", fill)))["error"] is None
    assert bench.query("SELECT min(n), max(n), count(*) FROM u") == [(1, 1, 250)]


def test_baseline_runs_none_of_the_script(bench: Bench) -> None:
    stands = "-- check: t_a stands\nSELECT 'no index t_a' WHERE to_regclass('t_a') IS NULL"
    bench.run_sql("CREATE TABLE t (id int, a int); CREATE INDEX t_a ON t (a)")
    built = migration("001_i", "-- windlass: no-transaction\nCREATE INDEX CONCURRENTLY t_a ON t (a)", None, stands)
    planned = plan.plan_baseline(system(built), bench.journal(), database="test", to="001_i")
    assert bench.run(planned)["applied"] == ["001_i"]
    assert bench.states() == {"001_i": "applied"}


def test_what_nobody_can_judge_is_asked_of_the_operator(bench: Bench) -> None:
    project = system(TABLE, loose("002_x", "ALTER SYSTEM SET work_mem = '5MB';\nSELECT 1"))
    assert bench.deploy(project)["error"] is None
    tablespace = system(
        TABLE,
        loose("002_x", "ALTER SYSTEM SET work_mem = '5MB';\nSELECT 1"),
        loose("003_y", "CREATE SUBSCRIPTION s CONNECTION 'host=/nowhere' PUBLICATION p"),
    )
    assert bench.deploy(tablespace)["status"] == "failed"
    assert [entry.started for entry in bench.journal().entries if entry.name == "003_y"] == [1]
    settled = bench.deploy(tablespace)
    assert settled["error"]["code"] == "statement_unsettled" and "--settle done" in settled["error"]["hint"]
    assert bench.deploy(tablespace, settle="done")["error"] is None
    assert bench.states()["003_y"] == "applied"


def test_settings_last_through_a_script_and_are_made_again_when_it_goes_on(bench: Bench) -> None:
    bench.run_sql("CREATE SCHEMA app")
    body = "SET search_path = app;\nSELECT pg_catalog.set_config('windlass_test.word', 'kept', false);\n"
    broken = loose("001_s", f"{body}CREATE TABLE one (id int);\nSELECT 1 / 0")
    assert bench.deploy(system(broken))["status"] == "failed"
    mended = loose(
        "001_s",
        f"{body}CREATE TABLE one (id int);\nCREATE TABLE two AS SELECT current_setting('windlass_test.word') AS word;\n"
        "VACUUM two;\nRESET search_path;\nCREATE TABLE three (id int)",
    )
    assert bench.deploy(system(mended))["error"] is None
    assert bench.query("SELECT word FROM app.two") == [("kept",)]
    assert bench.query("SELECT to_regclass('app.one') IS NOT NULL, to_regclass('public.three') IS NOT NULL") == [
        (True, True)
    ]


def test_a_role_lasts_through_a_script_and_never_writes_the_journal(bench: Bench) -> None:
    role = "windlass_loose"
    if not bench.query(f"SELECT 1 FROM pg_roles WHERE rolname = '{role}'"):
        bench.run_sql(f"CREATE ROLE {role}")
    bench.run_sql(f"CREATE SCHEMA app AUTHORIZATION {role}")
    body = (
        f"SET ROLE {role};\nCREATE TABLE app.mine (id int PRIMARY KEY, a int DEFAULT 0);\n"
        "INSERT INTO app.mine SELECT generate_series(1, 10);\nCREATE INDEX CONCURRENTLY mine_a ON app.mine (a);\n"
        "-- windlass: backfill table=app.mine key=id batch=4\n"
        "UPDATE app.mine SET a = a + {} WHERE true /* windlass: batch */;\nVACUUM app.mine"
    )
    after = migration("003_after", "CREATE TABLE after_it (id int)")
    result = bench.deploy(system(TABLE, loose("002_r", body.format("id / (id - 6)")), after))
    assert "division by zero" in result["error"]["message"]
    assert bench.deploy(system(TABLE, loose("002_r", body.format("1")), after))["error"] is None
    owners = bench.query(
        "SELECT relname, relowner::regrole::text = current_user FROM pg_class "
        "WHERE relname IN ('mine', 'mine_a', 'after_it') ORDER BY 1"
    )
    assert owners == [("after_it", True), ("mine", False), ("mine_a", False)]
    assert bench.query("SELECT a FROM app.mine ORDER BY id") == [(0,), (0,), (-1,), (-2,), *[(1,)] * 6]
