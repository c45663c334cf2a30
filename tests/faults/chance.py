"""How much of the fault matrix is tried: a bounded sample by a seed, or the whole of it (`invoke faults --full`)."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

#: Whether everything is to be tried.
FULL = os.environ.get("WINDLASS_FAULTS") == "full"
#: What chooses the sample and the random moments: the same seed, the same choice.
SEED = int(os.environ.get("WINDLASS_FAULTS_SEED") or 1)


def dice(*names: object) -> random.Random:
    """Return a generator of one's own for what is called by these names, whatever other tests drew before."""
    return random.Random(" ".join(map(str, (SEED, *names))))


def some(items: Sequence[T], count: int, *names: object) -> Sequence[T]:
    """Return `count` of the items, in their order, by the seed; all of them where everything is to be tried."""
    if FULL or count >= len(items):
        return items
    chosen = dice(*names).sample(range(len(items)), count)
    return [items[index] for index in sorted(chosen)]


def many(sample: int, whole: int) -> int:
    """Return how often to try: `sample` times, or `whole` times where everything is to be tried."""
    return whole if FULL else sample
