"""Rows go."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import MEDIUM, NO, Verdict

NAME = "delete-rows"


def judge(action: Action) -> Verdict:
    """Return medium: no down script brings the rows back."""
    return Verdict(MEDIUM, reversible=NO, data_loss=True)
