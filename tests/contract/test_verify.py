"""Checks and sample-data tests on every engine."""

from __future__ import annotations

from tests.contract.engines import parted, words
from tests.systems import Bench
from windlass_engine.checking import verify
from windlass_engine.model import CheckResult


def checks(bench: Bench, text: str, kind: str = "check", scratch: bool = False) -> list[CheckResult]:
    return verify.run_checks(bench.target, [bench.make.read(parted(bench, text), f"{kind}s/x.sql")], kind, scratch)


def test_rows_are_failures_and_each_row_a_message(bench: Bench) -> None:
    text = "-- check: all is well\nSELECT 1 FROM (SELECT 1 AS x) y WHERE x = 2;\n\n-- check: two are wrong\nSELECT 'row', 1, NULL UNION ALL SELECT 'row', 2, NULL ORDER BY 2;\n"
    well, wrong = checks(bench, text)
    assert (well.name, well.passed, well.line) == ("all is well", True, 2)
    assert (wrong.passed, wrong.failures) == (False, ("row, 1, NULL", "row, 2, NULL"))
    assert wrong.line == parted(bench, text.rstrip(";\n")).count("\n") + 1


def test_an_error_fails_the_check_and_those_behind_it(bench: Bench) -> None:
    one, two = checks(bench, "-- check: one\nSELECT * FROM nowhere;\n-- check: two\nSELECT 1 FROM nowhere")
    assert "nowhere" in one.error and not one.passed
    assert "not run" in two.error and not two.passed


def test_checks_cannot_change_anything(bench: Bench) -> None:
    bench.run_sql("CREATE TABLE t (id int)")
    before = bench.fingerprint()
    (result,) = checks(bench, "-- check: sneaky\nINSERT INTO t VALUES (1)")
    assert "read" in result.error.lower() and "only" in result.error.lower()
    (result,) = checks(bench, "CREATE TABLE sneaky (id int);\n-- check: x\nSELECT 1")[:1]
    assert not result.passed
    assert bench.query("SELECT count(*) FROM t") == [(0,)] and bench.fingerprint() == before


def test_samples_write_and_leave_nothing(bench: Bench) -> None:
    bench.run_sql("CREATE TABLE t (id int)")
    text = "INSERT INTO t VALUES (1), (2), (3);\n-- check: three rows\nSELECT count(*) FROM t HAVING count(*) <> 3"
    (result,) = checks(bench, text, "sample")
    assert result.passed, result
    assert bench.query("SELECT count(*) FROM t") == [(0,)]


def test_a_sample_that_needs_commits_runs_only_in_a_scratch_database(bench: Bench) -> None:
    text = "-- windlass: scratch\nCREATE TABLE made (id int);\n-- check: runs\nSELECT 'it ran'"
    assert checks(bench, text, "sample") == []
    (result,) = checks(bench, text, "sample", scratch=True)
    assert result.failures == ("it ran",)


def test_one_script_leaves_no_setting_to_the_next(bench: Bench) -> None:
    text = f"{words(bench).rude};\n-- check: a\nSELECT 1 FROM (SELECT 1 AS x) y WHERE x = 2"
    first = bench.make.read(parted(bench, text), "checks/a.sql")
    second = bench.make.read(f"-- check: b\n{words(bench).polite}", "checks/b.sql")
    assert [r.passed for r in verify.run_checks(bench.target, [first, second])] == [True, True]
