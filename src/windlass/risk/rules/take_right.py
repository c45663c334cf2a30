"""A right is taken away."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import MEDIUM, Verdict

NAME = "take-right"


def judge(action: Action) -> Verdict:
    """Return medium: who used it is refused."""
    return Verdict(MEDIUM, breaking=True)
