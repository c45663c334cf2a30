"""A column that may no longer be empty."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import MEDIUM, Verdict

NAME = "require-value"


def judge(action: Action) -> Verdict:
    """Return medium: every row is read, and writes that leave the column out fail."""
    return Verdict(MEDIUM, breaking=True)
