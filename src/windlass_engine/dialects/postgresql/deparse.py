"""Spellings of one and the same expression.

``x IN ('a', 'b')`` on a varchar column is printed as ``(ARRAY['a', 'b'])::text[]``; read back from a dump it is printed
with the cast on each element.  Without a common form a restored database would look changed.
"""

from __future__ import annotations

import re
from typing import Optional

_ARRAY = "(ARRAY["
_CAST = re.compile(r"\]\)::([^\[\]()',]+(?:\(\d+(?:,\d+)?\))?)\[\]")
_ANY_CAST = re.compile(
    r"""::(?:character\ varying|bit\ varying|double\ precision|time(?:stamp)?(?:\(\d\))?\ with(?:out)?\ time\ zone
        |[\w."]+)(?:\([\d,]+\))?(?:\[\])*""",
    re.VERBOSE,
)
_SPACING = re.compile(r"[()\s]+")


def settled(definition: str) -> str:
    """Return a definition as the server prints it after a dump and a restore."""
    at = definition.find(_ARRAY)
    while at >= 0:
        definition = _settle_one(definition, at)
        at = definition.find(_ARRAY, at + 1)
    return definition


def loose(definition: str) -> str:
    """Return a definition without brackets, spaces and casts, to tell another spelling from another meaning."""
    return _SPACING.sub("", _ANY_CAST.sub("", definition))


def _settle_one(text: str, at: int) -> str:
    """Move the cast of the array at ``at`` to its elements, if it has one."""
    parts = _elements(text, at + len(_ARRAY))
    if parts is None:
        return text
    elements, end = parts
    cast = _CAST.match(text, end)
    if not cast:
        return text
    moved = ", ".join(f"({element})::{cast.group(1)}" for element in elements)
    return f"{text[:at]}ARRAY[{moved}]{text[cast.end() :]}"


def _elements(text: str, start: int) -> Optional[tuple[list[str], int]]:
    """Return the elements of an array that begins at ``start``, and where its bracket closes."""
    elements: list[str] = []
    depth, begin, at = 0, start, start
    while at < len(text):
        char = text[at]
        if char in "'\"":
            at = _closing_quote(text, at)
        elif char == "]" and depth == 0:
            return [*elements, text[begin:at]], at
        elif char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif char == "," and depth == 0:
            elements.append(text[begin:at])
            begin = at + 2
        at += 1
    return None


def _closing_quote(text: str, at: int) -> int:
    """Return where the quoted part that opens at ``at`` closes; a doubled quote opens the next one at once."""
    end = text.find(text[at], at + 1)
    return len(text) if end < 0 else end
