"""Maintenance jobs on every engine: counted, locked, one transaction a pass, written into the log."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest

from testbed.waiting import LIMIT_S
from tests.contract.engines import parted, words
from tests.systems import Bench, take_lock
from windlass_engine import maintain, session
from windlass_engine.errors import WindlassError
from windlass_engine.maintain import Job
from windlass_engine.model import Options, Wire
from windlass_engine.project import script

OPTIONS = Options("run", "tester", "here", "test", lock_timeout_ms=200)


@pytest.fixture
def standing(bench: Bench) -> Bench:
    """A database that was deployed to, with 25 rows too many."""
    rows = ", ".join(f"({n})" for n in range(25))
    up = f"CREATE TABLE old (id int PRIMARY KEY);\nINSERT INTO old VALUES {rows}"
    assert (
        bench.deploy(bench.make.system(bench.make.migration("001_old", parted(bench, up), "DROP TABLE IF EXISTS old")))[
            "error"
        ]
        is None
    )
    return bench


def job(bench: Bench, text: str, name: str = "tidy") -> Job:
    path = f"{name}.sql"
    return Job(name, script.load(text.encode(), path, bench.make.dialect.split, kind="maintenance"))


def run(bench: Bench, *jobs: Job, options: Options = OPTIONS) -> Wire:
    return maintain.run(bench.target, jobs, options, bench.events.append)


def count(bench: Bench) -> int:
    return int(bench.query("SELECT count(*) FROM old")[0][0])


def log(bench: Bench) -> list[tuple[object, ...]]:
    return bench.query(f"SELECT event, name, detail FROM {words(bench).events} WHERE kind = 'maintenance' ORDER BY id")


def test_a_job_is_counted_and_written_down(standing: Bench) -> None:
    result = run(standing, job(standing, words(standing).some))
    [done] = result["jobs"]
    assert (result["status"], result["changed"], done["rows"], done["passes"]) == ("done", True, 10, 1)
    assert count(standing) == 15
    assert log(standing) == [("maintained", "tidy", "10 rows in 1 passes")]


def test_a_job_that_repeats_goes_on_until_nothing_is_left(standing: Bench) -> None:
    [done] = run(standing, job(standing, f"-- windlass: repeat 1ms\n{words(standing).some}"))["jobs"]
    assert (done["rows"], done["passes"], count(standing)) == (25, 4, 0)
    again = run(standing, job(standing, f"-- windlass: repeat 1ms\n{words(standing).some}"))
    assert (again["changed"], again["jobs"][0]["rows"]) == (False, 0)


def test_an_answer_of_numbers_is_the_count_and_one_of_rows_is_listed(standing: Bench) -> None:
    numbers = job(
        standing, parted(standing, f"{words(standing).some};\nSELECT 3 AS keys_deleted, 4 AS others"), "numbers"
    )
    rows = job(standing, "SELECT 'made', 'p1' UNION ALL SELECT 'dropped', 'p0'", "rows")
    first, second = run(standing, numbers, rows)["jobs"]
    assert (first["rows"], second["rows"]) == (7, 2)
    assert sorted(second["answer"]) == [["dropped", "p0"], ["made", "p1"]]


def test_a_job_that_fails_is_rolled_back_and_stops_no_other(standing: Bench) -> None:
    text = parted(standing, f"{words(standing).some};\n\nDELETE FROM nowhere")
    broken = job(standing, text, "broken")
    result = run(standing, broken, job(standing, words(standing).some))
    assert [item["status"] for item in result["jobs"]] == ["failed", "done"]
    assert result["status"] == "failed"
    assert result["error"]["code"] == "maintenance_failed"
    assert result["error"]["where"] == {"database": "test", "file": "broken.sql", "line": text.count("\n") + 1}
    assert "--job broken" in result["error"]["hint"]
    assert count(standing) == 15
    assert [row[:2] for row in log(standing)] == [("maintenance_failed", "broken"), ("maintained", "tidy")]


def test_the_same_job_never_runs_twice_at_once(standing: Bench) -> None:
    with session.connect(standing.target) as other:
        assert other.dialect.try_job_lock(other.link, "tidy")
        first, second = run(standing, job(standing, "SELECT 1"), job(standing, "SELECT 1", "another"))["jobs"]
    assert (first["status"], first["note"]) == ("skipped", "the same job is at work already")
    assert second["status"] == "done"


def test_a_job_waits_for_a_deployment_and_says_who_holds_the_lock(standing: Bench) -> None:
    with session.connect(standing.target, "windlass 4711 alice") as other:
        take_lock(other)
        impatient = replace(OPTIONS, deploy_lock_wait_s=0.6)
        result = run(standing, job(standing, words(standing).some), options=impatient)
        assert result["error"]["code"] == "deploy_locked"
        assert "alice" in result["error"]["message"]
        other.dialect.unlock(other.link)
        assert run(standing, job(standing, words(standing).some))["status"] == "done"
    assert count(standing) == 15


def test_a_deployment_gets_in_between_two_passes(standing: Bench) -> None:
    more = standing.make.migration("002_more", "CREATE TABLE more (id int)", "DROP TABLE IF EXISTS more")
    first = standing.make.migration(
        "001_old", standing.journal("001_old").entries[0].up_text, "DROP TABLE IF EXISTS old"
    )
    slow = job(standing, f"-- windlass: repeat 300ms\n{words(standing).some}")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, standing, slow)
        assert standing.deploy(standing.make.system(first, more))["applied"] == ["002_more"]
        assert running.result(LIMIT_S)["jobs"][0]["status"] == "done"
    assert count(standing) == 0


def test_a_table_that_is_locked_is_tried_again(standing: Bench) -> None:
    with session.connect(standing.target) as other, ThreadPoolExecutor(1) as pool:
        other.run(standing.make.dialect.begin(0, 0))
        other.run("UPDATE old SET id = id WHERE id < 5")
        running = pool.submit(run, standing, job(standing, words(standing).some))
        with suppress(TimeoutError):
            running.result(1)
        other.run("COMMIT")
        assert running.result(LIMIT_S)["jobs"][0]["rows"] == 10


def test_a_database_without_a_journal_is_refused(bench: Bench) -> None:
    with pytest.raises(WindlassError) as refusal:
        run(bench, job(bench, "SELECT 1"))
    assert refusal.value.code == "preflight_failed"


def test_when_a_job_last_ran_is_known(standing: Bench) -> None:
    run(standing, job(standing, "SELECT 1"))
    with session.connect(standing.target) as opened:
        rows = opened.query(opened.dialect.journal.last_events("maintained"))
    assert [name for name, _ in rows] == ["tidy"]
    assert 0 <= int(rows[0][1]) < 300
