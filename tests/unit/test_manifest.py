from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from windlass_engine.errors import WindlassError
from windlass_engine.keeping import manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump" / "a").write_bytes(b"abc")
    (tmp_path / "b ü").write_bytes(b"")
    return tmp_path


def known(folder: Path, **more: Any) -> dict[str, Any]:
    return {"format": 1, "id": "x", "files": manifest.hash_files(str(folder)), **more}


def test_hashes_are_those_of_the_content(folder: Path) -> None:
    assert manifest.hash_files(str(folder)) == {
        "b ü": {"bytes": 0, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        "dump/a": {"bytes": 3, "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    }


def test_what_was_written_is_read(folder: Path) -> None:
    written = known(folder, rows={"public.t": 5}, who="Zoë")
    manifest.write(str(folder), written)
    assert manifest.load(str(folder)) == written
    assert (folder / "manifest.json").stat().st_mode & 0o777 == 0o600
    # The manifest is no file of its own list.
    assert manifest.damages(str(folder), written) == []


def test_a_later_field_is_no_obstacle(folder: Path) -> None:
    manifest.write(str(folder), known(folder, encryption={"age": ["recipient"]}))
    assert manifest.load(str(folder))["encryption"] == {"age": ["recipient"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no manifest"),
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "damaged"),
        ("{}", "damaged"),
        ('{"format": 1, "seal": "0"}', "sum does not agree"),
    ],
)
def test_what_is_no_manifest(folder: Path, text: str | None, message: str) -> None:
    if text is not None:
        (folder / "manifest.json").write_text(text)
    with pytest.raises(WindlassError, match=message) as caught:
        manifest.load(str(folder))
    assert caught.value.code == "backup_failed"


def test_a_changed_number_breaks_the_seal(folder: Path) -> None:
    manifest.write(str(folder), known(folder, rows={"public.t": 5}))
    data = json.loads((folder / "manifest.json").read_text())
    data["rows"]["public.t"] = 6
    (folder / "manifest.json").write_text(json.dumps(data))
    with pytest.raises(WindlassError, match="sum does not agree"):
        manifest.load(str(folder))


def test_a_newer_format_is_refused(folder: Path) -> None:
    manifest.write(str(folder), {**known(folder), "format": 2})
    with pytest.raises(WindlassError, match="format 2"):
        manifest.load(str(folder))


def test_every_damage_is_named(folder: Path) -> None:
    before = known(folder)
    (folder / "dump" / "a").write_bytes(b"abd")
    (folder / "b ü").unlink()
    (folder / "c").write_bytes(b"")
    assert manifest.damages(str(folder), before) == [
        "b ü: is missing",
        "c: does not belong here",
        "dump/a: its content changed (SHA-256 a52d159f262b instead of ba7816bf8f01)",
    ]


def test_a_summary_has_no_settings(folder: Path) -> None:
    summary = manifest.summary("/somewhere", known(folder, settings={"settings": ["a=secret"]}, bytes=3))
    assert summary["path"] == "/somewhere"
    assert (summary["files"], summary["bytes"]) == (2, 3)
    assert "secret" not in json.dumps(summary)
