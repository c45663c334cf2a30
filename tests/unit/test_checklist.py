"""The checklist of a change, ticked by its record."""

from __future__ import annotations

from typing import Any

from tests.unit import record_of
from windlass import report
from windlass.report import checklist

STEP = {"name": "20250101_create_staff", "status": "done", "duration_ms": 1200, "retries": 0}
GATE = {
    "points": {"db1": {"salon": [{"point": "proved", "met": False, "found": "not proved: a", "command": ""}]}},
    "approvals": {"wanted": 1, "by": [{"principal": "ada@example.org"}], "refused": [], "problem": "", "command": ""},
    "broken_glass": "it cannot wait",
}  # fmt: skip


def items(run: dict[str, Any]) -> dict[str, list[tuple[str, bool | None]]]:
    return {phase: [(item.text, item.done) for item in listed] for phase, listed in checklist.phases(run)}


def deployed(**more: Any) -> dict[str, Any]:
    plan = record_of.plan(record_of.STEPS[:1])
    parts: dict[str, Any] = {
        "windlass_plan": {"salon": plan}, "windlass_run": {"salon": record_of.run(steps=[STEP])},
        "windlass_checks": {"salon": [record_of.check()]}, **more,
    }  # fmt: skip
    return record_of.closed(db1=parts)


def test_what_was_measured_is_ticked() -> None:
    found = items(deployed(windlass_backup={"salon": {"id": "b1", "bytes": 1000, "duration_ms": 500}}))
    assert found["before"][0][1] is True and "made and shown" in found["before"][0][0]
    assert ("db1 salon: backup b1, 1.0 kB in 0.5 s", True) in found["before"]
    assert found["during"] == [("db1 salon: apply 20250101_create_staff in 1.2 s", True)]
    assert found["after"] == [("db1 salon: verified: 1/1 passed", True), ("db1 salon: stands well", True)]


def test_what_failed_or_was_not_reached_is_not() -> None:
    plan = record_of.plan()
    failed = record_of.run("failed", steps=[{**STEP, "status": "failed", "retries": 3}])
    run = record_of.closed(db1={"windlass_plan": {"salon": plan}, "windlass_run": {"salon": failed}})
    found = items(run)
    assert ("db1 salon: no backup was made", None) in found["before"]
    assert found["during"] == [
        ("db1 salon: apply 20250101_create_staff: failed, tried again 3 times for a lock", False),
        ("db1 salon: apply 20250109_drop_legacy: not reached", None),
    ]
    assert found["after"][-1][1] is False


def test_a_failing_check_is_not_ticked() -> None:
    found = items(deployed(windlass_checks={"salon": [record_of.check("no orphans", "a row")]}))
    assert ("db1 salon: verified: 0/1 passed", False) in found["after"]


def test_the_gate_is_part_of_it() -> None:
    run = {**deployed(), "gate": GATE}
    before = items(run)["before"]
    assert ("db1 salon: proved: not proved: a", False) in before
    assert ("approved by ada@example.org, 1 wanted", True) in before
    assert ("passed by force: it cannot wait", False) in before
    page = report.render(run)
    assert "Checklist" in page and 'class="no">passed by force' in page


def test_only_what_changes_a_database_has_one() -> None:
    assert checklist.phases(record_of.closed("verify", db1={"windlass_checks": {"salon": [record_of.check()]}})) == []
    assert checklist.phases({**deployed(), "check": True}) == []


def test_after_a_good_deployment_the_report_says_what_to_watch() -> None:
    assert "invoke verify --env prod" in report.render(deployed())
