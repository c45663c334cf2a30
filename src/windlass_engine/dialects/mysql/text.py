"""Constants and names as MySQL text."""

from __future__ import annotations

import re
from typing import Optional

#: What stands between quotes as it is, under every sql_mode and every client character set.
_PLAIN = re.compile(r"[ -&(-\[\]-~]*")


def literal(value: Optional[str]) -> str:
    """Return a constant of plain ASCII, or NULL: it means the same under every session setting."""
    if value is None:
        return "NULL"
    if _PLAIN.fullmatch(value):
        return f"_utf8mb4'{value}'"
    return f"_utf8mb4 X'{value.encode('utf-8').hex()}'"


def identifier(dotted: str) -> str:
    """Return a quoted name; dots part the qualifiers, and a part that is quoted already stays as it is."""
    return ".".join(part if part.startswith("`") else quoted(part) for part in dotted.split("."))


def quoted(name: str) -> str:
    """Return one quoted name, dots and all."""
    return "`" + name.replace("`", "``") + "`"
