"""What every engine promises: applied once, described when it fails, gone on with, undone."""

from __future__ import annotations

import pytest

from tests.contract.engines import parted, stands, transactional, words
from tests.systems import Bench
from windlass_engine import plan, session
from windlass_engine.errors import WindlassError
from windlass_engine.model import Step, Target
from windlass_engine.project.view import Migration, ProjectView
from windlass_engine.running.steps import StepFailed, StepRunner

LOOSE = "-- windlass: no-transaction\n"


def one(bench: Bench) -> Migration:
    return bench.make.migration("001_one", "CREATE TABLE one (id int PRIMARY KEY)", "DROP TABLE IF EXISTS one")


def two(bench: Bench) -> Migration:
    up = "CREATE TABLE two (id int PRIMARY KEY, a int);\nCREATE INDEX two_a ON two (a);\nINSERT INTO two VALUES (1, 1)"
    return bench.make.migration("002_two", parted(bench, up), "DROP TABLE IF EXISTS two")


def both(bench: Bench) -> ProjectView:
    return bench.make.system(one(bench), two(bench))


def test_applies_once_and_then_there_is_nothing_to_do(bench: Bench) -> None:
    result = bench.deploy(both(bench))
    assert (result["status"], result["applied"], result["error"]) == ("done", ["001_one", "002_two"], None)
    assert bench.states() == {"001_one": "applied", "002_two": "applied"}
    assert bench.query("SELECT id, a FROM two") == [(1, 1)]
    assert bench.deploy(both(bench))["status"] == "nothing"
    rows = bench.query(
        f"SELECT event, name, who, origin FROM {words(bench).events} WHERE event = 'applied' ORDER BY id"
    )
    assert rows == [("applied", "001_one", "tester", "here"), ("applied", "002_two", "tester", "here")]


def test_check_mode_gives_the_very_sql_and_changes_nothing(bench: Bench) -> None:
    result = bench.deploy(both(bench), check_mode=True)
    assert result["sql"][0]["sql"] == "CREATE TABLE one (id int PRIMARY KEY)"
    assert not stands(bench, "one") and not bench.journal().exists


def test_a_stale_plan_is_refused(bench: Bench) -> None:
    stale = bench.plan(both(bench))
    bench.deploy(both(bench))
    with pytest.raises(WindlassError) as refusal:
        bench.run(stale)
    assert refusal.value.code == "plan_stale"


def test_a_failure_says_what_is_permanent(bench: Bench) -> None:
    up = parted(bench, "CREATE TABLE x (id int);\nINSERT INTO x VALUES (1);\nINSERT INTO\n  nowhere VALUES (1)")
    last = up.count("\n") + 1
    broken = bench.make.migration("002_x", up)
    result = bench.deploy(bench.make.system(one(bench), broken))
    error = result["error"]
    assert (result["status"], result["applied"], error["code"]) == ("failed", ["001_one"], "migration_failed")
    assert error["where"]["statement"] == "3 of 3" and error["where"]["line"] in (last - 1, last)
    assert "nowhere" in error["message"]
    if transactional(bench):
        assert "undone whole" in result["state"] and not stands(bench, "x")
    else:
        assert "2 of 3 statements are permanent" in result["state"] and "goes on at statement 3" in result["next"]
        assert bench.query("SELECT id FROM x") == [(1,)] and bench.states()["002_x"] == "partial"


def test_a_failed_tail_may_be_edited_but_not_what_is_permanent(bench: Bench) -> None:
    make = bench.make
    rows = parted(bench, "INSERT INTO one VALUES (1);\nINSERT INTO one VALUES (2);\n")
    bench.deploy(make.system(one(bench), make.migration("002_x", f"{LOOSE}{rows}INSERT INTO nowhere VALUES (1)")))
    assert bench.states()["002_x"] == "partial"
    with pytest.raises(WindlassError) as refusal:
        bench.plan(make.system(one(bench), make.migration("002_x", f"{LOOSE}{rows.replace('2', '9')}DELETE FROM one")))
    assert refusal.value.code == "checksum_changed" and "permanent already" in refusal.value.message
    more = parted(bench, "INSERT INTO one VALUES (3);\nCREATE TABLE y (id int)")
    mended = make.system(one(bench), make.migration("002_x", f"{LOOSE}{rows}{more}"))
    planned = bench.plan(mended)
    assert (planned.steps[0].action, planned.steps[0].skip) == ("resume", 2)
    assert bench.run(planned)["error"] is None
    assert bench.query("SELECT id FROM one ORDER BY id") == [(1,), (2,), (3,)] and stands(bench, "y")
    assert bench.deploy(mended)["status"] == "nothing"


def test_a_half_done_migration_can_be_undone(bench: Bench) -> None:
    up = parted(bench, f"{LOOSE}INSERT INTO one VALUES (1);\nINSERT INTO nowhere VALUES (1)")
    half = bench.make.migration("002_x", up, f"{LOOSE}DELETE FROM one")
    bench.deploy(bench.make.system(one(bench), half))
    assert bench.roll_back(steps=1)["error"] is None
    assert bench.query("SELECT id FROM one") == [] and bench.states()["002_x"] == "reverted"


def test_undo_comes_from_the_journal_and_may_be_applied_again(bench: Bench) -> None:
    empty = bench.fingerprint()
    bench.deploy(both(bench))
    full = bench.fingerprint()
    assert full != empty
    assert bench.roll_back(steps=2)["applied"] == ["002_two", "001_one"]
    assert bench.fingerprint() == empty
    assert bench.deploy(both(bench))["applied"] == ["001_one", "002_two"]
    assert bench.fingerprint() == full


def test_an_edited_migration_stops_with_a_diff(bench: Bench) -> None:
    bench.deploy(bench.make.system(one(bench)))
    with pytest.raises(WindlassError) as refusal:
        bench.plan(bench.make.system(bench.make.migration("001_one", "CREATE TABLE one (id bigint PRIMARY KEY)")))
    assert refusal.value.code == "checksum_changed"
    assert "-CREATE TABLE one (id int PRIMARY KEY)" in refusal.value.message


def test_atomic_is_all_or_nothing_or_refused(bench: Bench) -> None:
    if transactional(bench):
        broken = bench.make.migration("003_broken", "INSERT INTO nowhere VALUES (1)")
        assert bench.deploy(bench.make.system(one(bench), two(bench), broken), atomic=True)["applied"] == []
        assert bench.states() == {} and not stands(bench, "one")
        return
    with pytest.raises(WindlassError) as refusal:
        bench.plan(both(bench), atomic=True)
    assert refusal.value.code == "usage" and bench.make.dialect.title in refusal.value.message
    bench.deploy(both(bench))
    rows = (bench.make.migration(f"00{n}_r", f"INSERT INTO one VALUES ({n})") for n in (3, 4))
    last = bench.make.migration("005_r", "INSERT INTO nowhere VALUES (1)")
    result = bench.deploy(bench.make.system(one(bench), two(bench), *rows, last), atomic=True)
    assert "nothing of this run is permanent" in result["state"]
    assert bench.query("SELECT id FROM one") == []


def test_a_repeatable_runs_again_when_its_text_changes(bench: Bench) -> None:
    view = f"{words(bench).replace} v AS SELECT id + {{}} AS n FROM one"
    insert = bench.make.migration("002_i", "INSERT INTO one VALUES (1)")

    def project(number: int) -> ProjectView:
        return bench.make.system(one(bench), insert, repeatables={"v": view.format(number)})

    assert bench.deploy(project(1))["applied"] == ["001_one", "002_i", "v"]
    assert bench.deploy(project(1))["status"] == "nothing"
    assert bench.deploy(project(2))["applied"] == ["v"]
    assert bench.query("SELECT n FROM v") == [(3,)]


def test_baseline_marks_only_what_verifies(bench: Bench) -> None:
    exists = "-- check: one stands\nSELECT 'one is missing' FROM (SELECT 1 AS x) y WHERE NOT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_name = 'one' AND table_schema = {})"
    verify = exists.format(words(bench).schema)
    stood = bench.make.migration("001_one", "CREATE TABLE one (id int)", "DROP TABLE one", verify)
    project = bench.make.system(stood, two(bench))
    refused = bench.run(plan.plan_baseline(project, bench.journal(), database="test", to="001_one"))
    assert refused["error"]["code"] == "verify_failed" and "one is missing" in refused["error"]["message"]
    bench.run_sql("CREATE TABLE one (id int)")
    assert bench.run(plan.plan_baseline(project, bench.journal(), database="test", to="001_one"))["applied"] == [
        "001_one"
    ]
    assert bench.deploy(project)["applied"] == ["002_two"]


def test_names_with_quotes_and_letters_of_all_kinds(bench: Bench) -> None:
    name = "0001_größe 'x' \"y\" `z` \\n 😀"
    quoted = bench.make.dialect.identifier("größe 'x\" `")
    project = bench.make.system(
        bench.make.migration(
            name,
            parted(bench, f"CREATE TABLE {quoted} (id int);\nINSERT INTO {quoted} VALUES (1)"),
            f"-- zurück 'é' \\ 😀\nDROP TABLE IF EXISTS {quoted}",
        )
    )
    empty = bench.fingerprint()
    assert bench.deploy(project)["applied"] == [name]
    entry = bench.journal(name).entries[0]
    assert (entry.up_text, entry.has_down) == (project.migrations[0].up.text, True)
    assert bench.roll_back(steps=1)["applied"] == [name]
    assert bench.fingerprint() == empty


def test_a_script_s_settings_reach_neither_the_journal_nor_the_next_one(bench: Bench) -> None:
    rude = bench.make.migration("001_rude", parted(bench, words(bench).rude))
    polite = bench.make.migration("002_polite", words(bench).keep.format("seen", words(bench).polite))
    project = bench.make.system(rude, polite)
    assert bench.deploy(project)["error"] is None
    assert bench.query("SELECT * FROM seen") == []
    entry = bench.journal("001_rude").entries[0]
    assert entry.up_text == project.migrations[0].up.text
    assert entry.applied_at[:2] == "20"


def test_a_killed_session_is_reported_with_the_true_state(bench: Bench) -> None:
    up = parted(bench, f"CREATE TABLE b (id int);\n{words(bench).kill_me};\nDELETE FROM b")
    project = bench.make.system(one(bench), bench.make.migration("002_b", up))
    result = bench.deploy(project)
    assert result["error"]["code"] == "connection_lost"
    assert result["applied"] == ["001_one"]
    assert stands(bench, "b") is not transactional(bench)
    assert ("undone whole" if transactional(bench) else "1 of 3 statements are permanent") in result["state"]


def lose_the_answer_to(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the connection go when a step's commit has arrived and its answer has not."""
    run_alone = StepRunner.run_alone

    def cut(self: StepRunner, step: Step) -> None:
        run_alone(self, step)
        if step.name == name:
            self._context.session.close()
            raise StepFailed(WindlassError("connection_lost", "no answer came"), lost=True)

    monkeypatch.setattr(StepRunner, "run_alone", cut)


def test_a_commit_whose_answer_was_lost_is_told_as_done(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    last = parted(bench, "CREATE TABLE t3 (id int);\nINSERT INTO t3 VALUES (1)")  # too long to be sent ahead
    more = (bench.make.migration("002_t", "CREATE TABLE t2 (id int)"), bench.make.migration("003_t", last))
    project = bench.make.system(one(bench), *more)
    with monkeypatch.context() as patch:
        lose_the_answer_to(patch, "002_t")
        result = bench.deploy(project)
    assert result["status"] == "failed" and result["error"]["code"] == "connection_lost"
    assert result["applied"] == ["001_one", "002_t"] == [name for name, state in bench.states().items()]
    assert [(line["name"], line["status"]) for line in result["steps"]] == [("001_one", "done"), ("002_t", "done")]
    assert (
        "002_t is applied: its commit had arrived" in result["state"] and result["next"] == "invoke deploy --env test"
    )
    told = [event["event"] for event in bench.events if event.get("migration") == "002_t"]
    assert "step_done" in told and "step_failed" not in told
    assert bench.deploy(project)["applied"] == ["003_t"]


@pytest.mark.parametrize(
    ("last", "following"), [("003_t", "rollback --env test --steps 1"), ("002_t", "status --env test")]
)
def test_of_a_lost_rollback_only_the_rest_is_asked_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, last: str, following: str
) -> None:
    more = (bench.make.migration(f"00{n}_t", f"CREATE TABLE t{n} (id int)", f"DROP TABLE t{n}") for n in (2, 3))
    bench.deploy(bench.make.system(one(bench), *more))
    lose_the_answer_to(monkeypatch, last)
    result = bench.roll_back(steps=2)
    assert f"{last} is undone: its commit had arrived" in result["state"]
    assert result["applied"] == [name for name in ("003_t", "002_t") if name >= last]
    assert result["next"] == f"invoke {following}"


def test_a_refused_login_does_not_tell_the_secret(bench: Bench) -> None:
    login, _, place = bench.target.url.partition("@")
    scheme = login.partition("://")[0]
    wrong = Target("test", "test", f"{scheme}://{words(bench).wrong_login}@{place}", "wr0ng s'ecret")
    with pytest.raises(WindlassError) as refusal:
        session.connect(wrong)
    assert refusal.value.code == "login_refused"
    assert "wr0ng" not in str(refusal.value.to_wire())


def test_nobody_listening_is_told_apart(bench: Bench) -> None:
    scheme = bench.target.url.partition("://")[0]
    with pytest.raises(WindlassError) as refusal:
        session.connect(Target("test", "test", f"{scheme}://u@127.0.0.1:1/x", "s3cret"), connect_timeout_s=3)
    assert refusal.value.code == "database_unreachable" and "s3cret" not in str(refusal.value.to_wire())
