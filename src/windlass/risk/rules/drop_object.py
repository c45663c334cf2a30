"""A function, view, trigger, type or sequence goes."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import MEDIUM, Verdict

NAME = "drop-object"


def judge(action: Action) -> Verdict:
    """Return medium: who calls it fails, and its text can be brought back."""
    return Verdict(MEDIUM, breaking=True)
