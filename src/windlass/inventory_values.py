"""How single values of an inventory are read, and how a mistake in one is refused: with its place, never a secret."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from windlass_engine.errors import WindlassError

_UNITS_MS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def boolean(value: Any, what: str, **place: str) -> bool:
    """Read ``true`` or ``false``, and the other words that YAML has for them.  Raises ``inventory_invalid``."""
    word = str(value).lower()
    check(word in _WORDS, f"{what} is true or false", **place)
    return _WORDS[word]


def whole(value: Any, what: str, **place: str) -> int:
    """Read a number of 0 or more.  Raises ``inventory_invalid``."""
    text = str(value)
    check(text.isascii() and text.isdigit(), f"{what} is a whole number", **place)
    return int(text)


def milliseconds(value: Any, what: str = "a time", **place: str) -> int:
    """Read ``200ms``, ``60s``, ``15min``, ``1h`` or ``0``.  Raises ``inventory_invalid`` for a bare number."""
    text = str(value).strip()
    match = re.fullmatch(r"([0-9]+)\s*(ms|s|min|h)", text)
    if match:
        return int(match[1]) * _UNITS_MS[match[2]]
    check(text == "0", f"{what} needs a unit: 200ms, 60s, 15min or 1h", **place)
    return 0


def serial(value: Any, **place: str) -> tuple[int | str, ...]:
    """Read the sizes of a fleet's batches: counts or percentages, in order.  Raises ``inventory_invalid``."""
    items = list(value) if isinstance(value, (list, tuple)) else [value]
    check(bool(items), "policy serial is empty", **place)
    for item in items:
        usable = re.fullmatch(r"[1-9][0-9]*|([1-9][0-9]?|100)%", str(item))
        check(usable is not None, "policy serial holds counts (1) or percentages (25%)", **place)
    return tuple(item if str(item).endswith("%") else int(item) for item in items)


def known_keys(raw: Mapping[str, Any], known: Sequence[str], what: str, **place: str) -> None:
    """Refuse a key that nothing reads, with the nearest known one."""
    for key in raw:
        near = difflib.get_close_matches(str(key), known, n=1)
        guess = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        check(key in known, f"{what} has no key {key}: {guess}", **place)


def check(condition: bool, message: str, **place: str) -> None:
    """Refuse unless the condition holds.  Raises ``inventory_invalid``."""
    if not condition:
        refuse(message, **place)


def refuse(message: str, **place: str) -> NoReturn:
    """Raise ``inventory_invalid`` with the place."""
    hint = "see docs/inventory.md, then correct the inventory; nothing was touched"
    where = {key: value for key, value in place.items() if value}
    raise WindlassError("inventory_invalid", message, hint=hint, where=where)
