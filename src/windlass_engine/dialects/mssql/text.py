"""Constants and names as T-SQL text."""

from __future__ import annotations

import re
from typing import Optional

_PARTS = re.compile(r"\[(?:[^\]]|\]\])*\]|[^.]+")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def literal(value: Optional[str]) -> str:
    """Return an N'' constant, or NULL: it means the same under every setting of a session.

    A backslash before a line end would be taken with it as a continued line, so such a text is put together from parts.
    """
    if value is None:
        return "NULL"
    text = value.replace("'", "''")
    if "\\\n" not in text and "\\\r" not in text:
        return f"N'{text}'"
    return "CAST(N'' AS nvarchar(max)) + N'" + text.replace("\\\n", "\\' + N'\n").replace("\\\r", "\\' + N'\r") + "'"


def identifier(dotted: str) -> str:
    """Return a quoted name; dots part the qualifiers, and a part that is quoted already stays as it is."""
    return ".".join(part if part.startswith("[") else quoted(part) for part in names(dotted))


def names(dotted: str) -> list[str]:
    """Return the parts of a name as they are written."""
    return _PARTS.findall(dotted)


def quoted(name: str) -> str:
    """Return one quoted name, dots and all."""
    return "[" + name.replace("]", "]]") + "]"


def shown(*parts: str) -> str:
    """Return a full name as people write it: quoted only where it must be."""
    return ".".join(part if _PLAIN.fullmatch(part) else quoted(part) for part in parts)
