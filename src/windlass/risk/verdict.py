"""How much an action can hurt."""

from __future__ import annotations

from dataclasses import dataclass

#: From the least to the most.
CLASSES = ("zero", "very low", "low", "medium", "high")
ZERO, VERY_LOW, LOW, MEDIUM, HIGH = CLASSES

#: Whether a down script can bring back what was: easily, only with work or loss of what came since, or never.
YES, HARD, NO = "yes", "hard", "no"


@dataclass(frozen=True)
class Verdict:
    """``breaking``: the application of today may fail on it; ``data_loss``: values are gone for good."""

    level: str
    breaking: bool = False
    reversible: str = YES
    data_loss: bool = False


def worse(one: str, other: str) -> str:
    """Return the higher of two classes."""
    return max(one, other, key=CLASSES.index)
