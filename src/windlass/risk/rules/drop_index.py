"""An index goes."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import LOW, Verdict

NAME = "drop-index"


def judge(action: Action) -> Verdict:
    """Return low: what it served becomes slow, and it can be built again."""
    return Verdict(LOW)
