"""A function, view or trigger that stands gets another text."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import LOW, Verdict

NAME = "replace-object"


def judge(action: Action) -> Verdict:
    """Return low: from one moment to the next other code runs."""
    return Verdict(LOW)
