"""What people read of the gate and of the evidence: the checklist of a plan, and the list of bundles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from windlass.gate import verdict
from windlass.records import evidence
from windlass.telling import console

#: (text, style); the styles are those of the closing lines.
Told = Iterator[tuple[str, str]]


def checklist(gate: Mapping[str, Any] | None) -> Told:
    """Yield a line for each point: met or not, what was found, and the command that meets it."""
    if not gate or not (gate["points"] or gate["approvals"]["wanted"]):
        return
    yield "", ""
    yield "The gate", "head"
    for host, part in gate["points"].items():
        for name, points in part.items():
            for point in points:
                yield from _line(point["met"], f"{host} {name}  {point['point']}: {point['found']}", point["command"])
    if gate["approvals"]["wanted"]:
        asked = gate["approvals"]
        met = len(asked["by"]) >= asked["wanted"]
        yield from _line(met, f"approvals: {verdict.approvals_text(gate)}", "" if met else asked["command"])
    if gate["broken_glass"]:
        yield f"  passed by force: {gate['broken_glass']}", "bad"


def _line(met: bool, text: str, command: str) -> Told:
    yield f"  {'ok ' if met else 'NO '}  {console.printable(text)}", "good" if met else "bad"
    if command:
        yield f"         {console.printable(command)}", ""


def bundles(kept: Sequence[evidence.Kept]) -> Iterator[str]:
    """Yield the table of an environment's evidence, newest last."""
    rows = [
        (
            str(item.number), str(content.get("finished", ""))[:19].replace("T", " "), content.get("verb", ""),
            content.get("status", "cannot be read"), content.get("who", ""), str(content.get("digest", ""))[:12],
            content.get("run_id", ""), item.sha256[:16],
        )
        for item in kept
        for content in [item.content or {}]
    ]  # fmt: skip
    yield from console.table(("NO.", "WHEN (UTC)", "VERB", "STATUS", "WHO", "PLAN", "RUN", "SHA-256"), rows)
