"""Batched updates on every engine."""

from __future__ import annotations

from tests.contract.engines import parted, words
from tests.systems import Bench
from windlass_engine.project.view import ProjectView

HEADER = "-- windlass: no-transaction\n"
#: Near the largest signed 64-bit number, where floating point cannot tell neighbours apart.
LARGE = 9223372036854775000


def project(bench: Bench, header: str = HEADER, start: int = 0, batch: int = 100) -> ProjectView:
    values = ", ".join(f"({start + n})" for n in range(1, 501))
    fill = (
        f"-- windlass: backfill table=t key=id batch={batch}\nUPDATE t SET n = n + 1 WHERE id > 0 /* windlass: batch */"
    )
    return bench.make.system(
        bench.make.migration(
            "001_t",
            parted(
                bench,
                f"CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0);\nINSERT INTO t (id) VALUES {values}",
            ),
        ),
        bench.make.migration("002_b", f"{header}{fill}"),
    )


def test_commits_in_batches_each_row_once(bench: Bench) -> None:
    assert bench.deploy(project(bench, start=LARGE))["error"] is None
    assert bench.query("SELECT min(n), max(n), count(*) FROM t") == [(1, 1, 500)]
    journal = words(bench).statements
    rows = bench.query(f"SELECT * FROM {journal} WHERE position = '{LARGE + 500}'")
    assert len(rows) == 1 and rows[0][-1] == 500


def test_goes_on_where_it_stopped(bench: Bench) -> None:
    found = project(bench)
    bench.deploy(bench.make.system(found.migrations[0]))
    bench.run_sql("ALTER TABLE t ADD CONSTRAINT stop CHECK (id <> 255 OR n = 0)")
    assert bench.deploy(found)["status"] == "failed"
    assert bench.query("SELECT count(*) FROM t WHERE n = 1") == [(200,)]
    bench.run_sql("ALTER TABLE t DROP CONSTRAINT stop")
    assert bench.deploy(found)["error"] is None
    assert bench.query("SELECT min(n), max(n), count(*) FROM t") == [(1, 1, 500)]


def test_walks_over_text_keys(bench: Bench) -> None:
    values = ", ".join(f"('k{n:03}é')" for n in range(250))
    up = f"CREATE TABLE u (id varchar(20) PRIMARY KEY, n int DEFAULT 0);\nINSERT INTO u (id) VALUES {values}"
    table = bench.make.migration("001_u", parted(bench, up))
    fill = bench.make.migration(
        "002_b",
        f"{HEADER}-- windlass: backfill table=u key=id batch=100\nUPDATE u SET n = n + 1 WHERE 1 = 1 /* windlass: batch */",
    )
    assert bench.deploy(bench.make.system(table, fill))["error"] is None
    assert bench.query("SELECT min(n), max(n), count(*) FROM u") == [(1, 1, 250)]
