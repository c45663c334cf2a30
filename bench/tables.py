"""Tables as Markdown, and the document that they stand in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "performance.md"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; all columns but the first are numbers, to the right."""
    every = [head, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(row, widths) for row in [head, rule, *rows])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
    return f"| {' | '.join(cells)} |"


def seconds(value: float) -> str:
    """Return seconds with as many digits as mean something."""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def milliseconds(value: float) -> str:
    """Return seconds as milliseconds."""
    return f"{value * 1000:.1f}"


def ratio(value: float) -> str:
    """Return a ratio."""
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def save(part: str, text: str, document: Path = DOCUMENT) -> None:
    """Put a measured text between the marks of its part.  Raises ValueError where the document has none."""
    old = document.read_text(encoding="utf-8")
    marks = re.compile(rf"(<!-- measured: {part} -->\n).*?(<!-- end of {part} -->)", re.DOTALL)
    new, found = marks.subn(lambda match: f"{match[1]}\n{text}\n\n{match[2]}", old)
    if not found:
        raise ValueError(f"{document.name} has no place for {part}")
    document.write_text(new, encoding="utf-8")
