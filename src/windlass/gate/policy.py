"""The policy key ``gate``: which points a deployment has to meet.  Nothing is asked for that is not written there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from windlass.gate import window
from windlass.inventory_values import boolean, check, known_keys, milliseconds, whole


@dataclass(frozen=True)
class Gate:
    """What is asked for; times are milliseconds, and 0, "" or () mean that a point is not asked for.

    ``staged`` is the environment where the same scripts have to have been deployed and verified, ``soak`` how long ago
    at least; ``backup_verified`` and ``rehearsed`` are how old the newest verified backup and the plan's rehearsal may
    be; in it the plan took ``longest_run`` at most and kept nobody waiting longer than ``longest_block``; ``risk`` is
    the highest class that no script has to allow by name; ``drift`` asks that nobody else changed the schema;
    ``window`` are the times at which a deployment may begin; ``approvals`` is how many people other than the authors
    have to sign the plan.
    """

    staged: str = ""
    soak: int = 0
    proved: bool = False
    backup_verified: int = 0
    rehearsed: int = 0
    longest_run: int = 0
    longest_block: int = 0
    risk: str = ""
    drift: bool = False
    window: tuple[str, ...] = ()
    approvals: int = 0


def read(raw: Any, base: Gate, **place: str) -> Gate:
    """Lay ``raw`` over ``base``; an empty value opens the gate.  Raises ``inventory_invalid`` naming the key."""
    if raw is None or raw in ("", False, {}):
        return Gate()
    check(isinstance(raw, Mapping), "policy gate is not a mapping", **place)
    known_keys(raw, [item.name for item in fields(Gate)], "policy gate", **place)
    values = {item.name: getattr(base, item.name) for item in fields(Gate)}
    values.update({key: _value(key, value, place) for key, value in raw.items()})
    check(bool(values["staged"]) or not values["soak"], "policy gate.soak needs gate.staged: soaked where?", **place)
    budget = values["longest_run"] or values["longest_block"]
    check(bool(values["rehearsed"]) or not budget, "policy gate: a budget needs gate.rehearsed to measure it", **place)
    return Gate(**values)


def _value(key: str, value: Any, place: Mapping[str, str]) -> Any:
    what = f"policy gate.{key}"
    if key == "staged":
        return str(value or "")
    if key in ("proved", "drift"):
        return boolean(value, what, **place)
    if key == "risk":
        from windlass.risk import CLASSES

        check(not value or value in CLASSES, f"{what} is one of {', '.join(CLASSES)}", **place)
        return str(value or "")
    if key == "approvals":
        return whole(value, what, **place)
    if key == "window":
        texts = [value] if isinstance(value, str) else list(value or ())
        return tuple(window.checked(str(text), **place) for text in texts)
    return milliseconds(value, what, **place)
