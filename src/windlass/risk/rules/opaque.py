"""A statement whose text does not show what it does."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import HARD, MEDIUM, Verdict

NAME = "opaque"


def judge(action: Action) -> Verdict:
    """Return medium: read what it calls."""
    return Verdict(MEDIUM, reversible=HARD)
