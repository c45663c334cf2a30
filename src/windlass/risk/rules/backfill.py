"""Values of rows change batch by batch."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import HARD, LOW, Verdict

NAME = "backfill"


def judge(action: Action) -> Verdict:
    """Return low: a batch locks few rows for a moment."""
    return Verdict(LOW, reversible=HARD)
