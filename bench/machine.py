"""What the numbers were measured on, without names."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def description() -> str:
    """Return cores, memory, kernel and Python in words."""
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"{cores} cores{_model()}, {memory:.0f} GB of memory, Linux {platform.release().partition('-')[0]}, "
        f"Python {platform.python_version()}"
    )


def load() -> float:
    """Return how many processes wanted a core in the last minute."""
    return os.getloadavg()[0]


def _model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return f" ({' '.join(line.partition(':')[2].split())})"
    return ""
