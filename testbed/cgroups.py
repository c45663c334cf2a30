"""A control group per host.

systemd in a host manages the group that it is started in. Two hosts in one group would end each other's
services, so each gets a group of its own; and as nothing leaves it, it is also the list of what to kill.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from testbed.errors import TestbedUnavailable
from testbed.waiting import wait_until

_TOP = "windlass-testbed"


def hierarchies() -> list[Path]:
    """Return where the cgroup hierarchies that systemd manages are mounted (v2, v1 or both).

    Raises TestbedUnavailable when there is none.
    """
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _device, folder, kind, options = line.split()[:4]
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.append(Path(folder))
    if not found:
        raise TestbedUnavailable("no cgroup hierarchy is mounted that systemd could use")
    return found


def create(name: str) -> list[Path]:
    """Create the group `name` (a relative path) and return the files that take a process into it."""
    folders = [top / _TOP / name for top in hierarchies()]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    return [folder / "cgroup.procs" for folder in folders]


def processes(name: str) -> set[int]:
    """Return the ids of all processes in the group `name` and below."""
    found: set[int] = set()
    for top in hierarchies():
        for folder in _below(top / _TOP / name):
            with suppress(OSError):  # the group went away meanwhile
                found.update(int(pid) for pid in (folder / "cgroup.procs").read_text().split())
    return found - {0, os.getpid()}  # 0 is a process of another namespace


def kill(name: str) -> None:
    """Kill everything in the group `name`, wait until it is gone, and remove the group."""

    def empty() -> bool:
        living = processes(name)
        for pid in living:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not living

    wait_until(empty, what=f"the processes of {name} to end")
    for top in hierarchies():
        # Groups are removed from the leaves up; the kernel may need a moment after the last process.
        wait_until(lambda folder=top / _TOP / name: _remove(folder), what=f"{top}/{name} to go")  # type: ignore[misc]


def _remove(folder: Path) -> bool:
    for child in reversed(_below(folder)):
        with suppress(OSError):
            child.rmdir()
    return not folder.exists()


def _below(folder: Path) -> list[Path]:
    """Return `folder` and all below it, parents first; unlike a glob, a walk bears folders that vanish."""
    return [Path(path) for path, _folders, _files in os.walk(folder)]
