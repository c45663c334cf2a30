"""How far a restore is: pg_restore says which items of the dump it has finished, and between those that is noise.

Tables can be counted and looked at as soon as nothing is left that changes or locks them: everything but foreign keys,
which come last, take long with one process each, and let others read.
"""

from __future__ import annotations

import re
from typing import Callable

#: What is left to do when a database can be looked at: it changes no row, no index, and no statistics.
_LATE = ("FK CONSTRAINT", "ACL", "DEFAULT ACL", "COMMENT", "SECURITY LABEL", "EVENT TRIGGER")
_LISTED = re.compile(r"(\d+); \d+ \d+ (.*)")
_DONE = re.compile(rb"(?:finished|processing|skipping) item (\d+) ")
#: What is said with --verbose alone.  Several processes share one standard error, which may part a line from its head.
_NOISE = re.compile(
    rb"(?:pg_restore:| )*(?:connecting to|creating|processing|executing|entering|launching|skipping|finished|implied|"
    rb"setting owner|restoring|restored|disabling|enabling|dropping|NOTICE: |WARNING: ) "
)
_MORE = re.compile(rb"(?:DETAIL|HINT|CONTEXT): ")


class Unfolding:
    """Hears what ``pg_restore --verbose`` says; calls ``ripe`` once, when the dump is restored but for its end."""

    def __init__(self, listing: str, ripe: Callable[[], object]) -> None:
        """Read a table of contents, as ``pg_restore --list`` writes it.  Raise OSError."""
        self._ripe = ripe
        self._noisy = False
        with open(listing, encoding="utf-8", errors="surrogateescape") as file:
            found = filter(None, map(_LISTED.match, file))
            self._open = {int(item[1]) for item in found if not item[2].startswith(_LATE)}

    def heed(self, line: bytes) -> bool:
        """Take a line; return whether it is worth keeping."""
        done = _DONE.search(line)
        if done and self._open:
            self._open.discard(int(done[1]))
            if not self._open:
                self._ripe()
        self._noisy = bool(_NOISE.match(line) or (self._noisy and _MORE.match(line)))
        return not self._noisy
