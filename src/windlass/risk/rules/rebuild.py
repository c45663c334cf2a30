"""A table or an index is written anew, as it is."""

from __future__ import annotations

from windlass.risk.action import Action
from windlass.risk.verdict import LOW, Verdict

NAME = "rebuild"


def judge(action: Action) -> Verdict:
    """Return low; how long somebody waits raises it."""
    return Verdict(LOW)
