"""Mistyped variables and databases that nobody has are refused; an operator's own variables are nobody's business."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from windlass import variables
from windlass_engine.errors import WindlassError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("windlass_databse", "windlass_database"),
        ("windlass_polcy", "windlass_policy"),
        ("windlass_step", "windlass_steps"),
        ("windlass_plan_digset", "windlass_plan_digest"),
    ],
)
def test_a_mistyped_name_is_refused_with_the_right_one(name: str, meant: str) -> None:
    with pytest.raises(WindlassError) as refusal:
        variables.refuse_mistyped(ROOT, ["ansible_host", "windlass_policy", name])
    assert refusal.value.code == "inventory_invalid" and name in refusal.value.message
    assert f"did you mean {meant}?" in refusal.value.hint


def test_names_of_others_and_our_own_pass() -> None:
    own = ["vault_windlass_password", "windlass_database_url", "windlass_salon_password", "windlassdatabase"]
    variables.refuse_mistyped(ROOT, [*own, *(variables.PREFIX + name for name in variables.known(ROOT))])


@pytest.mark.parametrize(
    ("limit", "name", "refused"),
    [
        ("", "jobs", False),  # db2 has it
        ("db2,db1", "jobs", False),
        ("db1", "jobs", True),
        ("db*", "jobs", False),
        ("", "nothing", True),
        ("db1", "salon", False),
    ],
)
def test_a_database_that_no_host_of_the_run_has_is_refused(limit: str, name: str, refused: bool) -> None:
    hosts = {"db1": ["salon"], "db2": ["salon", "jobs"]}
    known: dict[str, Any] = {
        "groups": {"databases": list(hosts)},
        "hostvars": {host: {"windlass_databases": [{"name": name} for name in names]} for host, names in hosts.items()},
        "ansible_limit": limit,
    }
    if not refused:
        return variables.refuse_absent(known, {name})
    with pytest.raises(WindlassError) as refusal:
        variables.refuse_absent(known, {name})
    assert refusal.value.code == "usage" and f"called {name}" in refusal.value.message
    assert "salon" in refusal.value.hint
