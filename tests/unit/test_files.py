"""Files that appear whole or not at all, whoever else writes them at the same moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.stage import ROOT
from windlass.schedule import packing
from windlass_engine import files


def test_two_who_write_one_file_at_once_leave_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several hosts of a play each packs the program for timers: one ends while the other is about to."""
    path = tmp_path / "windlass.pyz"
    genuine, others = os.fsync, list[Path]()

    def fsync(descriptor: int) -> None:
        if not others:
            others.append(path)
            packing.pack(ROOT, path)
        genuine(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    packing.pack(ROOT, path)
    assert others == [path]
    assert path.read_bytes() == packing._packed(ROOT)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("newline", [None, "", "\r\n"])
def test_a_text_is_written_as_open_writes_it(tmp_path: Path, newline: str | None) -> None:
    for name, writer in (("ours", files.replacing), ("theirs", None)):
        path = tmp_path / name
        with writer(str(path), newline=newline) if writer else open(path, "w", newline=newline) as file:
            file.write("é\n1\r\n")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_text("old")
    with pytest.raises(KeyError), files.replacing(str(path)) as file:
        file.write("new")
        raise KeyError
    assert (path.read_text(), list(tmp_path.iterdir())) == ("old", [path])
