"""A fault matrix that was broken off goes on: with its own seed, without repeating what was mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import __main__ as matrix
from tests.faults import results
from tests.faults.results import Result


def test_a_file_of_tries_outlives_a_break(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tries"
    assert results.begun(path, 7) == 7
    assert results.begun(path, 8) == 7, "it goes on with the seed that it was begun with"
    monkeypatch.setenv(results.VARIABLE, str(path))
    results.keep(Result("clock skewed", "deploy", "mysql", 0, "it did", True, 1.0))
    results.keep(Result("clock skewed", "deploy", "mysql", 1, "", False, 1.0))
    with path.open("a") as stream:
        stream.write('{"fault": "clock ske')  # killed in the middle of a line
    assert [result.number for result in results.read(path)] == [0, 1]
    assert results.is_mended("clock skewed", "deploy", "mysql", 0)
    assert not results.is_mended("clock skewed", "deploy", "mysql", 1)


def test_another_seed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tries"
    results.begun(path, 7)
    monkeypatch.setattr("sys.argv", ["faults", "--results", str(path), "--seed", "8"])
    assert matrix.main() == 2
    assert "was begun with seed 7" in capsys.readouterr().err
