"""Rehearsals on a real server: what a plan costs on a copy of the data, found before the original sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.engine import backups
from tests.measuring import measured
from tests.servers.postgresql import PostgresServer
from tests.systems import Bench, migration, read, system
from windlass.telling import rehearsed as told
from windlass_engine import scratch
from windlass_engine.errors import WindlassError
from windlass_engine.model import Options, Plan
from windlass_engine.rehearsal import load as loading
from windlass_engine.rehearsal import rehearse

ROWS = 60_000
TABLE = f"""
CREATE TABLE public.bookings (id int PRIMARY KEY, state text, note text);
INSERT INTO public.bookings SELECT i, 'new', repeat('x', 40) FROM generate_series(1, {ROWS}) i;
"""
READS = "SELECT count(*) FROM (SELECT FROM public.bookings WHERE id < 200) part;\n"
WRITES = "UPDATE public.bookings SET note = 'seen' WHERE id = (random() * 1000)::int;\n"


@dataclass
class Theatre:
    """A database with a backup, and the plans to rehearse on copies of it."""

    url: str
    backup: str
    client_bin: str

    def plan(self, up: str, down: str | None, name: str = "001_change") -> Plan:
        return Bench(self.url).plan(system(migration(name, up, down)))

    def rehearse(self, plan: Plan, patience_ms: int = 200, **more: Any) -> dict[str, Any]:
        target = backups.target_of(self.url)
        asked = rehearse.Rehearsal(self.backup, plan, client_bin=self.client_bin, **more)
        options = Options("run", "tester", "here", lock_timeout_ms=patience_ms)
        found = rehearse.run(target, asked, options, lambda _: None)
        with psycopg.connect(self.url) as session:
            left = session.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", (f"{scratch.PREFIX}%",))
            assert left.fetchall() == [], "the scratch database goes"
        return found


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the load run alone for less long."""
    monkeypatch.setattr(loading, "ALONE_S", 0.5)


@pytest.fixture(scope="module")
def theatre(pg: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    with pg.database() as url:
        backups.fill(url, TABLE)
        made = backups.make(url, tmp_path_factory.mktemp("rehearse"), pg)
        yield Theatre(url, made["path"], str(pg.bin))


def what(found: dict[str, Any]) -> list[str]:
    return [part["what"] for part in found["parts"]]


def test_forth_back_and_forth_again(theatre: Theatre) -> None:
    up = "ALTER TABLE public.bookings ADD COLUMN paid boolean;\nUPDATE public.bookings SET paid = false;\n"
    checks = [read("-- check: all known\nSELECT id::text FROM public.bookings WHERE paid IS NULL;\n", "c.sql")]
    found = theatre.rehearse(theatre.plan(up, "ALTER TABLE public.bookings DROP COLUMN paid;\n"), checks=checks)
    assert found["failed"] == ""
    assert (found["rows"], what(found)) == (ROWS, ["the plan", "the way back", "the plan again"])
    added, updated = found["parts"][0]["statements"]
    assert (added["line"], updated["line"], updated["rows"]) == (1, 2, ROWS)
    assert updated["log_bytes"] > 1_000_000, "each row is written anew"
    assert found["parts"][0]["growth"]["public.bookings"] > 1_000_000
    [grown] = updated["growth"]
    assert added["growth"] == [] and grown["table"] == "public.bookings" and grown["own"] > 1_000_000
    assert added["temporary_bytes"] == updated["temporary_bytes"] == 0, "that is known: nothing was sorted"
    lines = [text for text, _ in told.lines("here d", found)]
    assert any(text.startswith("    001_change, line 2: public.bookings +") for text in lines)
    assert [check["name"] for check in found["checks"] if not check["failures"]] == ["all known"]
    with psycopg.connect(theatre.url) as session:
        columns = session.execute("SELECT count(*) FROM information_schema.columns WHERE table_name = 'bookings'")
        assert columns.fetchone() == (3,), "the original is as it was"


def test_a_lock_that_is_held_long_is_caught_and_its_online_form_is_not(theatre: Theatre) -> None:
    """A transaction that alters a table first and works long afterwards keeps everybody waiting to its end."""
    slow = "ALTER TABLE public.bookings ADD COLUMN a int;\nSELECT pg_sleep(1.2);\n"
    down = "ALTER TABLE public.bookings DROP COLUMN a;\n"

    def block(up: str) -> dict[str, Any]:
        found = theatre.rehearse(theatre.plan(up, down))["parts"][0]["longest_block"]
        return found or {"held_ms": 0}

    long = measured(lambda: block(slow), lambda found: found["held_ms"] >= 1000)
    assert (long["table"], long["blocks"]) == ("public.bookings", "reads and writes")
    assert long["held_ms"] >= 1000
    online = "SELECT pg_sleep(1.2);\nALTER TABLE public.bookings ADD COLUMN a int;\n"
    short = measured(lambda: block(online), lambda found: found["held_ms"] < 300)
    assert short["held_ms"] < 300


def test_what_the_plan_does_to_its_own_tables_keeps_nobody_waiting(theatre: Theatre) -> None:
    """The first migration makes a table, the second locks it; the third locks one that stood before."""

    def rehearsed(table: str) -> dict[str, Any]:
        first = migration("001_make", "CREATE TABLE public.made (id int, note text);\n", "DROP TABLE public.made;\n")
        second = migration("002_slow", f"LOCK TABLE {table} IN EXCLUSIVE MODE;\nSELECT pg_sleep(0.8);\n", "SELECT 1;\n")
        part: dict[str, Any] = theatre.rehearse(Bench(theatre.url).plan(system(first, second)))["parts"][0]
        return part

    own = measured(lambda: rehearsed("public.made"), lambda part: part["locks"])
    assert own["longest_block"] is None and own["blocked"] == []
    assert "public.made" in {lock["table"] for lock in own["locks"]}, "it is told all the same"
    other = measured(lambda: rehearsed("public.bookings"), lambda part: part["longest_block"])
    assert other["longest_block"]["table"] == "public.bookings"


def test_the_load_feels_what_the_plan_does_and_who_waited_for_whom_is_named(theatre: Theatre) -> None:
    """The statement that took the lock is named, although another one runs while it is held."""
    slow = "ALTER TABLE public.bookings ADD COLUMN b int;\nSELECT pg_sleep(0.8);\n"
    load = [read(READS, "sql/test/load/reads.sql"), read(WRITES, "sql/test/load/writes.sql")]
    down = "ALTER TABLE public.bookings DROP COLUMN b;\n"

    def is_clear(found: dict[str, Any]) -> bool:
        felt, spans = found["load"], found["parts"][0]["blocked"]
        waited = [wait["longest_ms"] for wait in felt["waits"] if wait["whom"] == "001_change, line 1"]
        return bool(
            felt["alone"]["calls"] > 20
            and felt["alone"]["worst_ms"] < 600 <= max(waited, default=0)
            and max((span["to_ms"] - span["from_ms"] for span in spans), default=0) >= 700
        )

    rehearsal = measured(lambda: theatre.rehearse(theatre.plan(slow, down), load=load, workers=3), is_clear)
    found = rehearsal["load"]
    assert found["errors"] == []
    assert found["during"]["calls"] > 0 and found["alone"]["calls"] > 20
    assert found["during"]["worst_ms"] >= 600, "somebody waited for the lock"
    assert found["alone"]["p50_ms"] < 600
    assert max(point["worst_ms"] for point in found["picture"]) == found["during"]["worst_ms"]
    assert sum(point["calls"] for point in found["picture"]) >= found["during"]["calls"] + found["alone"]["calls"]

    longest_first = [wait for wait in found["waits"] if wait["whom"] == "001_change, line 1"]
    waits = {wait["who"]: wait for wait in reversed(longest_first)}  # a short one may have been seen half gone
    assert waits and set(waits) <= {"reads.sql", "writes.sql"}, found["waits"]
    for name, wait in waits.items():
        assert (wait["whom_sql"], wait["table"]) == ("ALTER TABLE public.bookings ADD COLUMN b int", "public.bookings")
        assert wait["who_sql"].startswith("SELECT" if name == "reads.sql" else "UPDATE")
    assert max(wait["longest_ms"] for wait in waits.values()) >= 600
    assert max(span["to_ms"] - span["from_ms"] for span in rehearsal["parts"][0]["blocked"]) >= 700
    altered, slept = rehearsal["parts"][0]["statements"]
    assert altered["at_ms"] <= slept["at_ms"]
    lines = [text for text, _ in told.lines("here d", rehearsal)]
    assert any(
        "waited" in text and text.endswith("001_change, line 1 (ALTER TABLE public.bookings ADD COLUMN b int)")
        for text in lines
    )


def test_that_the_plan_waited_for_the_load_is_named_too(theatre: Theatre) -> None:
    up = "SELECT pg_sleep(0.4);\nALTER TABLE public.bookings ADD COLUMN c int;\n"
    hold = "SELECT id FROM public.bookings WHERE id = 5 FOR SHARE;\nSELECT pg_sleep(0.4);\n"
    plan = theatre.plan(up, "ALTER TABLE public.bookings DROP COLUMN c;\n")
    load = [read(hold, "sql/test/load/hold.sql")]

    def waits() -> set[tuple[str, ...]]:
        found = theatre.rehearse(plan, patience_ms=60_000, load=load, workers=1)
        return {(wait["who"], wait["whom"], wait["table"]) for wait in found["load"]["waits"]}

    wanted = ("001_change, line 2", "hold.sql", "public.bookings")
    assert wanted in measured(waits, lambda seen: wanted in seen)


@pytest.mark.parametrize(
    ("up", "down", "words"),
    [
        ("ALTER TABLE public.nowhere ADD COLUMN a int;\n", "SELECT 1;\n", "the plan fails"),
        ("CREATE TABLE public.b (id int);\n", "DROP TABLE public.nowhere;\n", "the way back fails"),
        ("CREATE TABLE public.b (id int);\n", "SELECT 1;\n", "the way back does not lead to the schema of before"),
    ],
)
def test_what_would_go_wrong_is_said(theatre: Theatre, up: str, down: str, words: str) -> None:
    assert words in theatre.rehearse(theatre.plan(up, down))["failed"]


def test_a_failing_check_speaks_against_the_plan(theatre: Theatre) -> None:
    checks = [read("-- check: none is new\nSELECT 'still new' FROM public.bookings LIMIT 1;\n", "c.sql")]
    found = theatre.rehearse(theatre.plan("CREATE TABLE public.b (id int);\n", "DROP TABLE public.b;\n"), checks=checks)
    assert found["failed"] == "1 checks fail after it, the first: none is new"


def test_a_backup_of_another_state_is_refused(pg: PostgresServer, tmp_path: Path) -> None:
    with pg.database() as url:
        bench = Bench(url)
        made = backups.make(url, tmp_path, pg)
        first = migration("001_a", "CREATE TABLE public.a (id int);\n", "DROP TABLE public.a;\n")
        bench.deploy(system(first))
        plan = bench.plan(system(first, migration("002_b", "CREATE TABLE public.b (id int);\n")))
        with pytest.raises(WindlassError) as caught:
            Theatre(url, made["path"], str(pg.bin)).rehearse(plan)
        assert caught.value.code == "plan_stale"
        assert "invoke backup" in caught.value.hint
