"""Known queries before and after a change, on every engine."""

from __future__ import annotations

from typing import Any

import pytest

from tests.systems import Bench
from windlass_engine.checking import queries
from windlass_engine.session import connect

NAMES = [", ".join(f"({n}, 'name {n}')" for n in range(at, at + 1000)) for at in (0, 1000, 2000)]


def measured(bench: Bench, sql: str) -> list[dict[str, Any]]:
    with connect(bench.target) as session:
        return queries.measure(session, [bench.make.read(sql, "sql/test/queries/by_name.sql")])


def test_a_lost_index_is_a_finding(bench: Bench) -> None:
    if "explains" not in bench.make.dialect.capabilities:
        pytest.skip(f"{bench.make.dialect.title} is not asked for its plans")
    bench.run_all(
        "CREATE TABLE t (id int PRIMARY KEY, name varchar(40))", *(f"INSERT INTO t VALUES {names}" for names in NAMES),
        "CREATE INDEX by_name ON t (name)", *bench.analyse("t"),
    )  # fmt: skip
    sql = "SELECT id FROM t WHERE name = 'name 7'"
    (before,) = measured(bench, sql)
    assert (before["name"], before["scans"], before["error"]) == ("by_name.sql", [], "")
    bench.run_sql("DROP INDEX by_name" if bench.make.engine == "postgresql" else "DROP INDEX by_name ON t")
    (after,) = measured(bench, sql)
    (compared,) = queries.compare([before], [after])
    assert "it now reads" in compared["finding"] and "t from end to end" in compared["finding"]


def test_a_small_table_may_be_read_whole(bench: Bench) -> None:
    bench.run_all("CREATE TABLE t (id int, name varchar(40))", "INSERT INTO t VALUES (1, 'a')", *bench.analyse("t"))
    assert measured(bench, "SELECT id FROM t WHERE name = 'a'")[0]["scans"] == []


def test_a_query_that_fails_is_told_and_cannot_write(bench: Bench) -> None:
    bench.run_sql("CREATE TABLE t (id int)")
    (lost,) = measured(bench, "SELECT id FROM nowhere")
    assert "nowhere" in lost["error"]
    (compared,) = queries.compare([{"name": "by_name.sql", "ms": 1.0, "scans": [], "error": ""}], [lost])
    assert compared["finding"].startswith("it fails now")
    measured(bench, "INSERT INTO t VALUES (1)")
    assert bench.query("SELECT count(*) FROM t") == [(0,)]


def test_only_what_is_much_slower_is_a_finding() -> None:
    def query(ms: float) -> dict[str, Any]:
        return {"name": "q", "ms": ms, "scans": [], "error": ""}

    assert queries.compare([query(1.0)], [query(4.0)])[0]["finding"] == "", "a few milliseconds are noise"
    assert queries.compare([query(100.0)], [query(150.0)])[0]["finding"] == ""
    assert "takes 300 ms, 100 ms before" in queries.compare([query(100.0)], [query(300.0)])[0]["finding"]
