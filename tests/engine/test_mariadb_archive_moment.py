"""What is written at the last moment before an undone migration takes it away is archived too, on MariaDB."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from testbed.waiting import wait_until
from tests.engine.mariadb_backups import name_in
from tests.systems import Bench
from windlass_engine.archiving import kept
from windlass_engine.running.loose import LooseStep

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer

BASE = "CREATE TABLE person (id int PRIMARY KEY, name varchar(20));\nCREATE TABLE other (id int PRIMARY KEY)"
WIDER = "ALTER TABLE person ADD COLUMN phone varchar(40)"
NARROWER = "ALTER TABLE person DROP COLUMN phone"


@pytest.fixture
def bench(mariadb: MariaDBServer) -> Iterator[Bench]:
    with mariadb.database() as url:
        yield Bench(url)


def deployed(bench: Bench, up: str, down: str) -> None:
    make = bench.make
    system = make.system(make.migration("001_base", BASE, "DO 0"), make.migration("002_more", up, down))
    assert bench.deploy(system)["error"] is None


def undone(bench: Bench) -> None:
    result = bench.run(bench.plan_down(steps=1))
    assert result["error"] is None, result["error"]


def archived(bench: Bench) -> list[list[str | None]]:
    return [row for item in kept.look(bench.target) for row in kept.page(bench.target, item["name"], 0, 10**6)["rows"]]


@pytest.mark.parametrize("stood", [True, False], ids=["rows-before", "none-before"])
@pytest.mark.parametrize(("down", "row"), [(NARROWER, ["2", "late"]), ("DROP TABLE person", ["2", None, "late"])])
def test_a_row_of_the_last_moment(
    bench: Bench, stood: bool, down: str, row: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(bench, WIDER, down)
    if stood:
        bench.run_sql("INSERT INTO person (id, phone) VALUES (1, 'early')")
    run = LooseStep.run

    def run_late(step: LooseStep) -> None:
        bench.run_sql("INSERT INTO person (id, phone) VALUES (2, 'late')")  # everything is copied by now
        run(step)

    monkeypatch.setattr(LooseStep, "run", run_late)
    undone(bench)
    found = archived(bench)
    assert row in found and len(found) == 1 + stood
    assert [item["rows"] for item in kept.look(bench.target)] == [1 + stood]


@pytest.mark.parametrize(
    "down", [NARROWER, "DROP TABLE person", "DELETE FROM person", f"DELETE FROM other;\n{NARROWER}"]
)
def test_writers_lose_not_one_row(bench: Bench, mariadb: MariaDBServer, down: str) -> None:
    """What the server took from a writer stands in the table or in the archive."""
    deployed(bench, WIDER, down)
    taken: list[list[int]] = [[], [], []]
    ended = threading.Event()

    def write(number: int) -> None:
        with mariadb.connect(name_in(bench.target.url)) as link, link.cursor() as cursor:
            for each in range(number, 10**6, 3):
                if ended.is_set():
                    return
                try:
                    cursor.execute("INSERT INTO person (id, phone) VALUES (%s, %s)", (each, f"p{each}"))
                except pymysql.err.MySQLError as error:
                    if error.args[0] in (1054, 1146):  # the column, or the table, is gone
                        return
                    if error.args[0] not in (1205, 1213):
                        raise
                    continue
                taken[number].append(each)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    try:
        wait_until(lambda: all(len(each) > 50 for each in taken), what="the writers to write")
        undone(bench)
    finally:
        ended.set()
        for writer in writers:
            writer.join()
    found = {int(row[0]) for row in archived(bench) if row[0] is not None}
    left = bench.query("SELECT id FROM person") if down == "DELETE FROM person" else []
    lost = {each for mine in taken for each in mine} - found - {each for (each,) in left}
    assert not lost and len(found) > 100


def test_what_earlier_statements_took_stays_as_it_was(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that come or change between two statements are added; the values that are gone are not touched."""
    deployed(
        bench,
        f"{WIDER}, ADD COLUMN score int, ADD COLUMN `rank` varchar(9)",
        "SET sql_mode = 'ANSI_QUOTES';\nALTER TABLE person MODIFY COLUMN name varchar(1) DEFAULT 'x';\n"
        f"{NARROWER};\nALTER TABLE person DROP COLUMN score, DROP COLUMN `rank`, COMMENT = 'ANSI, by the script''s mode',\n"
        '  ADD COLUMN "last" int',
    )
    bench.run_sql(
        "INSERT INTO person VALUES (1, 'A', 'p1', 1, 'r1'), (2, NULL, 'p2', 2, 'r2'), (3, 'C', 'p3', 3, 'r3')"
    )
    run = LooseStep._archived

    def run_and_meddle(step: LooseStep, number: int, sql: str) -> int:
        rows = run(step, number, sql)
        if sql == NARROWER:
            bench.run_all("UPDATE person SET score = 20, name = 'N' WHERE id = 2", "DELETE FROM person WHERE id = 3",
                          "INSERT INTO person VALUES (4, 'D', 4, 'r4')")  # fmt: skip
        return rows

    monkeypatch.setattr(LooseStep, "_archived", run_and_meddle)
    undone(bench)
    [item] = kept.look(bench.target)
    assert item["columns"] == ["name", "phone", "score", "rank"] and item["rows"] == 4
    assert archived(bench) == [
        ["1", "A", "p1", "1", "r1"], ["2", None, "p2", "20", "r2"], ["3", "C", "p3", "3", "r3"],
        ["4", "D", None, "4", "r4"],
    ]  # fmt: skip


def test_where_writers_cannot_be_kept_away_it_is_said(bench: Bench, mariadb: MariaDBServer) -> None:
    deployed(bench, WIDER, "DROP TABLE IF EXISTS nowhere, person")
    bench.run_sql("INSERT INTO person (id, phone) VALUES (1, 'a')")
    undone(bench)
    assert [each["text"] for each in bench.events if each["event"] == "note"] == [
        "what others write at this moment may not be archived, for they cannot be kept away: "
        "Table 'nowhere' was not locked with LOCK TABLES"
    ]
    assert archived(bench) == [["1", None, "a"]]


def test_a_login_without_the_right_to_lock_is_told_so(bench: Bench, mariadb: MariaDBServer) -> None:
    deployed(bench, WIDER, NARROWER)
    name = name_in(bench.target.url)
    rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX"
    bench.run_all("INSERT INTO person (id, phone) VALUES (1, 'a')", "CREATE OR REPLACE USER weak IDENTIFIED BY 'w'",
                  f"GRANT {rights} ON `{name}`.* TO weak")  # fmt: skip
    bench.target = replace(bench.target, url=mariadb.url_of(name, user="weak", password="w"))
    undone(bench)
    notes: list[Any] = [each["text"] for each in bench.events if each["event"] == "note"]
    assert len(notes) == 1 and "Access denied" in notes[0]
    assert archived(bench) == [["1", "a"]]


def test_a_name_that_might_be_a_text_is_tried(bench: Bench) -> None:
    deployed(bench, WIDER, "SET sql_mode = 'ANSI_QUOTES';\nALTER TABLE person DROP COLUMN \"phone\"")
    bench.run_sql("INSERT INTO person (id, phone) VALUES (1, 'a')")
    result = bench.run(bench.plan_down(steps=1), scratch=True)
    assert result["error"] is None, result["error"]
    assert archived(bench) == [["1", "a"]]
