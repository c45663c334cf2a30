"""A rehearsal's load as a picture: one bar for each moment, as high as its longest call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.telling import console

WIDTH, HEIGHT = 600, 100


def of(load: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bars of a load's picture, and where the plan ran, in the picture's own units."""
    points = load["picture"]
    span = points[1]["at_ms"] - points[0]["at_ms"]
    length = max(points[-1]["at_ms"] + span, 1)
    worst = max((point["worst_ms"] for point in points), default=0.0) or 1.0
    begin, end = (WIDTH * moment / length for moment in load["window_ms"])
    return {
        "bars": [_bar(point, span, length, worst) for point in points],
        "begin": round(begin, 1),
        "width": round(max(end - begin, 1), 1),
        "worst": worst,
    }


def _bar(point: Mapping[str, Any], span: float, length: float, worst: float) -> dict[str, Any]:
    title = f"{console.duration(point['at_ms'])}: {point['calls']} calls, the longest {point['worst_ms']:g} ms"
    height = HEIGHT * point["worst_ms"] / worst
    return {
        "x": round(WIDTH * point["at_ms"] / length, 1),
        "width": round(WIDTH * span / length * 0.8, 1),
        "height": round(max(height, 0.5 if point["calls"] else 0), 1),
        "title": title,
    }
