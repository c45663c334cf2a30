"""How long each numbered step of a play took."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from windlass.records import record


def steps(run: record.Record) -> Iterator[dict[str, Any]]:
    """Yield each numbered step with its duration in milliseconds."""
    line = run["timeline"]
    ends = [*(item["at"] for item in line[1:]), run["finished"]]
    for item, end in zip(line, ends, strict=True):
        spent = datetime.fromisoformat(end) - datetime.fromisoformat(item["at"])
        yield {**item, "duration_ms": round(spent.total_seconds() * 1000)}
