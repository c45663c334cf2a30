"""What an undone migration takes away is kept on every engine first, exactly, and can be put back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.engines import parted, stands, transactional, words
from tests.systems import Bench, take_lock
from windlass_engine import session
from windlass_engine.archiving import finding, kept
from windlass_engine.dialects import archives, for_url
from windlass_engine.errors import WindlassError
from windlass_engine.model import Wire

BASE = (
    "CREATE TABLE person (id int PRIMARY KEY, name varchar(40) NOT NULL);\n"
    "INSERT INTO person VALUES (1, 'Ada'), (2, 'Ben'), (3, 'Cem')"
)
FILL = "UPDATE person SET phone = '+49 ''1''', score = NULL WHERE id = 2"


def applied(bench: Bench, *pairs: tuple[str, str, str | None]) -> Any:
    """A system of (name, up, down), deployed."""
    scripts = [(name, parted(bench, up), parted(bench, down or "") or None) for name, up, down in pairs]
    system = bench.make.system(*(bench.make.migration(*script) for script in scripts))
    assert bench.deploy(system)["error"] is None
    return system


def listed(bench: Bench) -> list[Wire]:
    return kept.look(bench.target)


def rows(bench: Bench, archive: Wire) -> list[list[str | None]]:
    return list(kept.page(bench.target, archive["name"], 0, 100)["rows"])


def again(bench: Bench, system: Any) -> Wire:
    result = bench.deploy(system, restore_archived=True)
    assert result["error"] is None, result["error"]
    return result


def undone(bench: Bench, **options: Any) -> Wire:
    return bench.run(bench.plan_down(steps=1), **options)


def both_ways(bench: Bench) -> tuple[str, str]:
    return words(bench).two_columns, words(bench).two_gone


@pytest.fixture
def widened(bench: Bench) -> tuple[Bench, Any]:
    system = applied(bench, ("001_base", BASE, "DROP TABLE person"), ("002_more", *both_ways(bench)))
    bench.run_sql(FILL)
    return bench, system


def test_columns_are_kept_with_their_keys_and_come_back(widened: tuple[Bench, Any]) -> None:
    bench, system = widened
    before = bench.query("SELECT id, name, phone, score FROM person ORDER BY id")
    result = undone(bench)
    assert result["error"] is None
    assert sorted((item["kind"], item["rows"]) for item in result["archived"]) == [("columns", 3)]
    [archive] = listed(bench)
    assert (archive["migration"], archive["state"], archive["run_id"], archive["who"]) == (
        "002_more", "kept", "run", "tester",
    )  # fmt: skip
    assert ["2", "+49 '1'", None] in rows(bench, archive)
    assert ["1", None, "7"] in rows(bench, archive)
    assert archive["bytes"] > 0
    returned = again(bench, system)["put_back"]
    assert [(item["put_back"], item["name"]) for item in returned] == [(3, archive["name"])]
    assert bench.query("SELECT id, name, phone, score FROM person ORDER BY id") == before
    assert [item["state"] for item in listed(bench)] == ["put back"]


def test_without_the_word_nothing_is_put_back_and_the_archive_stays(widened: tuple[Bench, Any]) -> None:
    bench, system = widened
    undone(bench)
    assert bench.deploy(system)["put_back"] == []
    assert bench.query("SELECT count(*) FROM person WHERE phone IS NOT NULL") == [(0,)]
    assert [item["state"] for item in listed(bench)] == ["kept"]


def test_without_room_for_the_archive_nothing_is_undone(
    widened: tuple[Bench, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, _ = widened
    dialect = type(for_url(bench.target.url))
    monkeypatch.setattr(dialect, "free_bytes", lambda *_: 10)
    result = undone(bench)
    assert result["error"]["code"] == "space_missing"
    assert result["error"]["detail"]["free_bytes"] == 10 < result["error"]["detail"]["needed_bytes"]
    assert bench.query("SELECT count(*) FROM person WHERE score IS NULL") == [(1,)], "the column stands"
    assert listed(bench) == []
    monkeypatch.setattr(dialect, "free_bytes", lambda *_: None)  # nobody knows
    assert undone(bench)["error"] is None


def test_an_archive_is_no_part_of_the_schema(widened: tuple[Bench, Any]) -> None:
    bench, _ = widened
    undone(bench, archive=False)
    assert listed(bench) == []
    bare = bench.fingerprint()
    bench.run_sql(words(bench).two_columns)
    bench.run_sql("UPDATE person SET phone = 'x'")
    drop = parted(bench, words(bench).two_gone)
    system = bench.make.system(bench.make.migration("001_base", parted(bench, BASE), "DROP TABLE person"),
                               bench.make.migration("002_more", "DELETE FROM person WHERE 1 = 0", drop))  # fmt: skip
    assert bench.deploy(system)["error"] is None
    undone(bench)
    assert len(listed(bench)) == 1
    assert bench.fingerprint() == bare


def test_whole_tables_come_back_though_they_need_each_other(bench: Bench) -> None:
    up = (
        "CREATE TABLE town (id int PRIMARY KEY, name varchar(20));\n"
        "CREATE TABLE street (id int PRIMARY KEY, town int NOT NULL, FOREIGN KEY (town) REFERENCES town (id))"
    )
    system = applied(bench, ("001_towns", up, "DROP TABLE street;\nDROP TABLE town"))
    bench.run_all("INSERT INTO town VALUES (1, 'Ulm')", "INSERT INTO street VALUES (5, 1), (6, 1)")
    assert undone(bench)["error"] is None
    assert not stands(bench, "town")
    assert sorted(item["rows"] for item in listed(bench)) == [1, 2]
    assert sum(item["put_back"] for item in again(bench, system)["put_back"]) == 3
    assert bench.query("SELECT id, town FROM street ORDER BY id") == [(5, 1), (6, 1)]


def test_a_table_without_rows_leaves_no_archive(bench: Bench) -> None:
    applied(bench, ("001_empty", "CREATE TABLE nobody (id int PRIMARY KEY)", "DROP TABLE nobody"))
    assert undone(bench)["archived"] == []
    assert listed(bench) == []


def test_deleted_rows_are_kept_and_come_back(bench: Bench) -> None:
    system = applied(bench, ("001_base", BASE, "DROP TABLE person"),
                     ("002_seed", "INSERT INTO person VALUES (9, 'Seed')", "DELETE FROM person WHERE id >= 3"))  # fmt: skip
    assert undone(bench)["error"] is None
    [archive] = listed(bench)
    assert archive["kind"] == "rows"
    assert archive["rows"] == words(bench).kept_rows
    [returned] = again(bench, system)["put_back"]
    assert returned["put_back"] == 1  # 9 came with the migration itself
    assert bench.query("SELECT id FROM person ORDER BY id") == [(1,), (2,), (3,), (9,)]


def test_large_tables_are_copied_in_batches(widened: tuple[Bench, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    bench, system = widened
    for start in range(10, 60, 10):
        bench.run_sql(
            f"INSERT INTO person VALUES {', '.join(f'({n}, {chr(39)}n{n}{chr(39)}, {n}, {n})' for n in range(start, start + 10))}"
        )
    before = bench.query("SELECT * FROM person ORDER BY id")
    monkeypatch.setattr(archives, "BATCH", 7)
    assert undone(bench)["error"] is None
    steps = [event["done"] for event in bench.events if event["event"] == "progress"]
    assert steps == [7, 14, 21, 28, 35, 42, 49, 53]
    assert listed(bench)[0]["rows"] == 53
    assert [item["put_back"] for item in again(bench, system)["put_back"]] == [53]
    assert bench.query("SELECT * FROM person ORDER BY id") == before


def test_what_was_written_after_the_batches_is_kept_too(
    widened: tuple[Bench, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch is permanent by itself: rows that changed, came or went since are looked for at the last moment."""
    bench, _ = widened
    monkeypatch.setattr(archives, "BATCH", 2)

    def meddle(event: Wire) -> None:
        if event["event"] == "progress" and event["done"] == 3:
            bench.run_all("UPDATE person SET phone = 'late' WHERE id = 1", "DELETE FROM person WHERE id = 2",
                          "INSERT INTO person VALUES (0, 'New', 'new', 1)")  # fmt: skip

    assert bench.run(bench.plan_down(steps=1), meddle)["error"] is None
    assert sorted(rows(bench, listed(bench)[0])) == [["0", "new", "1"], ["1", "late", "7"], ["3", None, "7"]]


def test_a_down_script_that_fails_leaves_its_rows_where_they_were(bench: Bench) -> None:
    down = "ALTER TABLE person DROP COLUMN phone;\nALTER TABLE person DROP COLUMN nowhere"
    applied(bench, ("001_base", BASE, "DROP TABLE person"), ("002_more", words(bench).two_columns, down))
    bench.run_sql("UPDATE person SET phone = 'x' WHERE id = 1")
    assert undone(bench)["error"] is not None
    if transactional(bench):
        assert bench.query("SELECT phone FROM person WHERE id = 1") == [("x",)]
        assert listed(bench) == []
        return
    assert [item["state"] for item in listed(bench)] == ["copying"]
    bench.run_sql(f"ALTER TABLE person {words(bench).add} nowhere int")
    assert undone(bench)["error"] is None, "a rollback that stopped goes on"
    [archive] = listed(bench)
    assert (archive["state"], ["1", "x"] in [row[:2] for row in rows(bench, archive)]) == ("kept", True)


def test_an_archive_is_purged_by_its_name_alone(widened: tuple[Bench, Any]) -> None:
    bench, system = widened
    undone(bench)
    [archive] = listed(bench)
    with pytest.raises(WindlassError) as refusal:
        kept.purge(bench.target, "another", "tester")
    assert (refusal.value.code, archive["name"] in refusal.value.hint) == ("usage", True)
    kept.purge(bench.target, archive["name"], "tester")
    assert [item["state"] for item in listed(bench)] == ["purged"]
    assert again(bench, system)["put_back"] == []


def test_one_archive_is_put_back_later(widened: tuple[Bench, Any]) -> None:
    bench, system = widened
    before = bench.query("SELECT id, phone, score FROM person ORDER BY id")
    undone(bench)
    assert bench.deploy(system)["put_back"] == []
    [archive] = listed(bench)
    told = kept.put_one_back(bench.target, archive["name"])
    assert (told["name"], told["put_back"]) == (archive["name"], 3)
    assert bench.query("SELECT id, phone, score FROM person ORDER BY id") == before
    with pytest.raises(WindlassError, match="is put back: only what is kept") as refusal:
        kept.put_one_back(bench.target, archive["name"])
    assert refusal.value.code == "usage"


def test_what_cannot_be_put_back_stays_kept_and_goes_on_later(widened: tuple[Bench, Any]) -> None:
    bench, system = widened
    undone(bench)
    [archive] = listed(bench)
    with pytest.raises(WindlassError) as refusal:  # its columns are not there yet
        kept.put_one_back(bench.target, archive["name"])
    assert refusal.value.code == "archive_failed"
    assert [item["state"] for item in listed(bench)] == ["kept"]
    bench.deploy(system)
    assert kept.put_one_back(bench.target, archive["name"])["put_back"] == 3


def test_no_archive_is_purged_while_a_run_may_be_filling_it(
    widened: tuple[Bench, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, system = widened
    undone(bench)
    [archive] = listed(bench)
    monkeypatch.setattr(kept, "LOCK_PATIENCE_S", 0.0)
    with session.connect(bench.target, "windlass run-1 ann") as running:
        take_lock(running)
        with pytest.raises(WindlassError, match="another run holds the deployer lock") as refusal:
            kept.purge(bench.target, archive["name"], "tester")
    assert refusal.value.code == "deploy_locked"
    assert [item["state"] for item in listed(bench)] == ["kept"]
    assert again(bench, system)["put_back"]


def test_the_plan_tells_sizes_and_changes_nothing(widened: tuple[Bench, Any]) -> None:
    bench, _ = widened
    print_before = bench.fingerprint()
    downs = [step.script for step in bench.plan_down(steps=2).steps]
    columns, table = finding.alone(bench.target, downs, scratch_allowed=False).of
    assert [(loss.kind, loss.rows, loss.keys) for loss in columns] == [("columns", 3, ("id",))]
    assert [(loss.kind, loss.rows) for loss in table] == [("table", 3)]
    assert bench.fingerprint() == print_before
    assert bench.query("SELECT count(*) FROM person") == [(3,)]


HIDDEN = {
    "postgresql": "DO $x$ BEGIN EXECUTE 'ALTER TABLE person DROP COLUMN phone'; UPDATE person SET score = 1; END $x$",
    "mysql": (
        "DROP PROCEDURE IF EXISTS take;\nDELIMITER //\nCREATE PROCEDURE take(IN p text)\nBEGIN\n  SET @w = p;\n"
        "  PREPARE w FROM @w;\n  EXECUTE w;\n  DEALLOCATE PREPARE w;\nEND//\nDELIMITER ;\n"
        "CALL take('ALTER TABLE person DROP COLUMN phone');\nDROP PROCEDURE take"
    ),
    "mssql": "DECLARE @drop nvarchar(100) = N'ALTER TABLE person DROP COLUMN ' + QUOTENAME(N'phone'); EXEC sys.sp_executesql @drop; UPDATE person SET score = 1",
}


def test_what_a_script_hides_is_seen_by_trying(bench: Bench) -> None:
    engine = bench.make.engine
    applied(bench, ("001_base", BASE, "DROP TABLE person"), ("002_more", words(bench).two_columns, HIDDEN[engine]))
    bench.run_sql(FILL)
    [step] = bench.plan_down(steps=1).steps
    if engine == "mysql":
        with pytest.raises(WindlassError) as refusal:
            finding.alone(bench.target, [step.script], scratch_allowed=False)
        assert (refusal.value.code, "--no-archive" in refusal.value.hint) == ("archive_failed", True)
        assert undone(bench)["error"]["code"] == "archive_failed"
    assert undone(bench, scratch=True)["error"] is None
    found = {item["kind"]: item for item in listed(bench)}
    assert found["columns"]["columns"] == ["phone"]
    assert rows(bench, found["columns"]) == [["2", "+49 '1'"]], "rows that have nothing there lose nothing"
    assert set(found) == ({"columns", "rows"} if transactional(bench) else {"columns"})
    if transactional(bench):
        assert found["rows"]["rows"] == 3


def test_nothing_is_undone_where_nothing_can_be_archived(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    applied(bench, ("001_base", BASE, "DROP TABLE person"))
    broken = type(bench.make.dialect.archives)
    monkeypatch.setattr(broken, "create", lambda _: ("CREATE NONSENSE",))
    result = undone(bench)
    assert (result["error"]["code"], stands(bench, "person")) == ("archive_failed", True)
    assert undone(bench, archive=False)["error"] is None


def test_a_lost_column_of_a_table_without_a_key_is_kept_with_its_whole_rows(bench: Bench) -> None:
    up = "CREATE TABLE log (said varchar(20), more varchar(20))"
    applied(bench, ("001_log", up, "DROP TABLE log"), ("002_x", "SELECT 1", "ALTER TABLE log DROP COLUMN more"))
    bench.run_sql("INSERT INTO log VALUES ('a', 'b')")
    with session.connect(bench.target) as opened:
        found = finding.find(
            opened,
            [bench.plan_down(steps=1).steps[0].script],
            another=lambda: session.connect(bench.target),
            scratch_allowed=False,
        )
    [[loss]] = found.of
    assert (loss.columns, loss.keys) == (("said", "more"), ())
    undone(bench)
    assert rows(bench, listed(bench)[0]) == [["a", "b"]]
