"""Which way back is recommended, and why, for what stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.record_of import closed
from windlass.rollback import tree, ways
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
    assert words in found["reason"] and not found["asked"]
    forward = next(each for each in found["ways"] if each["way"] == "forward")
    assert (forward["command"], "invoke deploy --env prod" in forward["loses"][0]) == ("invoke new tried mend", True)


def test_who_asked_for_a_backup_reads_first_what_exactly_that_one_loses(tmp_path: Path) -> None:
    journal = Journal(entries=(entry("001_a", "applied", 1),))
    old = {"id": "b0", "run_id": "", "started": "2025-01-01T00:00:00+00:00", "ref": "b0"}
    new = {"id": "b1", "run_id": "r", "started": "2025-01-02T00:00:00+00:00"}
    seen = {"backups": [new, old], "rows": {"a": 9}, "backup_rows": {"b0": {"a": 2}}}
    for asked, command in ((old, "--restore b0"), (None, "--restore before:r")):
        facts = ways.Facts(journal, (), {}, {**seen, "asked": asked}, {}, False)
        found = ways.weigh(facts, tmp_path, "tried", "--env prod")
        assert next(way for way in found["ways"] if way["way"] == "restore")["command"].endswith(command)
        assert (found["recommended"] == "restore", "+7 in a" in found["reason"]) == (bool(asked), bool(asked))
        run = closed("rollback_options", db1={"windlass_ways": {"d": found}})
        shown = [line.text for line in tree.lines(run)]
        assert any("(asked for)" in text for text in shown) is bool(asked)
        assert any("(recommended)" in text for text in shown) is (not asked)


def test_a_database_that_does_not_answer_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    backup = {"id": "b1", "run_id": "r", "started": "2025-01-02T00:00:00+00:00"}
    for asked in (None, {**backup, "ref": "latest"}):
        facts = ways.Facts(Journal(), (), {}, {"backups": [backup], "asked": asked}, {}, False, "connection refused")
        found = ways.weigh(facts, tmp_path, "tried", "--env prod")
        run = closed("rollback_options", db1={"windlass_ways": {"d": found}})
        shown = "\n".join(line.text for line in tree.lines(run))
        assert "nothing to undo" not in shown and "migration: not possible: the journal cannot be read" in shown
        assert ("connection refused" in shown, "(asked for)" in shown) == (not asked, bool(asked))
        assert "invoke rollback --env prod --restore" in shown
