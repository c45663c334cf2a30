"""What known queries cost on each database after the last change: one small file below .windlass/queries/."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from windlass.records import record
from windlass_engine.checking import queries
from windlass_engine.model import Wire


def compared(root: Path, environment: str, host: str, database: str, measured: Sequence[Wire]) -> list[dict[str, Any]]:
    """Return how queries stand against the measurement before, and keep this one in its place."""
    path = root / ".windlass" / "queries" / Path(environment).name / host / f"{database}.json"
    before = (record.read(path) or {}).get("queries", [])
    record.write(path, json.dumps({"format": 1, "at": record.now(), "queries": list(measured)}, indent=1) + "\n")
    return queries.compare(before, measured)
