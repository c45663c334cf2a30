"""SQL Server's deployer killed -9 before and after a batch that it sends: one more deploy mends everything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.faults.chance import some
from tests.faults.dying import dies_at, messages_of
from tests.faults.results import keep_killed
from tests.systems import Bench, Maker

if TYPE_CHECKING:
    from tests.servers.mssql import SQLServer

make = Maker("mssql")
VALUES = ", ".join(f"({n}, {n})" for n in range(1, 61))
PROJECT = make.system(
    make.migration("001_t", f"CREATE TABLE t (id int PRIMARY KEY, a int, n int NOT NULL DEFAULT 0)\nGO\nINSERT INTO t (id, a) VALUES {VALUES}\nGO\nCREATE TABLE log (word varchar(20))\nGO\nINSERT INTO log VALUES ('once')"),
    make.migration("002_b", "-- windlass: no-transaction\n-- windlass: backfill table=t key=id batch=20\nUPDATE t SET n = n + 1 WHERE 1 = 1 /* windlass: batch */\nGO\nINSERT INTO log VALUES ('twice?')"),
    make.migration("003_c", "ALTER TABLE t ADD c int\nGO\nUPDATE t SET c = 1\nGO\nINSERT INTO log VALUES ('thrice?')"),
    make.migration("004_i", "-- windlass: no-transaction\nCREATE INDEX t_a ON t (a)\nGO\nDROP INDEX t_a ON t\nGO\nCREATE TABLE d (n int)"),
    repeatables={"v": "IF OBJECT_ID(N'v') IS NULL EXEC (N'CREATE VIEW v AS SELECT id FROM t')"},
)  # fmt: skip


def state(bench: Bench) -> tuple[object, ...]:
    words = bench.query("SELECT word FROM log ORDER BY word")
    rows = bench.query("SELECT COUNT(*) FROM t WHERE n = 1 AND c = 1 AND a = id")
    return words, rows, bench.fingerprint(), bench.states()


@pytest.fixture
def fresh(mssql: SQLServer) -> Iterator[Callable[[], Bench]]:
    opened = []

    def new() -> Bench:
        context = mssql.database()
        opened.append(context)
        return Bench(context.__enter__())

    yield new
    for context in opened:
        context.__exit__(None, None, None)


@pytest.mark.timeout(3600)  # many of them where everything is tried
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_a_batch(fresh: Callable[[], Bench], after: bool) -> None:
    clean = fresh()
    count = messages_of(lambda: clean.deploy(PROJECT))
    wanted = state(clean)
    assert wanted[:2] == ([("once",), ("thrice?",), ("twice?",)], [(60,)])
    assert count > 60, "the set of migrations sends more batches than that"
    for number in some(range(1, count + 1), 4, "batch", after):
        bench, began = fresh(), time.monotonic()
        assert dies_at(number, after, lambda bench=bench: bench.deploy(PROJECT)), number  # type: ignore[misc]
        bench.wait_for_deployers()
        result = bench.deploy(PROJECT)
        assert result["error"] is None, (number, result)
        assert state(bench) == wanted, number
        keep_killed("deploy", "mssql", -number if after else number, began)
