"""New rows."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import VERY_LOW, Verdict

NAME = "insert-rows"


def judge(action: Action) -> Verdict:
    """Return very low: nothing that stands changes."""
    return Verdict(VERY_LOW)
