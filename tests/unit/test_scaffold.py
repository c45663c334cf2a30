"""New migrations: their names, their order, and templates that nobody can deploy by mistake."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from windlass import project
from windlass.scaffold import create, new_migration, next_name
from windlass.settings import Settings
from windlass_engine.errors import WindlassError
from windlass_engine.project.mistakes import told_by

TODAY = date(2026, 3, 7)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "sql/shop").mkdir(parents=True)
    (tmp_path / "sql/shop/system.yml").write_text("name: shop\nengine: postgresql\n")
    return tmp_path


def refusal(root: Path, name: str, system: str = "shop") -> WindlassError:
    with pytest.raises(WindlassError) as caught:
        new_migration(root, system, name, TODAY)
    assert caught.value.code == "usage"
    return caught.value


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "sql/shop/migrations").iterdir())


def test_an_untouched_template_is_refused_as_empty_and_a_filled_one_loads(root: Path) -> None:
    paths = new_migration(root, "shop", "Add the shop's Größe", TODAY)
    folder = root / "sql/shop/migrations/20260307_add_the_shop_s_größe"
    assert paths == [folder / "up.sql", folder / "down.sql", folder / "verify.sql"]
    with pytest.raises(WindlassError) as caught:
        project.load(root, "shop")
    found = told_by(caught.value)
    assert [mistake.message for mistake in found] == ["holds no statement"] * 3
    for path, sql in zip(paths, ("SELECT 1;", "SELECT 2;", "-- check: a\nSELECT 3 WHERE false;"), strict=True):
        path.write_text(path.read_text() + sql)
    (migration,) = project.load(root, "shop", parse="all").migrations
    assert migration.up.directives.transactional and not migration.up.directives.irreversible
    assert migration.verify and [item.check for item in migration.verify.statements] == ["a"]


def test_a_second_one_of_a_day_sorts_behind_the_first(root: Path) -> None:
    for title in ("zebra", "apple", "mango"):
        new_migration(root, "shop", title, TODAY)
    assert names(root) == ["20260307_zebra", "20260307b_apple", "20260307b_mango"]


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        ([], "20260307_x"),
        (["20260306_z"], "20260307_x"),
        (["20260307_w"], "20260307_x"),
        (["20260307_z"], "20260307b_x"),
        (["20260307z_a", "20260307_z"], "20260307z_x"),
        (["007_a", "008_b"], "009_x"),
        (["999_a"], "1000_x"),
        (["998_a", "1000_b", "99_c"], "1001_x"),
    ],
)
def test_the_next_name_sorts_last(existing: list[str], expected: str) -> None:
    assert next_name(existing, "x", "20260307") == expected


def test_a_whole_name_is_taken_as_it_is(root: Path) -> None:
    new_migration(root, "shop", "20260401_add_invoice_number", TODAY)
    assert names(root) == ["20260401_add_invoice_number"]


def test_a_name_that_exists_or_sorts_before_others_is_refused(root: Path) -> None:
    new_migration(root, "shop", "20260401_a", TODAY)
    assert "exists already" in refusal(root, "20260401_A").message
    assert "sort before 20260401_a" in refusal(root, "20260331_b").message
    assert "sorts behind any name of today" in refusal(root, "b").message
    assert names(root) == ["20260401_a"]


@pytest.mark.parametrize("title", ["", "  ", "--", "../..", "x" * 300])
def test_an_unusable_title_is_refused(root: Path, title: str) -> None:
    refusal(root, title)
    assert not (root / "sql/shop/migrations").exists()


def test_a_title_cannot_leave_the_folder(root: Path) -> None:
    new_migration(root, "shop", "../../etc/passwd", TODAY)
    assert names(root) == ["20260307_etc_passwd"]


def test_an_unknown_system_is_refused_with_those_there_are(root: Path) -> None:
    assert "shop" in refusal(root, "a", system="salon").hint


def test_a_dry_run_names_the_files_and_writes_none(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create(Settings(root), "shop", "add a", dry_run=True)
    assert capsys.readouterr().out.count("would write sql/shop/migrations/") == 3
    assert not (root / "sql/shop/migrations").exists()
    create(Settings(root), "shop", "add a")
    assert capsys.readouterr().out.count("wrote sql/shop/migrations/") == 3
