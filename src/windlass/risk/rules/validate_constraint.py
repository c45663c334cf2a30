"""A constraint that stands already is held against the old rows."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import VERY_LOW, Verdict

NAME = "validate-constraint"


def judge(action: Action) -> Verdict:
    """Return very low: rows are read, and nobody waits."""
    return Verdict(VERY_LOW)
