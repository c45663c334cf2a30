"""A new table."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import ZERO, Verdict

NAME = "add-table"


def judge(action: Action) -> Verdict:
    """Return zero: nobody knows it yet."""
    return Verdict(ZERO)
