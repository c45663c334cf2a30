from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.backups import Event, fill, make, settings_for, target_of
from tests.servers.postgresql import PostgresServer
from windlass_engine.backups import backup
from windlass_engine.keeping import manifest
from windlass_engine.keeping.band import warnings

MB = 1_000_000


def known(size: int, rows: dict[str, int] | None = None, **more: Any) -> dict[str, Any]:
    return {"bytes": size, "rows": rows or {}, "compression": "zstd:1", "method": "m", "encryption": None, **more}


@pytest.mark.parametrize(
    ("size", "earlier", "percent", "strange"),
    [
        (100 * MB, [], 50, ""),
        (100 * MB, [100 * MB], 50, ""),
        (51 * MB, [100 * MB], 50, ""),
        (49 * MB, [100 * MB], 50, "much smaller than the one before"),
        (199 * MB, [100 * MB], 50, ""),
        (201 * MB, [100 * MB, 100 * MB], 50, "much larger than the last 2"),
        (60 * MB, [100 * MB], 80, "much smaller"),
        (1 * MB, [100 * MB], 0, ""),
        # one outlier before does not move the middle, and a sixth is too long ago
        (100 * MB, [1 * MB, 100 * MB, 100 * MB], 50, ""),
        (9 * MB, [9 * MB, 9 * MB, 9 * MB, 100 * MB, 100 * MB, 100 * MB, 100 * MB], 50, ""),
        (10_000, [900_000], 50, ""),  # both are small
        (0, [100 * MB], 50, "much smaller"),
    ],
)
def test_the_size_band(size: int, earlier: list[int], percent: int, strange: str) -> None:
    found = warnings(known(size), [known(each) for each in earlier], percent)
    assert [strange in text for text in found] == ([True] if strange else [])


def test_only_backups_of_one_kind_are_compared() -> None:
    assert warnings(known(MB), [known(100 * MB, compression="gzip:1"), known(100 * MB, encryption={})], 50) == []


def test_tables_that_lost_all_rows_are_named() -> None:
    last = known(MB, {"public.a": 5, "public.b": 0, "public.c": 7, "public.gone": 3})
    assert warnings(known(MB, {"public.a": 0, "public.b": 0, "public.c": 7, "public.new": 0}), [last], 0) == [
        "a table that had rows has none now: public.a (5 before)"
    ]
    marks = {"windlass.statements": 5, "windlass_statements": 5}
    assert not warnings(known(MB, dict.fromkeys(marks, 0)), [known(MB, marks)], 0), "an undone migration's own marks"
    many = {f"t{number}": 1 for number in range(15)}
    (told,) = warnings(known(MB, dict.fromkeys(many, 0)), [known(MB, many)], 50)
    assert told.startswith("15 tables that had rows have none now: t0 (1 before), ")
    assert told.endswith(" and 5 more")


def test_a_backup_says_what_is_strange_about_it(database: str, pg: PostgresServer, tmp_path: Path) -> None:
    fill(database, "CREATE TABLE t AS SELECT generate_series(1, 10) AS a")
    assert make(database, tmp_path, pg)["warnings"] == []
    fill(database, "DELETE FROM t")
    events: list[Event] = []
    made = backup.make(target_of(database), settings_for(tmp_path, pg), events.append)
    told = "a table that had rows has none now: public.t (10 before)"
    assert made["warnings"] == manifest.load(made["path"])["warnings"] == [told]
    assert [event["text"] for event in events if event["event"] == "backup_warning"] == [told]
    # The next one is no news.
    assert make(database, tmp_path, pg)["warnings"] == []
