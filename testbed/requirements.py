"""What a machine must have to run a testbed."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from testbed import cgroups, image
from testbed.errors import TestbedUnavailable

_PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "mount": "mount",
    "nsenter": "util-linux",
}
_BUILDERS = {"debootstrap": "debootstrap", "apt-get": "apt"}


def check() -> None:
    """Check that hosts can be booted here.

    Raises TestbedUnavailable with the reason, and what to install, when they cannot.
    """
    if platform.system() != "Linux":
        raise TestbedUnavailable("target hosts need Linux")
    if os.geteuid() != 0:
        raise TestbedUnavailable("target hosts need root")
    needed = _PROGRAMS if image.ready() else _PROGRAMS | _BUILDERS
    missing = [package for program, package in needed.items() if shutil.which(program) is None]
    if missing:
        raise TestbedUnavailable(f"missing: apt-get install {' '.join(sorted(set(missing)))}")
    if "\toverlay\n" not in Path("/proc/filesystems").read_text():
        raise TestbedUnavailable("the kernel has no overlay file system")
    cgroups.hierarchies()
