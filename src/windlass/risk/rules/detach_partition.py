"""A partition leaves its table."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import MEDIUM, Verdict

NAME = "detach-partition"


def judge(action: Action) -> Verdict:
    """Return medium: its rows are no longer seen, though they stay."""
    return Verdict(MEDIUM, breaking=True)
