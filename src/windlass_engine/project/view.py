"""What the planner sees of a project: names, scripts and their checksums, in order."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Optional, Union

from ..model import Script, Wire


# One deployment sorts and compares every name several times.
@functools.lru_cache(maxsize=1 << 14)
def natural_key(name: str) -> tuple[tuple[int, Union[int, str]], ...]:
    """Return a sort key in which digits count as numbers, so ``1000_x`` comes after ``999_x``."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(part)) if part.isdigit() and part.isascii() else (1, part) for part in parts)


@dataclass(frozen=True)
class Migration:
    """A migration is its folder's name and up to three scripts."""

    name: str
    up: Script
    down: Optional[Script] = None
    verify: Optional[Script] = None

    @classmethod
    def from_wire(cls, data: Wire) -> Migration:
        """Rebuild from plain data."""
        parts = {key: Script.from_wire(data[key]) if data[key] else None for key in ("down", "verify")}
        return cls(data["name"], Script.from_wire(data["up"]), **parts)


@dataclass(frozen=True)
class Repeatable:
    """A script that is applied again whenever its checksum changes (functions, views)."""

    name: str
    script: Script


@dataclass(frozen=True)
class ProjectView:
    """One system's scripts; ``migrations`` stand in natural order of their names."""

    system: str
    engine: str
    migrations: tuple[Migration, ...] = ()
    repeatables: tuple[Repeatable, ...] = ()
