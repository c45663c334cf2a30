"""A table goes, with its rows."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import HIGH, NO, Verdict

NAME = "drop-table"


def judge(action: Action) -> Verdict:
    """Return high: no down script brings the rows back."""
    return Verdict(HIGH, breaking=True, reversible=NO, data_loss=True)
