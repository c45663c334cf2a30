"""Polling for a state of the world, with a limit."""

from __future__ import annotations

import time
from collections.abc import Callable

#: What takes longer than this hangs, however slow and busy the machine is (seconds).
LIMIT_S = 600.0


def wait_until(true: Callable[[], object], *, what: str, seconds: float = LIMIT_S, every: float = 0.02) -> None:
    """Poll until `true()` holds, looking again `every` so many seconds.

    Raises TimeoutError, naming `what` was waited for, when it still does not after `seconds`.
    """
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(every)
