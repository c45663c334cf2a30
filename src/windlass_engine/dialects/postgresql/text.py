"""Constants and names as PostgreSQL text."""

from __future__ import annotations

from typing import Optional


def literal(value: Optional[str]) -> str:
    """Return an E'' constant of plain ASCII, or NULL: it means the same under every session setting."""
    if value is None:
        return "NULL"
    return "E'" + "".join(_escaped(char) for char in value) + "'" if _is_special(value) else f"E'{value}'"


def _is_special(value: str) -> bool:
    """Return whether a value holds anything that an E'' constant spells differently."""
    return "'" in value or "\\" in value or not value.isascii()


def _escaped(char: str) -> str:
    """Return one character of an E'' constant."""
    if char == "'":
        return "''"
    if char == "\\":
        return "\\\\"
    code = ord(char)
    if code < 128:
        return char
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def identifier(dotted: str) -> str:
    """Return a quoted name; dots part the qualifiers, and a part that is quoted already stays as it is."""
    return ".".join(part if part.startswith('"') else quoted(part) for part in dotted.split("."))


def quoted(name: str) -> str:
    """Return one quoted name, dots and all."""
    return '"' + name.replace('"', '""') + '"'
