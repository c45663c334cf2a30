"""Checks and sample-data tests on a real server."""

from __future__ import annotations

from tests.systems import Bench, read
from windlass_engine.checking import verify
from windlass_engine.model import CheckResult


def checks(bench: Bench, text: str, kind: str = "check", scratch: bool = False) -> list[CheckResult]:
    return verify.run_checks(bench.target, [read(text, f"{kind}s/x.sql")], kind, scratch)


def test_rows_are_failures_and_each_row_a_message(bench: Bench) -> None:
    text = "-- check: all is well\nSELECT 1 WHERE false;\n\n-- check: two are wrong\nSELECT 'row ' || g, g, NULL FROM generate_series(1, 2) g;\n"
    well, wrong = checks(bench, text)
    assert (well.name, well.passed, well.line) == ("all is well", True, 2)
    assert (wrong.passed, wrong.failures, wrong.line) == (False, ("row 1, 1, NULL", "row 2, 2, NULL"), 5)


def test_many_failures_are_counted_not_listed(bench: Bench) -> None:
    (result,) = checks(bench, "-- check: many\nSELECT generate_series(1, 1000)")
    assert len(result.failures) == 51 and result.failures[-1] == "and 950 more"


def test_an_error_fails_the_check_and_those_behind_it(bench: Bench) -> None:
    text = "-- check: one\nSELECT 1/0;\n-- check: two\nSELECT 1 WHERE false"
    one, two = checks(bench, text)
    assert "division by zero" in one.error and not one.passed
    assert "not run" in two.error and not two.passed


def test_a_failing_set_up_is_never_a_pass(bench: Bench) -> None:
    (broken,) = checks(bench, "INSERT INTO nowhere VALUES (1)", "sample")
    assert not broken.passed and "nowhere" in broken.error


def test_checks_cannot_change_anything(bench: Bench) -> None:
    bench.run_sql("CREATE TABLE t (id int)")
    (result,) = checks(bench, "-- check: sneaky\nINSERT INTO t VALUES (1) RETURNING 'changed'")
    assert "read-only" in result.error
    assert bench.query("SELECT count(*) FROM t") == [(0,)]


def test_samples_write_and_leave_nothing(bench: Bench) -> None:
    bench.run_sql("CREATE TABLE t (id int)")
    text = (
        "INSERT INTO t SELECT generate_series(1, 3);\n-- check: three rows\nSELECT count(*) FROM t HAVING count(*) <> 3"
    )
    (result,) = checks(bench, text, "sample")
    assert result.passed
    assert bench.query("SELECT count(*) FROM t") == [(0,)]


def test_a_sample_that_needs_commits_runs_only_in_a_scratch_database(bench: Bench) -> None:
    text = "-- windlass: scratch\n-- check: runs\nSELECT 'it ran'"
    assert checks(bench, text, "sample") == []
    (result,) = checks(bench, text, "sample", scratch=True)
    assert result.failures == ("it ran",)


def test_a_scratch_sample_may_commit(bench: Bench) -> None:
    text = "-- windlass: scratch\nCREATE TABLE t (id int);\nVACUUM t;\n-- check: two sessions see it\nSELECT 1 WHERE to_regclass('t') IS NULL"
    assert [result.passed for result in checks(bench, text, "sample", scratch=True)] == [True]
    assert bench.query("SELECT count(*) FROM t") == [(0,)]


def test_one_script_leaves_no_setting_to_the_next(bench: Bench) -> None:
    first = read("SET search_path = ''; SET statement_timeout = 1;\n-- check: a\nSELECT 1 WHERE false", "checks/a.sql")
    second = read(
        "-- check: b\nSELECT current_setting('search_path') WHERE current_setting('search_path') = ''", "checks/b.sql"
    )
    assert [r.passed for r in verify.run_checks(bench.target, [first, second])] == [True, True]
