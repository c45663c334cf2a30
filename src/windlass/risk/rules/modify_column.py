"""Another type or another definition for a column that stands."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import HARD, HIGH, Verdict

NAME = "modify-column"


def judge(action: Action) -> Verdict:
    """Return high: rows are written anew, and the application may not expect what it reads then."""
    return Verdict(HIGH, breaking=True, reversible=HARD)
