"""Single tables out of a backup of MariaDB: their rows alone, counted, and the way back for rows that are gone."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.mariadb_backups import (
    REACHING,
    code,
    contents,
    databases,
    drop_all,
    fetch,
    fill,
    make,
    name_in,
    run,
    target_of,
)  # fmt: skip
from windlass_engine.backups import restore
from windlass_engine.dialects.mysql import dumping
from windlass_engine.dialects.mysql.loading import only_rows_of
from windlass_engine.errors import WindlassError

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer

ODD = "Schräg `q`; --"
FOREIGN = "SELECT COUNT(*) FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE constraint_schema = DATABASE()"


@pytest.fixture
def url(mariadb: MariaDBServer) -> Iterator[str]:
    """An empty database; those whose names begin as its own go with it."""
    made = mariadb.create_database()
    yield made
    drop_all(mariadb, name_in(made))


def bring(url: str, path: str, *tables: str) -> Any:
    into = f"{name_in(url)}_restored_tables"
    return restore.beside(target_of(url), path, into, "", 2, lambda _: None, tables=tables)


@pytest.mark.parametrize("parts", [1, 2])
def test_only_the_rows_of_the_chosen_tables_come_back(
    mariadb: MariaDBServer, url: str, tmp_path: Path, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dumping, "_WORTH_A_PART", 1 << 30 if parts == 1 else 1)
    fill(url, *REACHING)
    if parts == 2:  # with a default that asks a sequence there is but one part
        run(url, "ALTER TABLE numbered ALTER COLUMN id SET DEFAULT 4")
    before = contents(url)
    done = bring(url, make(url, tmp_path)["path"], ODD, "child", "versioned", "o?d")
    assert done["only"] == [ODD, "child", "odd", "versioned"]
    assert (done["tables"], done["total_rows"], done["differences"]) == (4, 9, [])
    side = mariadb.url_of(done["into"])
    found = contents(side)
    for name in done["only"]:
        assert found.pop(name) == before[name]
    assert before.keys() - found.keys() == set(done["only"])
    assert not any(rows for name, rows in found.items() if name not in ("counters", "numbers"))
    assert found["numbers"] == before["numbers"]
    assert (code(side), fetch(side, FOREIGN), fetch(url, FOREIGN)) == (set(), [(0,)], [(1,)])
    assert contents(url) == before
    with pytest.raises(WindlassError, match="holds the rows of some tables only"):
        restore.swap(target_of(url), done["into"], lambda _: None)


def test_a_table_that_is_not_there_is_said_before_anything_is_made(
    mariadb: MariaDBServer, url: str, tmp_path: Path
) -> None:
    fill(url)
    path = make(url, tmp_path)["path"]
    with pytest.raises(WindlassError, match="no rows of a table 'thong'") as caught:
        bring(url, path, "child", "thong")
    assert "thing" in caught.value.hint
    assert not [name for name in databases(mariadb) if name.startswith(f"{name_in(url)}_")]


def test_a_user_that_code_lacks_keeps_no_rows_away(mariadb: MariaDBServer, url: str, tmp_path: Path) -> None:
    run(mariadb.url, "CREATE OR REPLACE USER soon_gone")
    run(url, "CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)", "CREATE DEFINER=soon_gone PROCEDURE a() SELECT 1")
    path = make(url, tmp_path)["path"]
    run(mariadb.url, "DROP USER soon_gone")
    assert bring(url, path, "t")["total_rows"] == 1


def test_the_way_back_for_deleted_rows(mariadb: MariaDBServer, url: str, tmp_path: Path) -> None:
    """What docs/backups.md tells to do."""
    run(
        url,
        "CREATE TABLE place (id int PRIMARY KEY)",
        "INSERT INTO place VALUES (1), (2)",
        "CREATE TABLE bookings (id int AUTO_INCREMENT PRIMARY KEY, place int REFERENCES place (id), note text)",
        "INSERT INTO bookings (place, note) SELECT 1 + seq % 2, CONCAT('n', seq) FROM seq_1_to_10",
    )
    path = make(url, tmp_path)["path"]
    run(url, "DELETE FROM bookings WHERE id < 8", "UPDATE bookings SET note = 'newer' WHERE id = 9")
    bring(url, path, "bookings")
    script = (
        "INSERT INTO app.bookings\n"
        "  SELECT * FROM app_restored_tables.bookings found\n"
        "  WHERE NOT EXISTS (SELECT 1 FROM app.bookings there WHERE there.id = found.id);\n"
    )
    documented = (Path(__file__).parents[2] / "docs" / "backups.md").read_text(encoding="utf-8")
    assert script in documented
    run(url, script.replace("app", name_in(url)).rstrip(";\n"))
    assert fetch(url, "SELECT COUNT(*), SUM(note = 'newer') FROM bookings") == [(10, 1)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("joint", ["\n", ""])
def test_rows_that_look_like_statements_are_none(joint: str, end: str) -> None:
    """Both ways in which dump programs write rows: one a line, and all in one line."""
    kept = f"INSERT INTO `a ``b` VALUES{joint}(1,'INSERT INTO `c` VALUES'),{joint}(2,'x);');{end}"
    others = f"INSERT INTO `c` (`x`) VALUES{joint}(1,');'),{joint}(2,'y');{end}"
    given = f"CREATE TABLE `c` ({end}  `x` int);{end}{others}{kept}{others}UNLOCK TABLES;{end}"
    taken = io.BytesIO()
    only_rows_of(["a `b"])(io.BytesIO(given.encode()), taken)
    assert taken.getvalue().decode() == given.replace(others, "")
