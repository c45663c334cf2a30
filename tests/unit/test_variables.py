"""A mistyped variable is refused; an operator's own is nobody's business."""

from __future__ import annotations

from pathlib import Path

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
