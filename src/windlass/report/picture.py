"""A rehearsal over time, on one scale: its statements, when which table kept others waiting, and what the load felt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from windlass.telling import console

#: So many statements have a row of their own, the slowest ones.
MOST = 30
#: Units of the charts, which are stretched to the page's width.
WIDTH, HEIGHT = 600, 60

Row = dict[str, Any]


def of(rehearsal: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``rows`` (label, value, bars in per cent), ``charts`` of the load, and the ``length`` in milliseconds.

    Empty for a rehearsal that was kept before statements had a place in time.
    """
    part, load = rehearsal["parts"][0], rehearsal.get("load") or {}
    statements = [item for item in part["statements"] if "at_ms" in item]
    if not statements:
        return {}
    offset = load.get("plan_at_ms", 0)
    length = max(_load_length(load), offset + part["duration_ms"], 1)
    scale = _Scale(offset, length)
    rows = [*_statements(statements, scale), *_blocked(part.get("blocked") or (), scale)]
    return {"rows": rows, "charts": _charts(load, statements, scale) if load.get("picture") else [], "length": length}


class _Scale:
    """From milliseconds of the plan to per cent of the picture."""

    def __init__(self, offset: float, length: float) -> None:
        """The plan began at ``offset``."""
        self._offset, self.length = offset, length

    def bar(self, begin: float, end: float, title: str) -> dict[str, Any]:
        """Return a bar that can be seen however short it is."""
        left = 100 * (begin + self._offset) / self.length
        return {"left": round(left, 2), "width": round(max(100 * (end - begin) / self.length, 0.3), 2), "title": title}


def _statements(statements: Sequence[Mapping[str, Any]], scale: _Scale) -> Iterator[Row]:
    slowest = sorted(statements, key=lambda item: -item["duration_ms"])[:MOST]
    for item in statements:
        if item in slowest:
            end = item["at_ms"] + item["duration_ms"]
            title = f"{item['sql'][:200]}: {console.duration(item['duration_ms'])}"
            label = f"{item['migration']}, line {item['line']}"
            bar = scale.bar(item["at_ms"], end, title)
            yield {"label": label, "value": console.duration(item["duration_ms"]), "kind": "step", "bars": [bar]}


def _blocked(spans: Sequence[Mapping[str, Any]], scale: _Scale) -> Iterator[Row]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for span in sorted(spans, key=lambda span: span["from_ms"]):
        found.setdefault(f"{span['blocks']} of {span['table']} wait", []).append(span)
    for label, listed in found.items():
        longest = max(span["to_ms"] - span["from_ms"] for span in listed)
        bars = [scale.bar(s["from_ms"], s["to_ms"], console.duration(s["to_ms"] - s["from_ms"])) for s in listed]
        yield {"label": label, "value": console.duration(longest), "kind": "wait", "bars": bars}


def _load_length(load: Mapping[str, Any]) -> float:
    points: Sequence[Mapping[str, Any]] = load.get("picture") or ()
    return float(points[-1]["at_ms"] + points[1]["at_ms"] - points[0]["at_ms"]) if len(points) > 1 else 0.0


def _charts(load: Mapping[str, Any], statements: Sequence[Mapping[str, Any]], scale: _Scale) -> list[dict[str, Any]]:
    """Return throughput and latency, each over the statements as bands."""
    points = load["picture"]
    span = points[1]["at_ms"] - points[0]["at_ms"]
    bands = [scale.bar(item["at_ms"], item["at_ms"] + item["duration_ms"], item["sql"][:200]) for item in statements]
    bands = [{**band, "x": band["left"] * WIDTH / 100, "width": band["width"] * WIDTH / 100} for band in bands]
    rates = [1000 * point["calls"] / span for point in points]
    worst = [point["worst_ms"] for point in points]
    return [
        _chart("calls a second", rates, f"{max(rates):.0f} at most", points, scale, bands),
        _chart("longest call", worst, f"{console.duration(max(worst))} at most", points, scale, bands),
    ]


def _chart(
    label: str, values: Sequence[float], value: str, points: Sequence[Mapping[str, Any]], scale: _Scale,
    bands: list[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    top = max(values) or 1.0
    width = WIDTH * (points[1]["at_ms"] - points[0]["at_ms"]) / scale.length
    bars = [
        {
            "x": round(WIDTH * point["at_ms"] / scale.length, 1),
            "width": round(width * 0.85, 1),
            "height": round(max(HEIGHT * height / top, 0.5 if height else 0), 1),
            "title": f"after {console.duration(point['at_ms'])}: {point['calls']} calls, the longest "
            f"{point['worst_ms']:g} ms",
        }
        for point, height in zip(points, values, strict=True)
    ]
    return {"label": label, "value": value, "bands": bands, "bars": bars}
