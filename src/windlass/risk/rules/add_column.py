"""A new column."""

from __future__ import annotations

from windlass.risk.action import CATALOGUE, Action
from windlass.risk.verdict import MEDIUM, ZERO, Verdict

NAME = "add-column"


def judge(action: Action) -> Verdict:
    """Return zero unless each row is written anew, or rows of today's application lack a value for it."""
    if action.required:
        return Verdict(MEDIUM, breaking=True)
    return Verdict(ZERO if action.work == CATALOGUE else MEDIUM)
