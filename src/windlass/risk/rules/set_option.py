"""A setting of a table or another object: owner, storage, row security."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import LOW, Verdict

NAME = "set-option"


def judge(action: Action) -> Verdict:
    """Return low: no row changes, but who may do what, or how, may."""
    return Verdict(LOW)
