"""What is read before a plan is made: somebody who is at work unseen is told of and waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from windlass import environment, planning
from windlass.environment import Database
from windlass.planning import Wish
from windlass.project import Project

HOLDER = {"holder": "pid 7, windlass 20251121 maria, user deploy, for 3 s"}
STANDS: dict[str, Any] = {"journal": None, "lock": None, "running": None}


def databases(*names: str) -> tuple[Database, ...]:
    listed = [{"name": name, "system": "s", "url": f"postgresql://u@h/{name}"} for name in names]
    return environment.databases(listed, {"deploy_lock_wait": "7s"}, host="db1")


class Target:
    """Answers db_info, and keeps what was asked."""

    def __init__(self, **first: dict[str, Any]) -> None:
        self.first = first
        self.asked: list[tuple[list[str], dict[str, Any]]] = []
        self.told: list[str] = []

    def call(self, module: str, asked: Sequence[Database], **more: Any) -> dict[str, Any]:
        names = [database.name for database in asked]
        seen = {} if self.asked else self.first
        self.asked.append((names, more))
        return {"databases": {name: {**STANDS, **seen.get(name, {})} for name in names}}

    def look(self, *names: str, direction: str = "up", to: str = "") -> dict[str, dict[str, Any]]:
        project = Project("s", "postgresql", "S", "For a test.", (), (), (), (), (), (), (), {})
        wishes = {name: Wish(direction, to=to) for name in names}
        return planning.look(self.call, databases(*names), {"s": project}, wishes, self.told.append)


def test_a_free_database_is_read_once() -> None:
    target = Target()
    target.look("a", "b")
    assert target.asked == [(["a", "b"], {"newest": 0})]
    assert target.told == []


def test_a_held_lock_is_told_of_and_its_end_waited_for() -> None:
    target = Target(b={"lock": HOLDER})
    found = target.look("a", "b")
    assert target.asked == [(["a", "b"], {"newest": 0}), (["b"], {"lock_wait": 7.0})]
    assert len(target.told) == 1 and "b: " in target.told[0] and HOLDER["holder"] in target.told[0]
    assert found["b"]["lock"] is None


def test_a_run_that_can_be_followed_is_not_waited_for() -> None:
    target = Target(a={"lock": HOLDER, "running": {"run_id": "1"}})
    target.look("a")
    assert len(target.asked) == 1


def test_what_cannot_be_read_is_not_taken_for_empty() -> None:
    target = Target(a={"error": {"code": "preflight_failed", "message": "the disk is full"}})
    assert target.look("a", direction="down", to="001_first")["a"]["error"]["message"] == "the disk is full"
