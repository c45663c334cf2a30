"""A column goes, with its values."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import HIGH, NO, Verdict

NAME = "drop-column"


def judge(action: Action) -> Verdict:
    """Return high: no down script brings the values back."""
    return Verdict(HIGH, breaking=True, reversible=NO, data_loss=True)
