"""A system's folder: order, layout mistakes (all at once), and reading no more than is needed."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest

from windlass import project
from windlass_engine import dialects
from windlass_engine.dialects.base import Dialect
from windlass_engine.errors import WindlassError
from windlass_engine.model import Script, Statement
from windlass_engine.project import script
from windlass_engine.project.mistakes import Mistake, told_by
from windlass_engine.project.view import ProjectView

SYSTEM_YML = 'name: shop\nengine: postgresql\ntitle: The shop\'s "data"\ndescription: >-\n  Two\n  lines\n'
GOOD = {
    "system.yml": SYSTEM_YML,
    "migrations/001_a/up.sql": "CREATE TABLE a (b int);",
    "migrations/001_a/down.sql": "DROP TABLE a;",
    "migrations/001_a/verify.sql": "-- check: a stands\nSELECT 'gone' WHERE to_regclass('a') IS NULL;",
    "repeatable/views.sql": "CREATE OR REPLACE VIEW v AS SELECT 1;",
    "checks/1_tables.sql": "-- check: x\nSELECT 1 WHERE false;",
    "samples/life.sql": "-- windlass: scratch\nSELECT 1;",
    "maintenance/tidy.sql": "-- windlass: schedule daily\nDELETE FROM a;",
}
Files = Mapping[str, str | bytes | None]


def write(root: Path, files: Files) -> Path:
    """Write a project whose only system is ``shop``; None takes a file of :data:`GOOD` away."""
    for name, content in {**GOOD, **files}.items():
        if content is not None:
            path = root / "sql/shop" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def load(root: Path, files: Files = {}, parse: Literal["headers", "all"] = "headers") -> project.Project:  # noqa: B006
    return project.load(write(root, files), "shop", parse=parse)


def mistakes(root: Path, files: Files, parse: Literal["headers", "all"] = "headers") -> list[Mistake]:
    with pytest.raises(WindlassError) as caught:
        load(root, files, parse)
    assert caught.value.code == "project_invalid"
    return told_by(caught.value)


def only(root: Path, files: Files, parse: Literal["headers", "all"] = "headers") -> Mistake:
    found = mistakes(root, files, parse)
    assert len(found) == 1
    return found[0]


def migration(name: str, up: str = "SELECT 1;", down: str = "SELECT 2;") -> dict[str, str]:
    return {f"migrations/{name}/up.sql": up, f"migrations/{name}/down.sql": down}


def test_a_whole_system(tmp_path: Path) -> None:
    found = load(tmp_path, parse="all")
    assert (found.system, found.engine) == ("shop", "postgresql")
    assert (found.title, found.description) == ('The shop\'s "data"', "Two lines")
    (first,) = found.migrations
    assert first.name == "001_a"
    assert first.up.path == "sql/shop/migrations/001_a/up.sql"
    assert first.down and first.down.sql(first.down.statements[0]) == "DROP TABLE a"
    assert first.verify and first.verify.statements[0].check == "a stands"
    assert [item.name for item in found.repeatables] == ["views"]
    assert [part.path for part in found.checks] == ["sql/shop/checks/1_tables.sql"]
    assert found.samples[0].directives.scratch
    assert found.maintenance[0].directives.schedule == "daily"
    assert found.view() == ProjectView("shop", "postgresql", found.migrations, found.repeatables)


def test_only_the_system_file_is_needed(tmp_path: Path) -> None:
    found = load(tmp_path, dict.fromkeys(GOOD) | {"system.yml": "name: shop\nengine: postgresql\n"}, "all")
    assert (found.migrations, found.checks, found.samples) == ((), (), ())


def test_names_are_ordered_as_people_count(tmp_path: Path) -> None:
    names = ["1000_b", "999_a", "20250101_b", "20250101_a", "2_ключ", '10_it\'s "quoted"', "2_Ärger; --"]
    files = dict.fromkeys(GOOD) | {"system.yml": SYSTEM_YML}
    for name in names:
        files |= migration(name)
    assert [item.name for item in load(tmp_path, files).migrations] == [
        "2_Ärger; --",
        "2_ключ",
        '10_it\'s "quoted"',
        "999_a",
        "1000_b",
        "20250101_a",
        "20250101_b",
    ]


def test_mark_and_line_ends_of_another_system_change_nothing(tmp_path: Path) -> None:
    plain = load(tmp_path / "a", migration("002_b", "-- windlass: lock-timeout 5s\nSELECT 'a\nb';\n"), "all")
    other = b"\xef\xbb\xbf-- windlass: lock-timeout 5s\r\nSELECT 'a\r\nb';\r\n"
    odd = load(tmp_path / "b", migration("002_b") | {"migrations/002_b/up.sql": other}, "all")
    assert odd.migrations == plain.migrations


def test_hidden_files_and_a_readme_are_left_alone(tmp_path: Path) -> None:
    files = {"migrations/.gitkeep": "", "migrations/001_a/.up.sql.swp": "", "README.md": "", "migrations/README.md": ""}
    assert len(load(tmp_path, files).migrations) == 1


@pytest.mark.parametrize(
    ("files", "file", "word"),
    [
        ({"migrations/001_a/up.sql": None}, "migrations/001_a", "has no up.sql"),
        ({"migrations/001_a/down.sql": None}, "migrations/001_a", "has no down.sql"),
        ({"migrations/001_a/Up.sql": "x"}, "migrations/001_a/Up.sql", "did you mean up.sql?"),
        ({"migrations/001_a/notes.txt": "x"}, "migrations/001_a/notes.txt", "known here: up.sql"),
        ({"migrations/001_a/sub/x.sql": "x"}, "migrations/001_a/sub", "does not belong"),
        ({"migrations/002_b.sql": "x"}, "migrations/002_b.sql", "move it to 002_b/up.sql"),
        ({"migrations/notes.txt": "x"}, "migrations/notes.txt", "does not belong"),
        ({"migration/001_a/up.sql": "x"}, "migration", "did you mean migrations?"),
        ({"checks/notes.txt": "x"}, "checks/notes.txt", "<name>.sql"),
        ({"repeatable/sub/x.sql": "x"}, "repeatable/sub", "does not belong"),
        (migration("x" * 201), f"migrations/{'x' * 201}", "201 characters"),
        (migration("002_b "), "migrations/002_b ", "blanks at an end"),
        (migration("002\u200b_b"), "migrations/002\u200b_b", "cannot be seen"),
        (migration("1_A"), "migrations/001_a", "`1_A`"),
        ({"checks/1_Tables.sql": GOOD["checks/1_tables.sql"]}, "checks/1_tables", "`1_Tables`"),
        ({"system.yml": None}, "system.yml", "cannot be read"),
    ],
)
def test_a_layout_mistake_is_refused_by_file(tmp_path: Path, files: Files, file: str, word: str) -> None:
    found = only(tmp_path, files)
    assert found.file == f"sql/shop/{file}"
    assert word in str(found)


def test_names_that_a_file_system_takes_for_one_are_refused(tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", "002_é")
    decomposed = unicodedata.normalize("NFD", "002_é")
    found = only(tmp_path, migration(composed) | migration(decomposed))
    assert "gives the two an order" in found.message


@pytest.mark.parametrize(
    ("up", "word"),
    [
        ("-- windlass: requires 001_b\nSELECT 1;", "does not exist (did you mean 001_a?)"),
        ("\n-- windlass: requires 003_c\nSELECT 1;", "comes later"),
        ("\n\n-- windlass: requires 002_b\nSELECT 1;", "this migration itself"),
    ],
)
def test_requires_names_an_earlier_migration(tmp_path: Path, up: str, word: str) -> None:
    found = only(tmp_path, migration("002_b", up) | migration("003_c", "-- windlass: requires 001_a\nSELECT 1;"))
    assert (found.file, found.line) == ("sql/shop/migrations/002_b/up.sql", up.index("--") + 1)
    assert word in str(found)


def test_irreversible_makes_a_down_script_needless(tmp_path: Path) -> None:
    files = {
        "migrations/001_a/up.sql": "-- windlass: irreversible rows are gone\nDELETE FROM a;",
        "migrations/001_a/down.sql": None,
    }
    (first,) = load(tmp_path, files).migrations
    assert (first.down, first.up.directives.irreversible) == (None, "rows are gone")


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("name: shop\nengine: postgresql\ntitel: x\n", 3, "did you mean `title`?"),
        ("name: shop\nengine: postgresql\nxyzzy: x\n", 3, "known are name, engine"),
        ("name: shop\nengine: postgresql\nname: shop\n", 3, "twice"),
        ("name: shop\nengine: [postgresql]\n", 2, "is a text"),
        ("name: other\nengine: postgresql\n", 0, "folder `shop`"),
        ("name: shop\nengine: oracle\n", 0, "unknown engine `oracle`"),
        ("name: shop\n", 0, "lacks `engine`"),
        ("name: 'shop\nengine: postgresql\n", 3, "no YAML"),
        ("", 1, "holds no keys"),
        ("- shop\n", 1, "holds no keys"),
    ],
)
def test_a_system_file_is_strict(tmp_path: Path, text: str, line: int, word: str) -> None:
    found = only(tmp_path, {"system.yml": text}, "all")
    assert (found.file, found.line) == ("sql/shop/system.yml", line)
    assert word in str(found)


def test_an_unknown_system_is_refused_with_those_there_are(tmp_path: Path) -> None:
    write(tmp_path, {})
    with pytest.raises(WindlassError) as caught:
        project.load(tmp_path, "salon")
    assert caught.value.code == "project_invalid"
    assert "shop" in caught.value.hint


def test_all_mistakes_are_told_together(tmp_path: Path) -> None:
    files: Files = {
        "system.yml": SYSTEM_YML + "colour: red\n",
        "migrations/002_b.sql": "SELECT 1;",
        "migrations/003_c/up.sql": "SELECT 1;\nSELECT 'open;\n",
        "migrations/004_d/up.sql": "-- windlass: lock-timeout x\n",
        "migrations/004_d/down.sql": "BEGIN;\nSELECT 1;\nCOMMIT;\n",
        "checks/1_tables.sql": b"-- check: a\nSELECT '\xff';",
    }
    found = mistakes(tmp_path, files, "all")
    assert [(item.file.removeprefix("sql/shop/"), item.line) for item in found] == [
        ("system.yml", 7),
        ("migrations/002_b.sql", 0),
        ("migrations/003_c", 0),
        ("migrations/004_d/up.sql", 1),
        ("migrations/004_d/up.sql", 0),
        ("checks/1_tables.sql", 2),
        ("migrations/003_c/up.sql", 2),
        ("migrations/004_d/down.sql", 1),
        ("migrations/004_d/down.sql", 3),
    ]


def test_headers_need_no_parting_and_full_parts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parted: list[str] = []
    postgresql = type(dialects.get("postgresql"))
    split = postgresql.split

    def counted(self: Dialect, text: str, path: str) -> tuple[Statement, ...]:
        parted.append(path)
        return split(self, text, path)

    monkeypatch.setattr(postgresql, "split", counted)
    found = load(tmp_path, {"migrations/001_a/down.sql": "SELECT 'open"})
    up = found.migrations[0].up
    assert (parted, up.statements) == ([], ())
    assert found.full(up) is found.full(up)
    assert parted == [up.path]
    assert len(found.full(up).statements) == 1


def test_an_older_text_of_a_script_is_parted_for_itself(tmp_path: Path) -> None:
    found = load(tmp_path)
    now = found.migrations[0].up
    before = script.head(b"SELECT 1; SELECT 2;", now.path, "up")
    assert [len(found.full(part).statements) for part in (now, before)] == [1, 2]


def test_directives_are_held_to_the_folder_they_stand_in(tmp_path: Path) -> None:
    found = only(tmp_path, {"checks/1_tables.sql": "-- windlass: no-transaction\n-- check: a\nSELECT 1;"})
    assert "up.sql" in found.message


def test_every_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    head = script.head

    def counted(data: bytes, path: str, kind: str = "") -> Script:
        read.append(path)
        return head(data, path, kind)

    monkeypatch.setattr(script, "head", counted)
    load(tmp_path, parse="all")
    assert sorted(read) == sorted(f"sql/shop/{name}" for name in GOOD if name.endswith(".sql"))


ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("system", sorted(path.parent.name for path in ROOT.glob("sql/*/system.yml")))
def test_the_shipped_systems_load_whole(system: str) -> None:
    found = project.load(ROOT, system, parse="all")
    assert found.migrations
    assert all(migration.up.statements for migration in found.migrations)
