"""One part of a dump on its way into a database: unpacked, changed where that is asked for, and run by a client.

A dump writes each row's line breaks as escapes, so a line that begins like a statement is one, and a statement that
brings rows ends with the first line that ends with a semicolon behind a bracket.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import BinaryIO

from ... import processes
from .. import backups
from ..link import Tick
from . import client
from .streams import Change, Unpacked

_HINT = "the new database was dropped again; mend the cause and start again"
_INSERT = re.compile(rb"INSERT INTO `((?:[^`]|``)*)` ")
_ENDS = (b");\n", b");\r\n")


class Loading:
    """One part on its way into the database: an unpacker, and a client that stops at the first error."""

    def __init__(
        self, argv: Sequence[str], way: client.Login, unpack: Sequence[str], changes: Sequence[Change], skips: bool
    ) -> None:
        """Start both; ``skips`` says that the client does not know the first line.  Raise OSError."""
        self._names = [os.path.basename(each[0]) for each in (argv, unpack)]
        self._began = time.monotonic()
        self._unpacked = Unpacked(unpack)
        try:
            if skips:
                self._unpacked.skip_line()
            for change in changes:
                self._unpacked.through(change)
            self._client = processes.Process(
                argv, {}, secrets=way.secrets, held=[way.descriptor], source=self._unpacked.reading
            )
        except BaseException:
            self._unpacked.__exit__(None, None, None)
            raise
        self._unpacked.release()

    def is_done(self) -> bool:
        """Return whether both have ended well.  Raise WindlassError when one did not."""
        if not self._client.has_ended():
            return False
        finished = _without_rows(self._client.wait())
        if finished.code == 0 or not self._unpacked.has_failed():
            backups.require_success(finished, self._names[0], "restore_failed", _HINT)
        backups.require_success(self._unpacked.wait(), self._names[1], "restore_failed", _HINT)
        return True

    def pause(self, tick: Tick) -> None:
        """Wait for a moment."""
        tick(time.monotonic() - self._began)
        self._client.pause()

    def end(self) -> None:
        """End both."""
        self._client.end()
        self._unpacked.__exit__(None, None, None)


def with_words(words: Mapping[bytes, bytes]) -> Change:
    """Return a change that exchanges words in the lines that define a column."""

    def change(given: BinaryIO, taken: BinaryIO) -> None:
        for line in given:
            taken.write(_exchanged(line, words) if line.startswith(b"  `") else line)

    return change


def only_rows_of(tables: Collection[str]) -> Change:
    """Return a change that leaves out the rows of all other tables."""
    wanted = {table.replace("`", "``").encode() for table in tables}

    def change(given: BinaryIO, taken: BinaryIO) -> None:
        is_left_out = False
        for line in given:
            if not is_left_out and line.startswith(b"INSERT INTO "):
                found = _INSERT.match(line)
                is_left_out = found is not None and found[1] not in wanted
            if is_left_out:
                is_left_out = not line.endswith(_ENDS)
            else:
                taken.write(line)

    return change


def _exchanged(line: bytes, words: Mapping[bytes, bytes]) -> bytes:
    for old, new in words.items():
        line = line.replace(old, new)
    return line


def _without_rows(finished: processes.Finished) -> processes.Finished:
    """Return an end without the statement that failed, which the client repeats with all its rows."""
    said = [line for line in finished.errors.splitlines() if line.startswith("ERROR ")]
    return replace(finished, errors="\n".join(said)) if said else finished
