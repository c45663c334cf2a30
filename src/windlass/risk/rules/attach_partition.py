"""A table becomes a partition."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import LOW, Verdict

NAME = "attach-partition"


def judge(action: Action) -> Verdict:
    """Return low: its rows are read unless a CHECK proves that they fit."""
    return Verdict(LOW)
