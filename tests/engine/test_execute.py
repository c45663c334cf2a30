"""Plans run on a real server: what is applied, journalled, refused, undone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.measuring import measured
from tests.servers.postgresql import PostgresServer
from tests.systems import Bench, migration, system
from windlass_engine import session
from windlass_engine.errors import WindlassError
from windlass_engine.model import Step
from windlass_engine.running.steps import StepFailed, StepRunner

ONE = migration("001_one", "CREATE TABLE one (id int PRIMARY KEY)", "DROP TABLE IF EXISTS one")
TWO = migration("002_two", "CREATE TABLE two (id int); CREATE INDEX two_id ON two (id)", "DROP TABLE IF EXISTS two")
BROKEN = migration(
    "003_broken",
    "CREATE TABLE three (id int);\nINSERT INTO three VALUES (1);\nINSERT INTO three VALUES\n  (1/0);\nSELECT 1;\nSELECT 2",
    "DROP TABLE IF EXISTS three",
)


def test_applies_then_has_nothing_to_do(bench: Bench) -> None:
    first = bench.deploy(system(ONE, TWO))
    assert (first["status"], first["applied"], first["schema_version"]) == ("done", ["001_one", "002_two"], "002_two")
    again = bench.deploy(system(ONE, TWO))
    assert (again["status"], again["changed"]) == ("nothing", False)


def test_a_thousand_comes_after_nine_hundred_and_ninety_nine(bench: Bench) -> None:
    project = system(
        migration("1000_b", "CREATE TABLE b (id int REFERENCES a)"),
        migration("999_a", "CREATE TABLE a (id int PRIMARY KEY)"),
    )
    assert bench.deploy(project)["applied"] == ["999_a", "1000_b"]


def test_two_migrations_may_share_a_date(bench: Bench) -> None:
    project = system(
        migration("20260101_a", "CREATE TABLE a (id int)"), migration("20260101_b", "CREATE TABLE b (id int)")
    )
    assert bench.deploy(project)["applied"] == ["20260101_a", "20260101_b"]


def test_names_with_quotes_and_unicode(bench: Bench) -> None:
    name = '001_o\'brien "größe" 表 \\n'
    project = system(
        migration(
            name, "CREATE TABLE \"größe 'x'\" (\"спалта\" text DEFAULT 'é''\\')", "DROP TABLE IF EXISTS \"größe 'x'\""
        )
    )
    assert bench.deploy(project)["applied"] == [name]
    assert bench.journal(name).entries[0].up_text == project.migrations[0].up.text
    assert bench.roll_back(steps=1)["applied"] == [name]


def test_a_failure_in_a_transaction_leaves_nothing_and_names_the_line(bench: Bench) -> None:
    result = bench.deploy(system(ONE, BROKEN))
    error = result["error"]
    assert (result["status"], result["applied"]) == ("failed", ["001_one"])
    assert error["code"] == "migration_failed"
    assert (error["where"]["line"], error["where"]["statement"]) == (3, "3 of 5")
    assert "division by zero" in error["message"]
    assert "undone whole" in result["state"] and "001_one" in result["state"]
    assert bench.query("SELECT to_regclass('three')") == [(None,)]
    assert bench.states() == {"001_one": "applied"}


def test_a_syntax_error_names_the_very_line(bench: Bench) -> None:
    result = bench.deploy(system(migration("001_x", "SELECT 1;\nSELECT 2;\nSELECT 1\n  FROM pg_class\n  WHER true")))
    assert result["error"]["where"]["line"] == 5


def test_a_failing_deferred_constraint_is_told_apart(bench: Bench) -> None:
    up = "CREATE TABLE p (id int PRIMARY KEY, up int REFERENCES p DEFERRABLE INITIALLY DEFERRED); INSERT INTO p VALUES (1, 2)"
    result = bench.deploy(system(migration("001_p", up)))
    assert "at the end of the transaction" in result["error"]["message"]
    assert bench.query("SELECT to_regclass('p')") == [(None,)]


def test_atomic_is_all_or_nothing(bench: Bench) -> None:
    result = bench.deploy(system(ONE, TWO, BROKEN), atomic=True)
    assert (result["status"], result["applied"], result["changed"]) == ("failed", [], False)
    assert result["error"]["where"]["migration"] == "003_broken"
    assert "nothing of this run is permanent" in result["state"]
    assert bench.states() == {}
    assert bench.deploy(system(ONE, TWO), atomic=True)["applied"] == ["001_one", "002_two"]


def test_atomic_names_the_statement_that_failed_and_what_came_before(bench: Bench) -> None:
    many = [migration(f"{n:03d}_t", f"CREATE TABLE t{n} (id int)") for n in range(30)]
    result = bench.deploy(
        system(*many, migration("050_broken", "SELECT 1;\n\nSELECT nothing\n  FROM nowhere;\nSELECT 2")), atomic=True
    )
    assert result["error"]["where"] == {
        "database": "test", "file": "050_broken/up.sql", "line": 4, "migration": "050_broken", "statement": "2 of 3",
    }  # fmt: skip
    started = [e["migration"] for e in bench.events if e["event"] == "statement_started"]
    assert len(started) == 32 and started[-1] == "050_broken"
    assert bench.states() == {}


def test_atomic_journals_each_migration_in_order_with_its_own_duration(pg: PostgresServer) -> None:
    slow = migration("002_slow", "SELECT pg_sleep(1)")
    project = system(ONE, slow, migration("003_c", "CREATE TABLE c (id int)"))

    def take() -> tuple[int, list[tuple[Any, ...]]]:
        with pg.database() as url:
            bench = Bench(url)
            result = bench.deploy(project, atomic=True)
            assert result["status"] == "done"
            rows = bench.query("SELECT name, duration_ms FROM windlass.migrations ORDER BY ordinal")
            events = bench.query("SELECT name, duration_ms FROM windlass.events WHERE event = 'applied' ORDER BY id")
            assert events == rows
            return result["duration_ms"], rows

    # The statements are sent ahead: whoever is late to hear of the one before it takes the slow one for quicker.
    whole_ms, rows = measured(take, lambda found: found[1][1][1] >= 500)
    assert [name for name, _ in rows] == ["001_one", "002_slow", "003_c"]
    assert rows[1][1] >= 500
    assert sum(duration_ms for _, duration_ms in rows) <= whole_ms, "none holds another's time"


def test_atomic_keeps_every_text_to_the_letter(bench: Bench) -> None:
    odd = "SELECT '{\\\\,}', E'\\\\\"', 'NULL', 'größe 表 🦉', $$a\tb$$;\nSELECT ''\n-- it's \\n, {NULL,\"\"}\n"
    projects = [
        migration('001_o\'brien "größe" {表},\\n', odd, down=odd),
        migration("002_settings", "SET array_nulls = off; SET standard_conforming_strings = off", verify=None),
        migration("003_checked", odd, verify=f'-- check: "{{x}}"\n{odd}'),
    ]
    assert bench.deploy(system(*projects), atomic=True)["status"] == "done"
    kept = bench.query("SELECT name, up_text, down_text, verify_text FROM windlass.migrations ORDER BY ordinal")
    texts = ((m.name, m.up, m.down, m.verify) for m in projects)
    assert kept == [(name, *(part and part.text for part in parts)) for name, *parts in texts]


def test_atomic_with_a_data_block_and_roles_and_settings(bench: Bench) -> None:
    loads = migration(
        "002_load", "COPY one FROM stdin;\n1\n2\n\\.\nSET search_path = pg_catalog;\nCREATE TABLE public.late (id int)"
    )
    assert bench.deploy(system(ONE, loads, TWO), atomic=True)["status"] == "failed"  # two has no schema to be made in
    assert bench.states() == {}
    last = migration("003_last", "CREATE TABLE public.last (id int)")
    assert bench.deploy(system(ONE, loads, last), atomic=True)["status"] == "done"
    assert bench.query("SELECT count(*) FROM public.one") == [(2,)]


def test_atomic_starts_over_when_a_lock_is_lost(bench: Bench) -> None:
    bench.deploy(system(ONE))
    with session.connect(bench.target) as other:
        other.run("BEGIN; LOCK TABLE one")
        alter = migration("003_alter", "ALTER TABLE one ADD COLUMN b int")
        freed: list[bool] = []

        def emit(event: dict[str, object]) -> None:
            if event["event"] == "retry" and not freed:
                other.run("COMMIT")
                freed.append(True)

        result = bench.deploy(system(ONE, TWO, alter), emit, atomic=True)
    assert (result["status"], result["applied"]) == ("done", ["002_two", "003_alter"])
    assert freed


def test_an_atomic_run_whose_last_answer_was_lost_is_told_as_done(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_together = StepRunner.run_together

    def cut(self: StepRunner, steps: Sequence[Step], tell: Callable[[Step], None]) -> None:
        run_together(self, steps, tell)
        self._context.session.close()
        raise StepFailed(WindlassError("connection_lost", "no answer came"), lost=True)

    monkeypatch.setattr(StepRunner, "run_together", cut)
    result = bench.deploy(system(ONE, TWO), atomic=True)
    assert (result["status"], result["applied"], result["changed"]) == ("failed", ["001_one", "002_two"], True)
    assert "002_two is applied: its commit had arrived" in result["state"]
    assert bench.states() == {"001_one": "applied", "002_two": "applied"}


def test_a_step_of_several_transactions_has_its_whole_duration_in_the_history(bench: Bench) -> None:
    loose = migration(
        "001_v",
        "-- windlass: no-transaction\nSELECT pg_sleep(0.2);\nCREATE TABLE v (id int);\nVACUUM v",
        "DROP TABLE IF EXISTS v",
    )
    bench.deploy(system(loose))
    assert bench.query("SELECT duration_ms >= 200 FROM windlass.events WHERE event = 'applied'") == [(True,)]


def test_atomic_refuses_what_cannot_be_in_a_transaction(bench: Bench) -> None:
    loose = migration("002_v", "-- windlass: no-transaction\nVACUUM")
    with pytest.raises(WindlassError) as refusal:
        bench.plan(system(ONE, loose), atomic=True)
    assert refusal.value.code == "usage" and "002_v" in refusal.value.message


def test_check_mode_gives_the_very_sql_and_changes_nothing(bench: Bench) -> None:
    result = bench.deploy(system(ONE, TWO), check_mode=True)
    assert [item["sql"] for item in result["sql"]] == [
        "CREATE TABLE one (id int PRIMARY KEY)", "CREATE TABLE two (id int)", "CREATE INDEX two_id ON two (id)",
    ]  # fmt: skip
    assert bench.query("SELECT to_regclass('one'), to_regclass('windlass.migrations')") == [(None, None)]


def test_undo_comes_from_the_journal_and_may_be_applied_again(bench: Bench) -> None:
    empty = bench.fingerprint()
    bench.deploy(system(ONE, TWO))
    full = bench.fingerprint()
    undone = bench.roll_back(steps=2)
    assert undone["applied"] == ["002_two", "001_one"]
    assert bench.fingerprint() == empty
    assert bench.deploy(system(ONE, TWO))["applied"] == ["001_one", "002_two"]
    assert bench.fingerprint() == full
    assert bench.roll_back(to="001_one")["applied"] == ["002_two"]


def test_a_failing_down_says_what_stands(bench: Bench) -> None:
    bench.deploy(system(ONE, migration("002_x", "CREATE TABLE x (id int)", "DROP TABLE x; DROP TABLE nowhere")))
    result = bench.roll_back(steps=2)
    assert (result["status"], result["error"]["code"]) == ("failed", "rollback_failed")
    assert "nowhere" in result["error"]["message"]
    assert bench.states() == {"001_one": "applied", "002_x": "applied"}
    assert result["state"].startswith("002_x still stands")
    assert "invoke rollback --env test --steps 2" in result["next"] and "restore" in result["next"]


def test_no_down_means_irreversible(bench: Bench) -> None:
    bench.deploy(system(migration("001_x", "-- windlass: irreversible it drops data\nCREATE TABLE x (id int)")))
    with pytest.raises(WindlassError) as refusal:
        bench.plan_down(steps=1)
    assert refusal.value.code == "irreversible" and "it drops data" in refusal.value.message


def test_an_edited_migration_stops_with_a_diff(bench: Bench) -> None:
    bench.deploy(system(ONE))
    with pytest.raises(WindlassError) as refusal:
        bench.plan(system(migration("001_one", "CREATE TABLE one (id bigint PRIMARY KEY)")))
    assert refusal.value.code == "checksum_changed"
    assert "-CREATE TABLE one (id int PRIMARY KEY)" in refusal.value.message
    assert "+CREATE TABLE one (id bigint PRIMARY KEY)" in refusal.value.message


def test_line_ends_and_a_byte_order_mark_are_no_edit(bench: Bench) -> None:
    bench.deploy(system(migration("001_x", "CREATE TABLE x (\n  id int\n);\n")))
    assert not bench.plan(system(migration("001_x", "\ufeffCREATE TABLE x (\r\n  id int\r\n);"))).steps


def test_a_journal_entry_without_a_file_stops(bench: Bench) -> None:
    bench.deploy(system(ONE, TWO))
    with pytest.raises(WindlassError) as refusal:
        bench.plan(system(ONE))
    assert refusal.value.code == "journal_unknown" and "002_two" in refusal.value.message


def test_out_of_order_is_said_and_chosen(bench: Bench) -> None:
    bench.deploy(system(TWO))
    with pytest.raises(WindlassError) as refusal:
        bench.plan(system(ONE, TWO))
    assert refusal.value.code == "out_of_order" and "001_one" in refusal.value.message
    allowed = bench.plan(system(ONE, TWO), allow_out_of_order=True)
    assert [step.reason for step in allowed.steps] == ["out of order"]


def test_a_stale_plan_is_refused(bench: Bench) -> None:
    stale = bench.plan(system(ONE))
    bench.deploy(system(ONE))
    with pytest.raises(WindlassError) as refusal:
        bench.run(stale)
    assert refusal.value.code == "plan_stale"


def test_a_repeatable_runs_again_when_its_text_changes(bench: Bench) -> None:
    function = "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT {} $$"
    assert bench.deploy(system(ONE, repeatables={"f": function.format(1)}))["applied"] == ["001_one", "f"]
    assert bench.deploy(system(ONE, repeatables={"f": function.format(1)}))["status"] == "nothing"
    assert bench.deploy(system(ONE, repeatables={"f": function.format(2)}))["applied"] == ["f"]
    assert bench.query("SELECT f()") == [(2,)]


def test_a_repeatable_runs_again_after_a_rollback(bench: Bench) -> None:
    view = {"v": "CREATE OR REPLACE VIEW v AS SELECT count(*) FROM one"}
    one = migration("001_one", "CREATE TABLE one (id int)", "DROP TABLE IF EXISTS one CASCADE")
    bench.deploy(system(one, repeatables=view))
    bench.roll_back(steps=1)
    again = bench.plan(system(one, repeatables=view))
    assert [(step.name, step.reason) for step in again.steps][1] == ("v", "a migration was undone since")
    assert bench.run(again)["error"] is None
    assert bench.query("SELECT * FROM v") == [(0,)]


def test_a_careful_down_asks_for_a_word(bench: Bench) -> None:
    down = """DO $$ BEGIN
      IF coalesce(current_setting('windlass.allow_data_loss', true), '') <> 'on' THEN RAISE 'table one holds rows'; END IF;
      DROP TABLE IF EXISTS one; END $$"""
    bench.deploy(system(migration("001_one", "CREATE TABLE one (id int)", down)))
    assert "table one holds rows" in bench.roll_back(steps=1)["error"]["message"]
    assert bench.run(bench.plan_down(steps=1), allow_data_loss=True)["error"] is None


def test_the_journal_does_not_notice_what_a_script_does_to_its_session(bench: Bench) -> None:
    if not bench.query("SELECT 1 FROM pg_roles WHERE rolname = 'windlass_nobody'"):
        bench.run_sql("CREATE ROLE windlass_nobody")
    rude = migration(
        "001_rude",
        "SELECT pg_catalog.set_config('search_path', '', false); SET client_encoding = LATIN1;"
        "SET standard_conforming_strings = off; SET lock_timeout = 1; SET ROLE windlass_nobody; SELECT 'é'",
    )
    polite = migration("002_polite", "CREATE TABLE here (id int DEFAULT 1, note text DEFAULT 'it''s \\ é')")
    assert bench.deploy(system(rude, polite))["error"] is None
    assert bench.query("SELECT to_regclass('public.here')::text, current_setting('search_path') <> ''") == [
        ("here", True)
    ]
    assert bench.query("SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'here'::regclass ORDER BY 1") == [
        ("'it''s \\ é'::text",), ("1",),
    ]  # fmt: skip
    assert bench.journal("001_rude").entries[0].up_text == rude.up.text


def test_copy_from_stdin(bench: Bench) -> None:
    text = "CREATE TABLE c (a int, b text);\nCOPY c FROM stdin;\n1\tone; two\n2\t\\N\n\\.\nINSERT INTO c VALUES (3, 'x');\n"
    assert bench.deploy(system(migration("001_c", text)))["error"] is None
    assert bench.query("SELECT a, b FROM c ORDER BY a") == [(1, "one; two"), (2, None), (3, "x")]


def test_bad_copy_data_fails_with_its_statement(bench: Bench) -> None:
    text = "CREATE TABLE c (a int);\nCOPY c FROM stdin;\nnot a number\n\\.\n"
    result = bench.deploy(system(migration("001_c", text)))
    assert result["error"]["where"]["statement"] == "2 of 2"
    assert bench.query("SELECT to_regclass('c')") == [(None,)]


def test_events_remember_who_did_what(bench: Bench) -> None:
    bench.deploy(system(ONE, BROKEN))
    rows = bench.query("SELECT event, name, who, origin, run_id FROM windlass.events ORDER BY id")
    assert rows == [("applied", "001_one", "tester", "here", "run"), ("failed", "003_broken", "tester", "here", "run")]


def test_baseline_marks_only_what_verifies(bench: Bench) -> None:
    from windlass_engine import plan

    stands = "-- check: table one stands\nSELECT 'one is missing' WHERE to_regclass('one') IS NULL"
    project = system(migration("001_one", "CREATE TABLE one (id int)", "DROP TABLE one", stands), TWO)
    planned = plan.plan_baseline(project, bench.journal(), database="test", to="001_one")
    with pytest.raises(WindlassError, match="one is missing") as dry:  # a dry run looks, too
        bench.run(planned, check_mode=True)
    assert dry.value.where["database"] == "test"
    refused = bench.run(planned)
    assert "001_one was not marked" in refused["state"]
    assert refused["error"]["code"] == "verify_failed" and "one is missing" in refused["error"]["message"]
    bench.run_sql("CREATE TABLE one (id int)")
    assert bench.run(plan.plan_baseline(project, bench.journal(), database="test", to="001_one"))["applied"] == [
        "001_one"
    ]
    assert bench.deploy(project)["applied"] == ["002_two"]


def test_a_read_only_server_is_refused(bench: Bench) -> None:
    planned = bench.plan(system(ONE))
    bench.run_sql(
        f'ALTER DATABASE "{bench.query("SELECT current_database()")[0][0]}" SET default_transaction_read_only = on'
    )
    with pytest.raises(WindlassError) as refusal:
        bench.run(planned)
    assert refusal.value.code == "read_only_server"


def test_a_mended_down_script_of_the_checkout_undoes_what_the_kept_one_cannot(bench: Bench) -> None:
    bench.deploy(system(migration("001_one", "CREATE TABLE one (id int)", "DROP TABLE nowhere")))
    failed = bench.roll_back(steps=1)
    assert failed["status"] == "failed" and "--down-from checkout" in failed["next"]
    kept = bench.plan_down(steps=1)
    with pytest.raises(WindlassError, match="in this checkout"):
        bench.plan_down(steps=1, downs={})
    mended = bench.make.read("DROP TABLE one", "001_one/down.sql")
    planned = bench.plan_down(steps=1, downs={"001_one": mended})
    [warning] = planned.warnings
    told, *difference = warning.splitlines()
    assert told == "001_one is undone by the checkout's down.sql, not the one kept when it was applied"
    assert difference[-2:] == ["-DROP TABLE nowhere", "+DROP TABLE one"]
    assert planned.digest != kept.digest
    assert bench.run(planned)["error"] is None
    assert bench.journal("001_one").entries[0].down_text == mended.text
    same = bench.make.read("DROP TABLE nowhere", "001_one/down.sql")
    bench.deploy(system(migration("001_one", "CREATE TABLE one (id int)", "DROP TABLE nowhere")))
    # The same text is the same plan: nothing is said of it.
    assert bench.plan_down(steps=1, downs={"001_one": same}).warnings == ()


def test_the_tail_of_a_down_script_that_stopped_may_be_mended_but_not_what_ran(bench: Bench) -> None:
    down = "-- windlass: no-transaction\nDROP TABLE one;\n{}"
    bench.deploy(system(migration("001_one", "CREATE TABLE one (id int)", down.format("SELECT 1 / 0"))))
    assert "1 of 2 statements are permanent" in bench.roll_back(steps=1)["state"]
    edited = bench.make.read("-- windlass: no-transaction\nDROP TABLE IF EXISTS one;\nSELECT 1", "001_one/down.sql")
    with pytest.raises(WindlassError, match="permanent already"):
        bench.plan_down(steps=1, downs={"001_one": edited})
    mended = bench.make.read(down.format("SELECT 1"), "001_one/down.sql")
    assert bench.run(bench.plan_down(steps=1, downs={"001_one": mended}))["error"] is None
    assert bench.states() == {"001_one": "reverted"}


@pytest.mark.parametrize(
    "broken",
    ["SELECT 1 / 0", "SELEC 1", "INSERT INTO late VALUES (1)", "CREATE INDEX CONCURRENTLY i ON late (a)"],
    ids=["while it runs", "while it is read", "at its commit", "for where it stands"],
)
def test_nothing_behind_a_small_migration_that_fails_is_applied(bench: Bench, broken: str) -> None:
    bench.deploy(system(ONE))
    bench.run_sql("CREATE TABLE late (a int REFERENCES one DEFERRABLE INITIALLY DEFERRED)")
    names = [f"{number:03d}_t" for number in range(2, 9)]
    behind = [migration(name, f"CREATE TABLE t{name[:3]} (id int)") for name in names]
    failing = migration("004_broken", broken)
    result = bench.deploy(system(ONE, *behind, failing))
    assert (result["status"], result["applied"]) == ("failed", ["002_t", "003_t"])
    assert result["error"]["where"]["file"] == "004_broken/up.sql" and result["error"]["where"]["line"] == 1
    assert list(bench.states()) == ["001_one", "002_t", "003_t"]
    assert bench.query("SELECT count(*) FROM pg_class WHERE relname ~ '^t00[0-9]$'") == [(2,)]


def test_a_small_migration_that_loses_its_lock_is_tried_again_before_the_next_one(bench: Bench) -> None:
    bench.deploy(system(ONE))
    with session.connect(bench.target) as other:
        other.run("BEGIN; LOCK TABLE one")
        alter = migration("003_alter", "ALTER TABLE one ADD COLUMN b int")
        seen: list[object] = []

        def emit(event: dict[str, object]) -> None:
            if event["event"] == "retry" and not seen:
                seen.extend(bench.states())
                other.run("COMMIT")

        result = bench.deploy(system(ONE, TWO, alter, migration("004_d", "CREATE TABLE d (id int)")), emit)
    assert result["applied"] == ["002_two", "003_alter", "004_d"]
    assert seen == ["001_one", "002_two"]


def test_data_that_a_script_copies_out_goes_nowhere(bench: Bench) -> None:
    out = migration("001_out", "COPY (SELECT generate_series(1, 10000)) TO STDOUT; CREATE TABLE one (id int)")
    alone = migration("002_alone", "COPY one TO stdout")
    assert bench.deploy(system(out, alone))["error"] is None
    assert list(bench.states()) == ["001_out", "002_alone"]
