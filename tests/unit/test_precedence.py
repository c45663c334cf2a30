"""People before timers: scheduled work gives way to a person's run, and does not do again what a person has just done."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils import windlass_adapter as adapter
from ansible.module_utils import windlass_detach as detach
from ansible.module_utils import windlass_locks as locks

from testbed.waiting import LIMIT_S, wait_until
from windlass_engine.model import Target

Emit = Callable[[dict[str, Any]], None]


class Run:
    """One run's job on the database `d`, which goes on until its gate is opened."""

    def __init__(
        self, folder: Path, name: str, kind: str = "backup", lock: str = "backup", *, timer: bool = False
    ) -> None:
        self.gate = folder / f"{name}.open"
        self.begun = folder / f"{name}.begun"
        self.ended = folder / f"{name}.ended"
        self.params: dict[str, Any] = {
            "state_dir": str(folder), "run_id": name, "cursor": None, "seconds": 0.3, "scheduled": timer,
            "settings": {"d": {"who": name, "origin": "desk"}},
        }  # fmt: skip
        module = SimpleNamespace(params=self.params)
        self.order = adapter.order(module, Target("d", "tried", "postgresql:///d"), kind, "", lock, self.work)

    def work(self, emit: Emit) -> dict[str, Any]:
        self.begun.touch()
        try:
            wait_until(self.gate.exists, what="the gate")
        finally:
            self.ended.touch()
        return {"by": self.params["run_id"]}

    def advance(self, seconds: float = 0.3) -> Any:
        """Start or follow the job for a while; return its outcome, or None while it goes on."""
        self.params["seconds"] = seconds
        reply = adapter.advance(SimpleNamespace(params=self.params), [self.order])
        self.params["cursor"] = reply["cursor"]
        return reply["outcomes"].get("d")

    def begin(self) -> None:
        """Start the job, and see it at work."""
        assert self.advance() is None
        wait_until(self.begun.exists, what="the work to begin")

    def holds(self, lock: str = "backup") -> bool:
        held = locks.running(self.order.job.folder, lock)
        return bool(held) and held["run_id"] == self.params["run_id"]


@pytest.mark.parametrize(("kind", "lock"), [("backup", "backup"), ("migrate", "run"), ("restore", "run")])
def test_a_persons_run_ends_a_scheduled_backup(tmp_path: Path, kind: str, lock: str) -> None:
    timer, person = Run(tmp_path, "timer", timer=True), Run(tmp_path, "ann", kind, lock)
    timer.begin()
    assert timer.holds()
    assert person.advance() is None and person.holds(lock) and not timer.holds()
    assert timer.ended.exists(), "what it had begun was ended in order"
    error = timer.advance(LIMIT_S)["error"]
    assert (error["code"], error["detail"]) == ("deploy_locked", {"gave_way": True})
    person.gate.touch()
    assert person.advance(LIMIT_S)["result"] == {"by": "ann"}


def test_a_scheduled_maintenance_gives_way_as_well(tmp_path: Path) -> None:
    timer = Run(tmp_path, "timer", "maintain", "maintain", timer=True)
    person = Run(tmp_path, "ann", "maintain", "maintain")
    timer.begin()
    person.advance()
    assert person.holds("maintain")
    person.gate.touch()


def test_deleting_old_backups_ends_no_new_one(tmp_path: Path) -> None:
    timer, person = Run(tmp_path, "timer", timer=True), Run(tmp_path, "ann", "prune")
    timer.begin()
    assert person.advance() is None and timer.holds()
    timer.gate.touch()
    person.gate.touch()
    assert person.advance(LIMIT_S)["result"] == {"by": "ann"}


def test_a_persons_run_is_never_ended(tmp_path: Path) -> None:
    person, timer, other = Run(tmp_path, "ann"), Run(tmp_path, "timer", timer=True), Run(tmp_path, "bob")
    person.begin()
    assert timer.advance() is None and other.advance() is None and person.holds()
    person.gate.touch()
    assert timer.advance(LIMIT_S)["result"] == {"by": "ann"}, "the timer's backup need not be made"
    other.gate.touch()
    assert other.advance(LIMIT_S)["result"] == {"by": "bob"}, "a person's is made"


def test_a_backup_that_failed_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    person, timer = Run(tmp_path, "ann"), Run(tmp_path, "timer", timer=True)
    object.__setattr__(person.order, "work", _fails)
    person.advance()
    timer.gate.touch()
    assert timer.advance(LIMIT_S)["result"] == {"by": "timer"}


def _fails(emit: Emit) -> dict[str, Any]:
    raise OSError("no room")


def test_two_timers_make_one_backup(tmp_path: Path) -> None:
    first, second = Run(tmp_path, "first", timer=True), Run(tmp_path, "second", timer=True)
    first.begin()
    assert second.advance() is None and first.holds()
    first.gate.touch()
    assert second.advance(LIMIT_S)["result"] == {"by": "first"}
    assert not second.ended.exists()


def test_a_scheduled_backup_waits_for_a_change_to_end(tmp_path: Path) -> None:
    person, timer = Run(tmp_path, "ann", "migrate", "run"), Run(tmp_path, "timer", timer=True)
    person.begin()
    timer.gate.touch()
    assert timer.advance() is None and not timer.ended.exists() and not timer.holds()
    person.gate.touch()
    assert timer.advance(LIMIT_S)["result"] == {"by": "timer"}


def test_nobody_is_ended_where_nobody_works(tmp_path: Path) -> None:
    assert locks.make_way(str(tmp_path), "backup") is None
    assert detach.change_under_way(str(tmp_path)) is None


def test_only_a_scheduled_job_can_be_asked_to_end(tmp_path: Path) -> None:
    person = Run(tmp_path, "ann")
    person.begin()
    assert (locks.running(person.order.job.folder, "backup") or {})["gives_way"] is False
    timer = Run(tmp_path, "timer", "offsite", "offsite", timer=True)
    timer.begin()
    held = locks.running(timer.order.job.folder, "offsite") or {}
    assert held["scheduled"] and os.path.exists(f"/proc/{held['pid']}")
    for run in (person, timer):
        run.gate.touch()
        run.advance(LIMIT_S)


def test_a_change_that_begins_between_a_timers_look_and_its_lock_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timer, person = Run(tmp_path, "timer", timer=True), Run(tmp_path, "ann", "migrate", "run")
    genuine, looks = detach.change_under_way, []

    def look(folder: str) -> Any:
        looks.append(folder)
        if len(looks) > 1:
            return genuine(folder)
        person.begin()
        return None

    monkeypatch.setattr(detach, "change_under_way", look)
    error = timer.advance(LIMIT_S)["error"]
    assert (error["code"], error["detail"]) == ("deploy_locked", {"gave_way": True})
    assert not timer.begun.exists() and person.holds("run")
    person.gate.touch()
    assert person.advance(LIMIT_S)["result"] == {"by": "ann"}


def test_a_timers_backup_that_begins_between_a_persons_look_and_its_lock_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timer, person = Run(tmp_path, "timer", timer=True), Run(tmp_path, "ann", "migrate", "run")
    genuine, asked = locks.make_way, []

    def make_way(folder: str, lock: str) -> Any:
        asked.append(lock)
        found = genuine(folder, lock)
        if asked == ["backup", "run"]:
            timer.begin()
        return found

    monkeypatch.setattr(locks, "make_way", make_way)
    person.begin()
    error = timer.advance(LIMIT_S)["error"]
    assert (error["code"], error["detail"]) == ("deploy_locked", {"gave_way": True})
    person.gate.touch()
    assert person.advance(LIMIT_S)["result"] == {"by": "ann"}
