"""Constants and names as PostgreSQL text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Optional

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")


def literal(value: Optional[str]) -> str:
    """Return an E'' constant of plain ASCII, or NULL: it means the same under every session setting."""
    if value is None:
        return "NULL"
    text = value.replace("\\", "\\\\").replace("'", "''")
    return f"E'{text if text.isascii() else _BEYOND_ASCII.sub(_escaped, text)}'"


def array(values: Iterable[str]) -> str:
    """Return an E'' constant that is an array of one text or more, none of which has a NUL: no text here can."""
    text = "\0".join(values).replace("\\", "\\\\").replace('"', '\\"')
    return literal('{"' + text.replace("\0", '","') + '"}')


def _escaped(found: re.Match[str]) -> str:
    """Return a character beyond ASCII as an E'' constant spells it."""
    code = ord(found[0])
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def identifier(dotted: str) -> str:
    """Return a quoted name; dots part the qualifiers, and a part that is quoted already stays as it is."""
    return ".".join(part if part.startswith('"') else quoted(part) for part in dotted.split("."))


def quoted(name: str) -> str:
    """Return one quoted name, dots and all."""
    return '"' + name.replace('"', '""') + '"'
