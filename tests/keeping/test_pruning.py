"""Retention on real folders: what goes is gone at once, and nothing goes when something is wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.keeping import stock
from windlass_engine.keeping import catalogue, marks, pruning, workplace
from windlass_engine.keeping.retention import Policy


def prune(folder: Path, policy: Policy, *, check_mode: bool = False) -> dict[str, Any]:
    return pruning.prune(stock.directory(folder), stock.DATABASE, policy, check_mode=check_mode)


def entries(folder: Path) -> list[dict[str, Any]]:
    return catalogue.read(stock.directory(folder), [stock.DATABASE])[stock.DATABASE]


def test_what_no_rule_keeps_goes_and_the_second_run_does_nothing(tmp_path: Path) -> None:
    made = [stock.put(tmp_path, hours)["id"] for hours in (30, 20, 10, 1)]
    marks.verified(str(stock.home(tmp_path)), made[0], "db1", 1200)
    said = prune(tmp_path, Policy(last=2), check_mode=True)
    assert stock.ids(tmp_path) == sorted(made) and not said["deleted"], "check mode deletes nothing"
    told = {each["id"]: (each["keep"], each["reasons"]) for each in said["decisions"]}
    assert told == {
        made[3]: (True, ["the newest", "last 1 of 2"]),
        made[2]: (True, ["last 2 of 2"]),
        made[1]: (False, ["no rule keeps it"]),
        made[0]: (True, ["the last verified"]),
    }
    done = prune(tmp_path, Policy(last=2))
    assert done["deleted"] == [made[1]] and done["freed_bytes"] > 3000
    assert stock.ids(tmp_path) == sorted([made[0], made[2], made[3]])
    assert prune(tmp_path, Policy(last=2))["deleted"] == []
    assert not list(stock.home(tmp_path).glob(".partial*"))


def test_a_flipped_bit_in_the_newest_one_saves_all_the_others(tmp_path: Path) -> None:
    made = [stock.put(tmp_path, hours)["id"] for hours in (30, 20, 10, 1)]
    stock.break_one(tmp_path, made[3])
    done = prune(tmp_path, Policy(last=1))
    assert made[3] in done["held"] and "toc.dat" in done["held"]
    assert done["deleted"] == [] and stock.ids(tmp_path) == sorted(made)
    assert "toc.dat" in entries(tmp_path)[0]["failed"]["reason"]


def test_nothing_goes_after_a_backup_that_failed(tmp_path: Path) -> None:
    made = [stock.put(tmp_path, hours)["id"] for hours in (30, 20, 10)]
    home = str(stock.home(tmp_path))
    marks.attempted(home, error="the disk filled up")
    done = prune(tmp_path, Policy(last=1))
    assert "the disk filled up" in done["held"] and stock.ids(tmp_path) == sorted(made)
    marks.attempted(home, made[2])
    assert prune(tmp_path, Policy(last=1))["deleted"] == made[:2]


def test_a_backup_in_use_stays_this_time(tmp_path: Path) -> None:
    old, new = (stock.put(tmp_path, hours)["id"] for hours in (30, 1))
    with workplace.in_use(str(stock.home(tmp_path) / old)):
        done = prune(tmp_path, Policy(last=1))
        assert (done["deleted"], done["in_use"]) == ([], [old])
    assert prune(tmp_path, Policy(last=1))["deleted"] == [old]
    assert stock.ids(tmp_path) == [new]


def test_broken_remains_go_only_when_a_newer_one_is_whole(tmp_path: Path) -> None:
    broken = stock.put(tmp_path, 5)["id"]
    (stock.home(tmp_path) / broken / "manifest.json").write_text("{")
    assert prune(tmp_path, Policy(last=1))["held"] == "there is no complete backup"
    assert stock.ids(tmp_path) == [broken]
    new = stock.put(tmp_path, 1)["id"]
    assert prune(tmp_path, Policy(last=1))["deleted"] == [broken]
    assert stock.ids(tmp_path) == [new]


def test_the_catalogue_tells_what_is_known(tmp_path: Path) -> None:
    old, tested, broken = (stock.put(tmp_path, hours)["id"] for hours in (9, 5, 1))
    home = str(stock.home(tmp_path))
    (stock.home(tmp_path) / broken / "manifest.json").unlink()
    marks.verified(home, tested, "db2", 1234)
    found = entries(tmp_path)
    assert [(each["id"], each["state"]) for each in found] == [
        (broken, "broken"), (tested, "complete"), (old, "complete"),
    ]  # fmt: skip
    assert found[0]["reason"] and found[1]["verified"]["duration_ms"] == 1234
    assert 5 * 3600 <= found[1]["age_s"] < 6 * 3600
    assert catalogue.newest_verified(found)["id"] == tested  # type: ignore[index]
    marks.failed(home, tested, "rows differ")
    assert catalogue.newest_verified(entries(tmp_path)) is None


def test_marks_are_private_and_a_cut_one_proves_nothing(tmp_path: Path) -> None:
    name = stock.put(tmp_path, 1)["id"]
    home = stock.home(tmp_path)
    marks.verified(str(home), name, "db1", 1)
    path = home / ".marks" / f"{name}.json"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    path.write_text(path.read_text()[:10])
    assert marks.read(str(home), name) == {}


def test_copies_that_a_dead_machine_left_are_cleared(tmp_path: Path) -> None:
    """A copy for a restore test lies in RUN/DATABASE/BACKUP; one that is young, or in use, is left alone."""
    for name in ("old", "used", "young"):
        copy = tmp_path / name / "d" / "20251121T040506Z-1a2b3c"
        copy.mkdir(parents=True)
        (copy / "manifest.json").write_text("{}")
    for name in ("old", "used"):
        os.utime(tmp_path / name, (0, 0))
    with workplace.in_use(str(tmp_path / "used/d/20251121T040506Z-1a2b3c")):
        workplace.clear_copies(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["used", "young"]
    workplace.clear_copies(str(tmp_path / "nowhere"))
