"""Down scripts are tried beforehand on empty copies of what they name; and room for an archive is asked for first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.engine.mariadb_backups import databases, fetch, name_in, run, target_of
from windlass_engine.archiving import finding
from windlass_engine.dialects.mysql import MySQL, splitter
from windlass_engine.model import Losses
from windlass_engine.project import script

if TYPE_CHECKING:
    from tests.servers.mysqld import Mysqld

TABLES = (
    "CREATE TABLE parent (id int PRIMARY KEY, note text, at date NOT NULL DEFAULT '2020-01-01')",
    "CREATE TABLE child (id int PRIMARY KEY, p int, CONSTRAINT child_p FOREIGN KEY (p) REFERENCES parent (id))",
    "INSERT INTO parent (id, note) VALUES (1, 'a'), (2, 'b')",
    "INSERT INTO child VALUES (1, 1)",
    "CREATE VIEW base AS SELECT id, note FROM parent",
    "CREATE VIEW upper_one AS SELECT id FROM base",
    "CREATE FUNCTION twice(n int) RETURNS int DETERMINISTIC RETURN 2 * n",
    "CREATE TRIGGER counted BEFORE INSERT ON child FOR EACH ROW SET @counted = 1",
    "CREATE EVENT hourly ON SCHEDULE EVERY 1 HOUR STARTS '2037-01-01' DO DELETE FROM child WHERE id < 0",
)
Tried = Callable[..., Losses]


@pytest.fixture
def tried(mysqld: Mysqld) -> object:
    """How down scripts are tried, one text each; nothing is left behind and nothing is changed."""
    with mysqld.database() as url:
        run(url, *TABLES)
        sums = [fetch(url, f"CHECKSUM TABLE {name}")[0][1] for name in ("parent", "child")]
        before = databases(mysqld)  # type: ignore[arg-type]

        def tried(*texts: str, scratch_allowed: bool = True) -> Losses:
            places = [text.format(other=name_in(url)) for text in texts]
            downs = [
                script.load(text.encode(), f"{number}/down.sql", splitter.split, kind="down")
                for number, text in enumerate(places)
            ]
            return finding.alone(target_of(url), downs, scratch_allowed=scratch_allowed)

        yield tried
        assert [fetch(url, f"CHECKSUM TABLE {name}")[0][1] for name in ("parent", "child")] == sums
        assert databases(mysqld) == before  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "texts",
    [
        ("ALTER TABLE parent DROP COLUMN note;\n",),
        ("DROP TABLE child;\n", "DROP TABLE parent;\n"),
        ("ALTER TABLE child DROP FOREIGN KEY child_p;\nDROP TABLE parent;\n",),
        ("DROP VIEW upper_one;\nCREATE OR REPLACE VIEW base AS SELECT id FROM parent;\n",),
        ("UPDATE parent SET id = twice(id);\nDELETE FROM child;\n",),
        ("DROP TRIGGER counted;\nDROP EVENT hourly;\nDROP FUNCTION twice;\n",),
        ("INSERT INTO child VALUES (7, 1);\n",),  # the row that it leads to is not in the copy
        ("DROP TABLE IF EXISTS nowhere;\n",),
    ],
)
def test_what_works_is_seen_to_work(tried: Tried, texts: tuple[str, ...]) -> None:
    found = tried(*texts)
    assert (found.failure, found.untried, len(found.of)) == ("", "", len(texts))


@pytest.mark.parametrize(
    ("texts", "place", "words"),
    [
        (("ALTER TABLE parent DROP COLUMN nowhere;\n",), "0/down.sql:1: ", "nowhere"),
        (("ALTER TABLE child DROP COLUMN id;\n", "ALTER TABLE child DROP COLUMN id;\n"), "1/down.sql:1: ", "id"),
        (("ALTER TABLE parent DROP COLUMN note;\nDROP TABLE parent;\n",), "0/down.sql:2: ", "foreign key"),
        (("DROP VIEW upper_two;\n",), "0/down.sql:1: ", "upper_two"),
    ],
)
def test_what_fails_is_told_with_its_place(tried: Tried, texts: tuple[str, ...], place: str, words: str) -> None:
    found = tried(*texts)
    assert found.failure.startswith(place) and words in found.failure and "windlass_scratch" not in found.failure
    assert not found.untried


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("DELETE FROM {other}.child;\n", "may reach beyond the database"),
        ("GRANT SELECT ON child TO root@localhost;\n", "may reach beyond the database"),
    ],
)
def test_what_reaches_beyond_is_not_tried_and_that_is_said(tried: Tried, text: str, words: str) -> None:
    found = tried(text)
    assert words in found.untried and not found.failure


def test_without_a_scratch_database_nothing_is_tried_and_that_is_said(tried: Tried) -> None:
    found = tried("ALTER TABLE parent DROP COLUMN nowhere;\n", scratch_allowed=False)
    assert "windlass_policy.scratch: allow" in found.untried and not found.failure


def test_an_archive_without_room_is_told_with_figures(tried: Tried, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tried("DROP TABLE child;\n").lacking is None
    monkeypatch.setattr(MySQL, "free_bytes", lambda *_: 1000)
    lacking = tried("DROP TABLE child;\n").lacking
    assert lacking and lacking["free_bytes"] == 1000 < lacking["needed_bytes"]
    error = finding.no_room(lacking)
    assert error.code == "space_missing" and "0.0 MB are free" in error.message and "--no-archive" in error.hint
    assert tried("DROP VIEW upper_one;\n").lacking is None, "nothing is lost, so nothing needs room"
