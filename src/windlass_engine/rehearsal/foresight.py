"""Before a plan runs: how large its tables are, how the server will work on them, and which rows stand in its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from ..checking import probing
from ..errors import WindlassError
from ..model import Probe, Target, Wire, to_wire
from ..schema import drift
from ..session import ServerError, connect
from . import weigh


@dataclass(frozen=True)
class Question:
    """What is asked of one database; ``statements`` are to be weighed on a scratch database, None: not at all."""

    tables: tuple[tuple[str, ...], ...] = ()
    probes: tuple[Probe, ...] = ()
    timeout_ms: int = 5000
    statements: Optional[tuple[str, ...]] = None
    drift: bool = False

    @classmethod
    def from_wire(cls, data: Wire) -> Question:
        """Rebuild from plain data."""
        return cls(
            tuple(tuple(name) for name in data["tables"]),
            tuple(Probe.from_wire(item) for item in data["probes"]),
            data["timeout_ms"],
            None if data["statements"] is None else tuple(data["statements"]),
            data["drift"],
        )


def look(target: Target, question: Question) -> Wire:
    """Return what was found, as plain data; what could not be found out is told in ``unknown``, not raised."""
    found: Wire = {"tables": {}, "probes": [], "ways": None, "drift": None, "unknown": []}
    try:
        with connect(target, "windlass plan") as session:
            found["tables"] = to_wire(session.dialect.tables(session.link, question.tables))
            if question.drift:
                found["drift"] = drift.look(session)
            found["probes"] = probing.search(session, question.probes, question.timeout_ms)
    except (WindlassError, ServerError) as error:
        found["unknown"].append(f"the tables could not be looked at: {error.message}")
    if question.statements is not None:
        found["ways"] = _ways(target, question.statements, found["unknown"])
    return found


def _ways(target: Target, statements: Sequence[str], unknown: list[str]) -> Optional[list[Wire]]:
    """Return how the server will do each statement; None where it cannot be asked."""
    try:
        ways: list[Wire] = to_wire(weigh.weigh(target, statements))
        return ways
    except (WindlassError, ServerError) as error:
        unknown.append(f"how the server will do it is not known: {error.message}")
        return None
