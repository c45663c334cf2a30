"""What is in the data files of a dump: every byte decompressed, every row counted, while pg_dump writes them.

A table's file holds the text that COPY sent, a line a row, and ends with a line of its own that says so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Optional

from ...errors import WindlassError
from ...model import Wire
from . import unpacking

_DATA = re.compile(r"(blob_)?(\d+)\.dat(\.gz|\.zst)?")
#: What pg_dump writes behind the last row.
_END = b"\\.\n\n\n"
_ENTRY = re.compile(r"(\d+); 0 (\d+) TABLE DATA ")


def can(compression: str) -> bool:
    """Return whether dumps of a compression (``gzip:1``, ``zstd:1``) can be read here."""
    return not compression.startswith("zstd") or unpacking.has_zstd()


class Reading:
    """Gives a look into each data file of a dump, and tells afterwards how many rows each table had."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._tables: dict[str, Rows] = {}

    def look(self, path: str) -> Optional[Rows]:
        """Return what is to see a file (a path), or None where it holds no data."""
        name = os.path.basename(path)
        match = _DATA.fullmatch(name)
        if not match:
            return None
        if match.group(1):
            return Rows(name, ended=False)
        return self._tables.setdefault(match.group(2), Rows(name))

    def rows(self, listing: str, tables: Mapping[int, str]) -> Wire:
        """Return the rows of tables, whose names are given by their oid.

        ``listing`` is the file of pg_restore's list of what the dump holds.  Raises WindlassError (backup_failed) for a
        table that is not in it or has no file, OSError.
        """
        with open(listing, encoding="utf-8", errors="replace") as lines:
            files = {int(match.group(2)): match.group(1) for match in map(_ENTRY.match, lines) if match}
        lacking = sorted(name for oid, name in tables.items() if files.get(oid) not in self._tables)
        if lacking:
            raise WindlassError(
                "backup_failed", f"the dump holds no data of {', '.join(lacking[:5])}",
                hint="nothing was kept; does somebody change the schema at this moment?",
            )  # fmt: skip
        return {name: self._tables[files[oid]].count for oid, name in sorted(tables.items(), key=lambda item: item[1])}


class Rows:
    """Counts the rows in one file.  A large object's (not ``ended``) is only decompressed."""

    def __init__(self, name: str, ended: bool = True) -> None:
        """Begin."""
        self._unpacker = unpacking.unpacker(name)
        self._ended = ended
        self._lines = 0
        self._last = b""

    @property
    def count(self) -> int:
        """Return how many rows there were."""
        return self._lines - _END.count(b"\n")

    def feed(self, data: bytes) -> None:
        """Count on.  Raise ValueError."""
        for text in self._unpacker.unpack(data):
            self._lines += text.count(b"\n")
            self._last = (self._last + text[-len(_END) - 1 :])[-len(_END) - 1 :]

    def close(self) -> None:
        """Look for the end.  Raise ValueError."""
        self._unpacker.close()
        if self._ended and self._last not in (_END, b"\n" + _END):
            raise ValueError("ends before the end of its rows")
