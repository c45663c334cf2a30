"""Building what several processes want at once, once."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from testbed.errors import TestbedUnavailable


def once(lock: Path, is_built: Callable[[], bool], build: Callable[[], None]) -> None:
    """Build what is not there yet; who comes meanwhile waits for that.

    Raises what `build` raises. Why it was not possible is told to those who waited, too, who would otherwise try for
    as long again, one after the other.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    came = time.time_ns()
    with lock.open("a+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        if is_built():
            return
        stream.seek(0)
        reason = stream.read()
        if reason and os.fstat(stream.fileno()).st_mtime_ns > came:
            raise TestbedUnavailable(reason)
        stream.truncate(0)
        try:
            build()
        except TestbedUnavailable as unavailable:
            stream.write(str(unavailable))
            stream.flush()
            now = time.time_ns()
            os.utime(stream.fileno(), ns=(now, now))  # the file system's own clock is some milliseconds behind
            raise
