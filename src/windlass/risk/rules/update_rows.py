"""Values of rows change."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import HARD, MEDIUM, Verdict

NAME = "update-rows"


def judge(action: Action) -> Verdict:
    """Return medium: the old values are kept nowhere, and all changed rows are locked until it ends."""
    return Verdict(MEDIUM, reversible=HARD)
