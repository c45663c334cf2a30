"""A constraint goes."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import LOW, Verdict

NAME = "drop-constraint"


def judge(action: Action) -> Verdict:
    """Return low: no row changes, but bad rows may come in."""
    return Verdict(LOW)
