"""All rows of a table go."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import HIGH, NO, Verdict

NAME = "truncate"


def judge(action: Action) -> Verdict:
    """Return high: no down script brings the rows back."""
    return Verdict(HIGH, reversible=NO, data_loss=True)
