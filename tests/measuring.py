"""Figures that a busy machine may spoil: taken again until they are what they would be on a quiet one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
TRIES = 6


def measured(take: Callable[[], T], clear: Callable[[T], object]) -> T:
    """Return the first result whose figures are clear, after some tries the last one."""
    for _ in range(TRIES):
        result = take()
        if clear(result):
            break
    return result
