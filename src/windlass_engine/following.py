"""Reading files while another process writes them: each byte once, hashed and looked into in passing.

What is read so is known to be whole a moment after its writer has ended, however large it is.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Callable, Optional, Protocol

from .model import Wire

_CHUNK = 1 << 18
#: How long files may grow until somebody looks again.  A folder that takes long to list is left alone for longer.
_PAUSE_S = 0.03
_REST = 4.0
#: Whoever writes goes first: what is not read meanwhile is read at the end.
_NICE = 10
_ASKED_AT_MOST = 5
#: So much is brought to the disk at a time while there is more to come, so that little is left for the end.
_SYNCED_BYTES = 16 << 20


class Damaged(Exception):
    """A file's content is not whole; the text says which, and why."""


class Look(Protocol):
    """What sees the content of one file."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes.  Raise ValueError when they cannot be right."""

    def close(self) -> None:
        """Take the end.  Raise ValueError when something is missing before it."""


class Following:
    """Follows growing files below a folder with threads of its own; leaving the ``with`` block ends them.

    ``look`` gives for a path (relative to the folder) what is to see its content, or None for a file that is read only
    when all is written.  Files that are followed may grow at their end and nowhere else.
    """

    def __init__(self, folder: str, look: Callable[[str], Optional[Look]], threads: int = 2) -> None:
        """Begin."""
        self._folder = folder
        self._look = look
        self._files: dict[str, _File] = {}
        self._ended = threading.Event()
        self._threads = max(threads, 1)
        self._pool = ThreadPoolExecutor(self._threads, initializer=_stand_back)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        _weigh_session(_NICE)
        self._watcher.start()

    def __enter__(self) -> Following:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the threads."""
        self._end_watch()
        self._pool.shutdown()

    @property
    def bytes(self) -> int:
        """Return how many bytes were written so far, as far as is known."""
        return sum(file.size for file in list(self._files.values()))

    def finish(self) -> Wire:
        """Read what is left when everything is written; return ``{path: {"bytes": n, "sha256": hex}}``.

        Raises Damaged for the first file that is not whole, OSError.
        """
        self._end_watch()
        files = {path: self._file(path) for path in sorted(_paths(self._folder))}
        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(_File.finish, files.values()))
        return {path: file.described() for path, file in files.items()}

    def _watch(self) -> None:
        """Read what there is, again and again."""
        pause = _PAUSE_S
        while not self._ended.wait(pause):
            began = time.monotonic()
            # What cannot be read now is tried again at the end, where a failure is told.
            with suppress(OSError):
                known = [self._file(path) for path in _paths(self._folder)]
                pause = max(_PAUSE_S, min((time.monotonic() - began) * _REST, 1.0))
                list(self._pool.map(lambda file: file.read_on(self._ended), [each for each in known if each.look]))

    def _file(self, path: str) -> _File:
        """Return what is known of a file."""
        if path not in self._files:
            self._files[path] = _File(path, os.path.join(self._folder, path), self._look(path))
        return self._files[path]

    def _end_watch(self) -> None:
        """Wait until nobody reads in the background."""
        if not self._ended.is_set():
            _weigh_session(0)
        self._ended.set()
        self._watcher.join()


class _File:
    """One file: how far it was read, and what came of it."""

    def __init__(self, name: str, path: str, look: Optional[Look]) -> None:
        """Begin at its first byte."""
        self.look = look
        self.size = 0
        self._name = name
        self._path = path
        self._synced = 0
        self._digest = hashlib.sha256()
        self._wrong = ""

    def read_on(self, ended: Optional[threading.Event] = None) -> None:
        """Read what is new, until ``ended``.  Raise OSError."""
        if os.stat(self._path).st_size == self.size:
            return
        with open(self._path, "rb", buffering=0) as file:
            file.seek(self.size)
            while not (ended and ended.is_set()):
                data = file.read(_CHUNK)
                if not data:
                    return
                self._take(data)
                if self.size - self._synced >= _SYNCED_BYTES:
                    os.fsync(file.fileno())
                    self._synced = self.size

    def finish(self) -> None:
        """Read the rest.  Raise Damaged, OSError."""
        self.read_on()
        if os.stat(self._path).st_size != self.size:
            self._wrong = self._wrong or "became shorter while it was written"
        elif self.look and not self._wrong:
            self._shown(self.look.close)
        if self._wrong:
            raise Damaged(f"{self._name} {self._wrong}")

    def described(self) -> Wire:
        """Return its length and sum."""
        return {"bytes": self.size, "sha256": self._digest.hexdigest()}

    def _take(self, data: bytes) -> None:
        """Hash the next bytes and show them."""
        self._digest.update(data)
        self.size += len(data)
        look = self.look
        if look and not self._wrong:
            self._shown(lambda: look.feed(data))

    def _shown(self, show: Callable[[], None]) -> None:
        """Keep what is found to be wrong until somebody can be told."""
        try:
            show()
        except ValueError as error:
            self._wrong = str(error)


def _stand_back() -> None:
    """Let this thread run behind others: on Linux each has a priority of its own."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + _NICE)


def _weigh_session(nice: int) -> None:
    """Give a session that holds only this process its place among others.

    Where the kernel shares out processors by session (a Linux host without groups for that), a thread's priority counts
    within its own session only, and the writers are in another one.
    """
    if not _is_alone():
        return
    for _ in range(_ASKED_AT_MOST):
        try:
            with open("/proc/self/autogroup", "w", encoding="ascii") as file:
                file.write(str(nice))
            return
        except BlockingIOError:  # the kernel lets it be changed ten times a second, on the whole host
            time.sleep(_PAUSE_S)
        except OSError:
            return


def _is_alone() -> bool:
    """Return whether this process leads its session, or is what a leader that has gone left behind."""
    leader = os.getsid(0)
    if leader == os.getpid():
        return True
    try:
        os.kill(leader, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


def _paths(folder: str) -> list[str]:
    """Return the files below a folder, as relative paths."""
    return [
        os.path.relpath(os.path.join(parent, name), folder) for parent, _, names in os.walk(folder) for name in names
    ]
