"""What the lexers of all engines speak of."""

from __future__ import annotations

from typing import NamedTuple

_KIND_NAMES = {
    "block": "comment", "open": "executable comment", "string": "string", "escape": "string", "name": "quoted name",
    "dollar": "dollar-quoted string",
}  # fmt: skip


class Unterminated(Exception):
    """A string, quoted name or comment that begins at ``start`` and never ends."""

    def __init__(self, kind: str, start: int) -> None:
        super().__init__(kind)
        self.what = _KIND_NAMES[kind]
        self.start = start


class Token(NamedTuple):
    """A piece of a script from ``start`` up to ``end``; its kinds are each lexer's own."""

    kind: str
    start: int
    end: int

    @property
    def is_code(self) -> bool:
        """Return whether it is more than a blank or a comment."""
        return self.kind not in ("space", "comment", "block")
