"""Rehearsals on MariaDB, which does not tell its table locks: whom a plan keeps waiting is found out by trying."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.engine import mariadb_backups as backups
from tests.measuring import measured
from tests.systems import Bench, Maker
from windlass.telling import rehearsed as told
from windlass_engine import session
from windlass_engine.model import Options
from windlass_engine.rehearsal import load as loading
from windlass_engine.rehearsal import rehearse

ROWS = 80_000
MARIADB = Maker("mysql")
LONG = "ALTER TABLE bookings ADD COLUMN paid int, ALGORITHM=COPY, LOCK=SHARED;\n"
ONLINE = "ALTER TABLE bookings ADD COLUMN paid int, ALGORITHM=INSTANT;\n"
BACK = "ALTER TABLE bookings DROP COLUMN paid;\n"


@dataclass
class Theatre:
    """A database with a backup, and the plans to rehearse on copies of it."""

    url: str
    backup: str

    def rehearse(self, up: str, **more: Any) -> dict[str, Any]:
        plan = Bench(self.url).plan(MARIADB.system(MARIADB.migration("001_change", up, BACK)))
        asked = rehearse.Rehearsal(self.backup, plan, **more)
        return rehearse.run(backups.target_of(self.url), asked, Options("run", "tester", "here"), lambda _: None)


@pytest.fixture(scope="module")
def theatre(mariadb, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    with mariadb.database() as url:
        Bench(url).run_all(
            "CREATE TABLE bookings (id int PRIMARY KEY, state varchar(20), note varchar(200))",
            f"INSERT INTO bookings SELECT seq, 'new', REPEAT('x', 150) FROM seq_1_to_{ROWS}",
        )
        yield Theatre(url, backups.make(url, tmp_path_factory.mktemp("rehearse"))["path"])


def test_a_copy_of_the_table_is_caught_and_its_instant_form_is_not(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "ALONE_S", 0.5)
    writes = MARIADB.read("UPDATE bookings SET note = 'seen' WHERE id = 1 + FLOOR(RAND() * 1000);\n", "load/writes.sql")

    def is_clear(found: dict[str, Any]) -> bool:
        part, waits = found["parts"][0], found["load"]["waits"]
        third = part["statements"][0]["duration_ms"] / 3
        longest = max((wait["longest_ms"] for wait in waits if wait["whom"] == "001_change, line 1"), default=0)
        return bool(min((part["longest_block"] or {"longest_ms": 0})["longest_ms"], longest) >= third)

    found = measured(lambda: theatre.rehearse(LONG, load=[writes], workers=2), is_clear)
    assert found["failed"] == ""
    part = found["parts"][0]
    block = part["longest_block"]
    assert (block["table"], block["blocks"]) == ("bookings", "writes"), part["locks"]
    assert block["longest_ms"] >= part["statements"][0]["duration_ms"] / 3
    assert part["lock_note"].startswith("the server does not tell its table locks: reads and writes")
    assert "INSTALL SONAME 'metadata_lock_info'" in part["lock_note"]
    waits = [wait for wait in found["load"]["waits"] if wait["whom"] == "001_change, line 1"]
    wait = waits[0]
    assert (wait["who"], wait["table"]) == ("writes.sql", "bookings")
    assert wait["who_sql"].startswith("UPDATE bookings") and wait["whom_sql"].startswith("ALTER TABLE bookings")
    assert wait["longest_ms"] >= part["statements"][0]["duration_ms"] / 3
    assert part["growth_note"] == "" and part["statements"][0]["growth"] is not None
    assert part["statements"][0]["temporary_bytes"] is None, "the server counts it with performance_schema alone"
    lines = [text for text, _ in told.lines("here d", found)]
    assert any("?: what went into temporary files is not known" in text for text in lines)
    assert any("INSTALL SONAME" in text for text in lines)
    assert any(text.lstrip().startswith("writes of bookings wait for") for text in lines)

    half = block["longest_ms"] / 2
    short = lambda part: (part["longest_block"] or {"longest_ms": 0})["longest_ms"] < half  # noqa: E731
    online = measured(lambda: theatre.rehearse(ONLINE)["parts"][0], short)
    assert short(online)
    assert online["locks"] is not None, "that nobody waits is known"


def test_with_its_plugin_the_server_tells_the_lock_itself(mariadb) -> None:
    with mariadb.database() as url:
        bench = Bench(url)
        bench.run_all("CREATE TABLE t (id int PRIMARY KEY)", "INSTALL SONAME 'metadata_lock_info'")
        try:
            with session.connect(bench.target) as holder, session.connect(bench.target) as observer:
                holder.run("LOCK TABLES t WRITE")
                found = observer.dialect.gauge(observer.link, holder.backend_pid)
                holder.run("UNLOCK TABLES")
        finally:
            bench.run_sql("UNINSTALL SONAME 'metadata_lock_info'")
    [lock] = found.locks or ()
    assert (lock.table, lock.mode, lock.blocks) == ("t", "SHARED_NO_READ_WRITE", "reads and writes")
    assert found.note == ""
