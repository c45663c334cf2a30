"""How long work on a table takes, roughly: the order of magnitude decides, not the digit.

The figures are of a table of narrow rows in memory on a small server (see docs/risk.md); wide rows count by bytes.
"""

from __future__ import annotations

from windlass.risk.action import BUILD, CATALOGUE, EVERYBODY, NOBODY, REWRITE, ROWS, SCAN, Action
from windlass.risk.verdict import HIGH, LOW, MEDIUM, worse
from windlass_engine.model import TableFacts

#: What is worked through in a second: (rows, bytes).
SPEED = {
    SCAN: (5_000_000, 500e6),
    BUILD: (1_500_000, 150e6),
    REWRITE: (200_000, 60e6),
    ROWS: (150_000, 40e6),
}
_LONG_MS, _FELT_MS, _NOTICED_MS = 10_000, 1_000, 200


def milliseconds(action: Action, table: TableFacts | None) -> int:
    """Return how long an action works, 0 where it changes the catalogue only; for rows, all of them are assumed."""
    if action.work == CATALOGUE or table is None:
        return 0
    rows, size = SPEED[action.work]
    return round(max(table.rows / rows, table.bytes / size if action.work != ROWS else 0) * 1000)


def raised(level: str, action: Action, estimate_ms: int) -> str:
    """Return the class of an action that makes others wait so long."""
    if action.waits == NOBODY:
        return level
    if estimate_ms >= _LONG_MS:
        return HIGH
    if estimate_ms >= _FELT_MS:
        return worse(level, MEDIUM)
    return worse(level, LOW) if action.waits == EVERYBODY and estimate_ms >= _NOTICED_MS else level
