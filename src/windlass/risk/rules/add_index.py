"""A new index."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import LOW, VERY_LOW, Verdict

NAME = "add-index"


def judge(action: Action) -> Verdict:
    """Return very low; a unique one refuses rows that were good before."""
    return Verdict(LOW if action.unique else VERY_LOW)
