"""A new constraint on a table that stands."""

from __future__ import annotations

from windlass.risk.action import SCAN, Action
from windlass.risk.verdict import LOW, MEDIUM, Verdict

NAME = "add-constraint"


def judge(action: Action) -> Verdict:
    """Return medium where every row is read under the lock: from now on writes may be refused."""
    return Verdict(MEDIUM if action.work == SCAN else LOW, breaking=action.required)
