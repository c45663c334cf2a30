"""Which way back is recommended, and why, for what stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from windlass.rollback import ways
from windlass_engine.model import Journal, JournalEntry


def entry(name: str, state: str, ordinal: int, *, has_down: bool = True) -> JournalEntry:
    return JournalEntry(
        name, "migration", state, f"v1:{ordinal}", ordinal=ordinal, run_id="r", has_down=has_down,
        irreversible="" if has_down else "the data is gone",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "has_down", "application", "way", "words"),
    [
        ("applied", True, False, "migration", "all that the last run applied can be undone"),
        ("applied", True, True, "application", "all that the last run applied can be undone"),
        ("reverting", True, True, "application", "the undoing of 002_b stopped half-way, and this goes on there"),
        ("reverting", True, False, "migration", "--down-from checkout"),
        ("applied", False, True, "forward", "there is no backup"),
    ],
)
def test_the_way_to_take(tmp_path: Path, state: str, has_down: bool, application: bool, way: str, words: str) -> None:
    journal = Journal(entries=(entry("001_a", "applied", 1), entry("002_b", state, 2, has_down=has_down)))
    found = ways.weigh(ways.Facts(journal, (), {}, {}, {}, application), tmp_path, "tried", "--env prod")
    assert found["recommended"] == way
    assert words in found["reason"]
    forward = next(each for each in found["ways"] if each["way"] == "forward")
    assert (forward["command"], "invoke deploy --env prod" in forward["loses"][0]) == ("invoke new tried mend", True)
