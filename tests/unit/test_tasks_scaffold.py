from __future__ import annotations

import pytest

from windlass import scaffold
from windlass.settings import Settings
from windlass_engine.project.view import natural_key


@pytest.mark.parametrize(
    ("existing", "name"),
    [
        ([], "20250601_add_x"),
        (["20250501_a"], "20250601_add_x"),
        (["20250601_z"], "20250601b_add_x"),
        (["20250601_z", "20250601b_z"], "20250601c_add_x"),
        (["20250601_a"], "20250601_add_x"),
        (["001_a", "009_b"], "010_add_x"),
        (["999_a"], "1000_add_x"),
        (["7_a"], "8_add_x"),
    ],
)
def test_a_new_name_sorts_after_all_others_in_their_style(existing, name):
    found = scaffold.next_name(existing, "add_x", "20250601")
    assert found == name
    assert max([*existing, found], key=natural_key) == found


def test_the_files_are_written_once_and_a_dry_run_writes_none(tmp_path, capsys):
    (tmp_path / "sql" / "shop").mkdir(parents=True)
    (tmp_path / "sql" / "shop" / "system.yml").write_text("name: shop\n")
    settings = Settings(tmp_path)
    scaffold.create(settings, "shop", "Add, Invoice number!", dry_run=True)
    assert capsys.readouterr().out.count("would write sql/shop/migrations/") == 3
    assert not (tmp_path / "sql" / "shop" / "migrations").exists()
    scaffold.create(settings, "shop", "Add, Invoice number!")
    (folder,) = (tmp_path / "sql" / "shop" / "migrations").iterdir()
    assert folder.name.endswith("_add_invoice_number")
    assert sorted(path.name for path in folder.iterdir()) == ["down.sql", "up.sql", "verify.sql"]
    assert "add invoice number" in (folder / "up.sql").read_text()
