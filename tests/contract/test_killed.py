"""A deployer of MySQL or MariaDB killed -9 before and after a statement that it sends: one more deploy mends all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.faults.chance import some
from tests.faults.dying import dies_at, killed_while, messages_of
from tests.faults.results import keep_killed
from tests.systems import Bench, Maker

if TYPE_CHECKING:
    from tests.servers.mysqld import Mysqld

make = Maker("mysql")
NUMBERS = "WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {}) SELECT n, n FROM g"
PROCEDURE = "CREATE PROCEDURE p() BEGIN DECLARE n int; SET n = 1; IF n = 1 THEN SELECT ';'; END IF; END"
PROJECT = make.system(
    make.migration("001_t", "CREATE TABLE t (id int PRIMARY KEY, a int, n int NOT NULL DEFAULT 0);\nINSERT INTO t (id, a) " + NUMBERS.format(60) + ";\nCREATE TABLE log (word text)"),
    make.migration("002_i", "CREATE INDEX t_a ON t (a);\nINSERT INTO log VALUES ('once');\nDROP INDEX t_a ON t;\nALTER TABLE t ADD COLUMN c int, ADD UNIQUE INDEX t_u (a), ALGORITHM=INPLACE;\nALTER TABLE t MODIFY c bigint NULL;\nALTER TABLE t CHANGE c d bigint NULL"),
    make.migration("003_b", "-- windlass: backfill table=t key=id batch=20\nUPDATE t SET n = n + 1 WHERE true /* windlass: batch */;\nINSERT INTO log VALUES ('twice?')"),
    make.migration("004_r", f"{PROCEDURE};\nCREATE TRIGGER g BEFORE INSERT ON log FOR EACH ROW SET NEW.word = CONCAT(NEW.word, '');\nRENAME TABLE log TO log2, t TO t2;\nALTER TABLE t2 ADD CONSTRAINT positive CHECK (n >= 0)"),
    make.migration("005_d", "UPDATE t2 SET d = 1;\nINSERT INTO log2 VALUES ('thrice?')"),
    repeatables={"v": "CREATE OR REPLACE VIEW v AS SELECT id FROM t2"},
)  # fmt: skip
WORDS = "SELECT word FROM log2 ORDER BY word"
ROWS = "SELECT COUNT(*) FROM t2 WHERE n = 1 AND d = 1 AND a = id"


def state(bench: Bench) -> tuple[object, ...]:
    return bench.query(WORDS), bench.query(ROWS), bench.fingerprint(), bench.states()


@pytest.fixture
def fresh(mysqld: Mysqld) -> Iterator[Callable[[], Bench]]:
    opened = []

    def new() -> Bench:
        context = mysqld.database()
        opened.append(context)
        return Bench(context.__enter__())

    yield new
    for context in opened:
        context.__exit__(None, None, None)


@pytest.mark.timeout(3600)  # a hundred of them, or two, where everything is tried
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_a_statement(mysqld: Mysqld, fresh: Callable[[], Bench], after: bool) -> None:
    clean = fresh()
    count = messages_of(lambda: clean.deploy(PROJECT))
    wanted = state(clean)
    assert wanted[:2] == ([("once",), ("thrice?",), ("twice?",)], [(60,)])
    assert count > 80, "the set of migrations sends more statements than that"
    for number in some(range(1, count + 1), 8, "statement", mysqld.title, after):
        bench, began = fresh(), time.monotonic()
        assert dies_at(number, after, lambda bench=bench: bench.deploy(PROJECT)), number  # type: ignore[misc]
        result = bench.deploy(PROJECT)
        assert result["error"] is None, (number, result)
        assert state(bench) == wanted, number
        keep_killed("deploy", mysqld.title, -number if after else number, began)


def test_killed_inside_a_schema_change(fresh: Callable[[], Bench]) -> None:
    """The server goes on with the change after its client is gone; the next deployer waits, looks, and goes on."""
    table = make.migration(
        "001_t", "CREATE TABLE t (id int PRIMARY KEY);\nINSERT INTO t VALUES (1), (2), (3), (4), (5)"
    )
    project = make.system(
        table,
        make.migration("002_s", "CREATE TABLE s AS SELECT id, SLEEP(0.3) AS x FROM t;\nALTER TABLE s ADD COLUMN y int"),
    )
    at_work = "SELECT 1 FROM information_schema.PROCESSLIST WHERE info LIKE 'CREATE TABLE s%'"
    in_time = False
    while not in_time:  # on a busy machine a look may come too late
        bench = fresh()
        bench.deploy(make.system(table))
        in_time = killed_while(partial(bench.query, at_work), partial(bench.deploy, project))
    assert bench.deploy(project)["error"] is None
    assert bench.query("SELECT COUNT(*), MAX(y) FROM s") == [(5, None)]
