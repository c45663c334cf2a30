"""A numbered place for one testbed on this machine: its folder, its network, and its lock.

A testbed holds its slot's lock while it lives. State in a slot that nobody holds was left by a run that
died, and the next testbed clears it away. Slot 0 is for hosts that stay up without a process to hold them.
"""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path
from typing import IO

from testbed import cgroups, network, shell
from testbed.errors import TestbedError
from testbed.waiting import wait_until

STANDING = 0
_LAST = 40
_STATE = Path("/var/lib/windlass-testbed")


class Slot:
    """Slot `number`; `folder` holds the state of its testbed, readable by root alone."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.folder = _STATE / str(number)
        self._lock: IO[str] | None = None

    def hold(self) -> bool:
        """Take the slot's lock; tell whether that was possible."""
        _STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (_STATE / f"{self.number}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def sweep(self) -> None:
        """Take away every process, mount, interface and file of the slot's testbed."""
        cgroups.kill(str(self.number))
        for mount in _mounts_below(self.folder):
            wait_until(lambda mount=mount: _unmount(mount), what=f"{mount} to be free")  # type: ignore[misc]
        network.hang_up(self.number)
        for interface in [*network.members(self.number), network.bridge(self.number)]:
            network.remove(interface)
        shutil.rmtree(self.folder, ignore_errors=True)


def sweep_abandoned() -> None:
    """Clear every slot whose testbed has died (but for the standing one)."""
    for folder in _STATE.glob("*/"):
        slot = Slot(int(folder.name))
        if slot.number != STANDING and slot.hold():
            try:
                slot.sweep()
            finally:
                slot.release()


def hold_free_slot() -> Slot:
    """Return a slot that nobody else uses, held.

    Raises TestbedError when there is none.
    """
    for number in range(STANDING + 1, _LAST + 1):
        slot = Slot(number)
        if slot.hold():
            if not network.taken(number):
                return slot
            slot.release()
    raise TestbedError("every testbed slot is in use")


def hold_standing_slot() -> Slot:
    """Return the slot of the standing testbed, held.

    Raises TestbedError when another process is busy with it or its network is in use.
    """
    slot = Slot(STANDING)
    if not slot.hold():
        raise TestbedError("another process is starting or ending the standing testbed")
    if network.taken(STANDING):
        raise TestbedError("the network is in use: set WINDLASS_TESTBED_NETWORK to another one, such as 10.77")
    return slot


def _mounts_below(folder: Path) -> list[str]:
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [mount for mount in reversed(mounts) if Path(mount).is_relative_to(folder)]


def _unmount(mount: str) -> bool:
    return shell.run("umount", mount, check=False).returncode == 0
