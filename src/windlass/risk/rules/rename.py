"""Something that the application knows gets another name."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import HIGH, Verdict

NAME = "rename"


def judge(action: Action) -> Verdict:
    """Return high: old code and new code cannot both be right."""
    return Verdict(HIGH, breaking=True)
