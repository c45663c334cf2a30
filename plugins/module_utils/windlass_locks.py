# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A lock that says who holds it: a file that a process has locked as long as it lives, and has written itself into."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from contextlib import suppress
from typing import Any, Optional

#: How often a lock is read that is being written at this moment, and how long one waits in between (seconds).
HOLDER_LOOKS, HOLDER_PAUSE_S = 10, 0.002
#: So long a scheduled job that was asked to end may take to end what it had started (seconds).
WAY_S = 20.0
#: So long one that has a lock may take to say who it is, and one that has ended to let go of it, on a busy disk.
PATIENCE_S = 20.0


def try_lock(path: str) -> Optional[int]:
    """Take a lock without waiting; return its file descriptor, or None when it is held."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def let_go(lock: Optional[int]) -> None:
    """Release a lock that was taken."""
    if lock is not None:
        os.close(lock)


def is_free(path: str) -> bool:
    """Return whether nobody holds a lock."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def holder_of(lock_path: str) -> Optional[dict[str, Any]]:
    """Return who last took a lock: run_id, kind, who, origin, since, digest, pid.  None where nobody has said it.

    The file is written in place, as its lock belongs to it: what is half-written is read again.
    """
    for _ in range(HOLDER_LOOKS):
        try:
            with open(lock_path, encoding="utf-8") as stream:
                info: dict[str, Any] = json.load(stream)
            return info
        except OSError:
            return None
        except ValueError:
            time.sleep(HOLDER_PAUSE_S)
    return None


def running(folder: str, lock: str = "run") -> Optional[dict[str, Any]]:
    """Return who holds a lock at this moment, or None.

    What the last one left in it is not taken for the word of one that has just got it and not written yet.
    """
    path = os.path.join(folder, f"{lock}.lock")
    until = time.monotonic() + PATIENCE_S
    while not is_free(path):
        info = holder_of(path)
        if (info and _lives(info)) or time.monotonic() >= until:
            return info
        time.sleep(0.01)
    return None


def _lives(info: dict[str, Any]) -> bool:
    """Return whether the process that wrote itself into a lock is there: a number alone may be another's by now."""
    born = info.get("born")
    return born is None or born == _born(info["pid"])


def _born(pid: int) -> Optional[int]:
    """Return when a process was started (the kernel's ticks since it booted), None where that cannot be told."""
    try:
        with open(f"/proc/{pid:d}/stat", "rb") as stream:
            return int(stream.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def identity(pid: int) -> dict[str, Any]:
    """Return what tells a process from a later one of its number."""
    return {"pid": pid, "born": _born(pid)}


def sign(lock: int, info: dict[str, Any]) -> None:
    """Write who holds a lock, in one piece over what stands there: a reader finds the old word or the new one."""
    data = json.dumps(info).encode()
    os.pwrite(lock, data.ljust(os.fstat(lock).st_size), 0)
    os.truncate(lock, len(data))


def make_way(folder: str, lock: str) -> Optional[dict[str, Any]]:
    """End the job that holds a lock if a timer started it: a person does not wait for it.  Return who it was, or None.

    One that cannot be ended, or takes too long to, is waited for as any other.
    """
    path = os.path.join(folder, f"{lock}.lock")
    deadline, asked = time.monotonic() + WAY_S, None
    while not is_free(path) and time.monotonic() < deadline:
        holder = holder_of(path)
        if holder and _lives(holder):
            if not holder.get("scheduled"):
                return asked
            if holder.get("gives_way") and holder != asked:
                asked = holder
                with suppress(OSError):  # it has just ended
                    _ask_to_end(holder)
        time.sleep(0.02)
    return asked


def _ask_to_end(holder: dict[str, Any]) -> None:
    """Send SIGTERM to the process that wrote itself into a lock, to no other of its number.  Raise OSError."""
    try:
        handle = os.pidfd_open(holder["pid"])
    except (AttributeError, OSError):  # an old kernel: the last look at it must do
        os.kill(holder["pid"], signal.SIGTERM)
        return
    try:
        if _lives(holder):  # looked at again now that the number cannot become another's
            signal.pidfd_send_signal(handle, signal.SIGTERM)
    finally:
        os.close(handle)
