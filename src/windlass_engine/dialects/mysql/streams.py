"""Programs joined by pipes, where the end of each of them counts."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from re import Pattern
from types import TracebackType
from typing import BinaryIO, Callable, Optional

from ... import processes
from ...errors import WindlassError
from .. import backups
from ..link import Tick

_BUSY = "nothing was kept; look for what keeps tables locked (SHOW PROCESSLIST), and start again"
_HINT = "nothing was kept; mend the cause and start again"
#: A dump program has begun its snapshot when it has written more than its heading.  It writes 4 kB at a time.
_BEGUN_BYTES = 2048
_POLL_S = 0.005
#: Others' commits are held up while a dump program begins: for so long at most.
_BEGINNING_S = 15.0
#: A program whose pipe is closed has ended after so long, or hangs.
_LINGERING_S = 5.0
_CHUNK = 1 << 20
_KEPT = 4096
#: Linux's F_SETPIPE_SZ, which Python names from 3.10 on.
_SET_PIPE_SIZE = 1031
#: Copies a stream to another, and changes it.
Change = Callable[[BinaryIO, BinaryIO], None]


class Part:
    """One dump program, and the packer that writes what it says into a file."""

    def __init__(
        self, name: str, packer: str, argv: Sequence[str], path: str, secrets: Sequence[str], held: Sequence[int],
        folder: str,
    ) -> None:  # fmt: skip
        """Start the dump program; it waits when the pipe is full, until :meth:`pack`."""
        self.name = name
        self.packer = packer
        self.path = path
        self.folder = folder
        self._packing: Optional[processes.Process] = None
        self._reading, writing = _pipe()
        try:
            self._dumping = processes.Process(argv, {}, secrets=secrets, held=held, output=writing)
        except BaseException:
            os.close(self._reading)
            raise
        finally:
            os.close(writing)

    def await_beginning(self) -> None:
        """Wait until the dump program reads or has ended.  Raise WindlassError when it does neither, or ended badly."""
        deadline = time.monotonic() + _BEGINNING_S
        while self._waiting_bytes() < _BEGUN_BYTES and not self._dumping.has_ended():
            if time.monotonic() > deadline:
                raise WindlassError(
                    "backup_failed", f"{self.name} did not begin within {_BEGINNING_S:.0f} s", hint=_BUSY
                )
            time.sleep(_POLL_S)
        self.check()

    def pack(self, argv: Sequence[str], held: Sequence[int]) -> None:
        """Start the packer.  Raise OSError."""
        with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            self._packing = processes.Process(argv, {}, held=held, output=file, source=self._reading)
        self._close()

    def check(self) -> None:
        """Raise WindlassError, OSError when a program ended badly."""
        # A dead packer kills the dump program, and may be seen dead after it: it is looked at first.
        if self._packing and self._dumping.has_ended() and self._dumping.wait().code != 0:
            _await(self._packing)
        for process, name in ((self._packing, self.packer), (self._dumping, self.name)):
            if process and process.has_ended():
                backups.require_success(process.wait(), name, "backup_failed", _HINT, self.folder)

    def finish(self, tick: Tick) -> None:
        """Wait for both to end well."""
        while not self._dumping.has_ended():
            self.check()
            self._pause(self._dumping, tick)
        while self._packing and not self._packing.has_ended():
            self._pause(self._packing, tick)
        self.check()

    def end(self) -> None:
        """End both."""
        self._close()
        for process in (self._dumping, self._packing):
            if process:
                process.end()

    def _pause(self, process: processes.Process, tick: Tick) -> None:
        tick(0)
        process.pause()

    def _waiting_bytes(self) -> int:
        """Return what lies in the pipe."""
        return int(struct.unpack("i", fcntl.ioctl(self._reading, termios.FIONREAD, b"\0\0\0\0"))[0])

    def _close(self) -> None:
        if self._reading >= 0:
            os.close(self._reading)
            self._reading = -1


class Unpacking:
    """Unpacks a packed dump while it is written, and looks at its first and last bytes (a look of ``following``)."""

    def __init__(self, argv: Sequence[str], ending: Pattern[bytes], held: Sequence[int]) -> None:
        """Start the unpacker; ``ending`` is what a whole dump ends with.  Raise OSError."""
        self.head = b""
        self._tail = b""
        self._ending = ending
        source, self._sink = _pipe()
        self._reading, writing = _pipe()
        try:
            self._process = processes.Process(argv, {}, held=held, source=source, output=writing)
        finally:
            os.close(source)
            os.close(writing)
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def feed(self, data: bytes) -> None:
        """Take the next packed bytes.  Raise ValueError when they are none."""
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._sink, left) :]
        except BrokenPipeError:
            raise ValueError(f"cannot be unpacked: it {self._process.wait().how}") from None

    def close(self) -> None:
        """Take the end.  Raise ValueError when it is not that of a whole dump."""
        self._shut()
        finished = self._process.wait()
        self._thread.join()
        if finished.code != 0:
            raise ValueError(f"cannot be unpacked: it {finished.how}")
        if not self._ending.search(self._tail):
            raise ValueError("has no end: the dump was cut")

    def end(self) -> None:
        """End the unpacker."""
        self._shut()
        self._process.end()

    def _shut(self) -> None:
        if self._sink >= 0:
            os.close(self._sink)
            self._sink = -1

    def _drain(self) -> None:
        """Keep the first and the last bytes."""
        with os.fdopen(self._reading, "rb", buffering=0) as stream:
            for chunk in iter(lambda: stream.read(_CHUNK), b""):
                self.head += chunk[: max(0, _KEPT - len(self.head))]
                self._tail = (self._tail + chunk)[-_KEPT:]


class Unpacked:
    """The content of a packed file, as its unpacker gives it."""

    def __init__(self, argv: Sequence[str], held: Sequence[int] = ()) -> None:
        """Start the unpacker."""
        self.reading, writing = _pipe()
        try:
            self._process = processes.Process(argv, {}, held=held, output=writing)
        except BaseException:
            os.close(self.reading)
            raise
        finally:
            os.close(writing)

    def __enter__(self) -> Unpacked:
        """Return itself."""
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        """End the unpacker."""
        self.release()
        self._process.end()

    def release(self) -> None:
        """Close our end of the pipe: whoever else has it reads alone."""
        if self.reading >= 0:
            os.close(self.reading)
            self.reading = -1

    def through(self, change: Change) -> None:
        """Let the content go through a change on its way."""
        reading, writing = _pipe()
        source, self.reading = self.reading, -1
        threading.Thread(target=_changing, args=(change, source, writing), daemon=True).start()
        self.reading = reading

    def skip_line(self) -> None:
        """Read the first line, and no byte more."""
        with suppress(OSError):
            while os.read(self.reading, 1) not in (b"\n", b""):
                continue

    def has_failed(self) -> bool:
        """Return, when its reader has ended, whether the unpacker ended badly by itself and not of that."""
        _await(self._process)
        return self._process.has_ended() and self._process.wait().code not in (0, -signal.SIGPIPE)

    def wait(self) -> processes.Finished:
        """Wait for the unpacker's end."""
        return self._process.wait()


def _await(process: processes.Process) -> None:
    """Wait for a process whose neighbour in the pipe has ended, unless it hangs."""
    deadline = time.monotonic() + _LINGERING_S
    while not process.has_ended() and time.monotonic() < deadline:
        process.pause()


def _pipe() -> tuple[int, int]:
    """Return a pipe that holds much where the system allows it: reader and writer wait for each other less."""
    reading, writing = os.pipe()
    with suppress(OSError):
        fcntl.fcntl(writing, _SET_PIPE_SIZE, _CHUNK)
    return reading, writing


def _changing(change: Change, source: int, sink: int) -> None:
    with suppress(BrokenPipeError), os.fdopen(source, "rb") as given, os.fdopen(sink, "wb") as taken:
        change(given, taken)
