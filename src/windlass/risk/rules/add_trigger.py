"""A new trigger."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import LOW, Verdict

NAME = "add-trigger"


def judge(action: Action) -> Verdict:
    """Return low: from now on it runs with every write."""
    return Verdict(LOW)
