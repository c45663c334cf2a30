"""Planning decisions, each a case in tests/plan_cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from windlass_engine import dialects, plan
from windlass_engine.errors import WindlassError
from windlass_engine.model import Journal, JournalEntry, Plan, Script
from windlass_engine.project import script
from windlass_engine.project.view import Migration, ProjectView, Repeatable, natural_key

CASES = sorted((Path(__file__).parents[1] / "plan_cases").glob("*.json"))
DIALECT = dialects.get("postgresql")


def read(text: str, path: str) -> Script:
    return script.load(text.encode(), path, DIALECT.split)


def up_script(item: dict[str, Any]) -> Script:
    header = "-- windlass: no-transaction\n" if item.get("loose") else ""
    return read(header + item.get("text", "SELECT 1"), f"{item['name']}/up.sql")


def project_of(case: dict[str, Any]) -> ProjectView:
    migrations = [
        Migration(m["name"], up_script(m), read("SELECT 0", "down.sql")) for m in case["project"]["migrations"]
    ]
    repeatables = [Repeatable(r["name"], up_script(r)) for r in case["project"].get("repeatables", [])]
    ordered = sorted(migrations, key=lambda m: natural_key(m.name))
    return ProjectView("s", "postgresql", tuple(ordered), tuple(repeatables))


def entry_of(ordinal: int, item: dict[str, Any]) -> JournalEntry:
    ran, done = up_script(item), item.get("done", 0)
    return JournalEntry(
        item["name"],
        item.get("kind", "migration"),
        item.get("state", "applied"),
        ran.checksum,
        ordinal,
        statements_done=done,
        statements_total=len(ran.statements),
        prefix_hash=plan.prefix_digest(ran, done),
        irreversible=item.get("irreversible", ""),
        has_down=item.get("down", True),
        up_text=ran.text,
        down_text="SELECT 0",
    )


def planned(case: dict[str, Any]) -> Plan:
    ask = dict(case["ask"])
    journal = Journal(True, tuple(entry_of(number, item) for number, item in enumerate(case["journal"], 1)))
    if ask.pop("direction") == "up":
        return plan.plan_up(project_of(case), journal, host="h", database="d", **ask)
    return plan.plan_down(journal, read, system="s", **ask)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    case = json.loads(path.read_text())
    expected = case["expect"]
    if "error" in expected:
        with pytest.raises(WindlassError) as refusal:
            planned(case)
        assert refusal.value.code == expected["error"]
        assert expected.get("message", "") in refusal.value.message
        assert expected.get("hint", "") in refusal.value.hint
    else:
        assert [[step.action, step.name, step.reason] for step in planned(case).steps] == expected["steps"]


def test_the_digest_stands_for_host_state_and_text() -> None:
    case = json.loads((CASES[0].parent / "empty_database.json").read_text())
    first = planned(case)
    assert first.digest == planned(case).digest
    case["project"]["migrations"][0]["text"] = "SELECT 2"
    other = planned(case)
    assert other.digest != first.digest


def test_a_plan_survives_the_wire() -> None:
    from windlass_engine.model import to_wire

    for path in CASES:
        case = json.loads(path.read_text())
        if "steps" in case["expect"]:
            before = planned(case)
            after = Plan.from_wire(json.loads(json.dumps(to_wire(before))))
            assert after == before and after.digest == before.digest
