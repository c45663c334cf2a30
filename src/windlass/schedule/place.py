"""Where a schedule keeps its things on the control node, and what its units are called."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from windlass.settings import Settings


def label(environment: str) -> str:
    """Return an environment's name as units and folders have it; a path's last part is its name."""
    return re.sub(r"[^A-Za-z0-9_.]", "-", Path(environment).name)


def prefix(environment: str) -> str:
    """Return what the names of an environment's units begin with."""
    return f"windlass-{label(environment)}"


def units_of(environment: str, jobs: Iterable[str]) -> frozenset[str]:
    """Return the names, without their kinds, that an environment's units could have."""
    return frozenset(f"{prefix(environment)}-{name}" for name in (*jobs, "failed@"))


def folder(settings: Settings, environment: str) -> Path:
    """Return the folder of an environment's ledger."""
    return settings.state / "schedule" / label(environment)
