"""One host as a container: starting it, finding its first process, ending it."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

from testbed import cgroups, shell
from testbed.errors import TestbedError

# This machine's own service manager, if it has one, is not asked: the hosts are ours alone.
_NSPAWN = ("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--settings=no",
           "--resolv-conf=off", "--timezone=off", "--link-journal=no")  # fmt: skip

# Takes the shell itself into the groups named before "--", then becomes the program named after it.
_ENTER = 'while [ "$1" != -- ]; do echo $$ > "$1"; shift; done; shift; exec "$@"'


def run_once(root: Path, script: str) -> None:
    """Run a shell script as root inside the system at `root`, which is not booted and has no network.

    Raises TestbedError when the script fails.
    """
    group = f"setup-{root.parent.name}"
    try:
        command = [*_NSPAWN, "--private-network", "--as-pid2", "--pipe", f"--directory={root}"]
        shell.run(*_inside(group, [*command, "/bin/sh", "-s"]), text=script, timeout=600)
    finally:
        cgroups.kill(group)


def boot(root: Path, *, group: str, name: str, hostname: str, bridge: str, console: Path) -> subprocess.Popen[bytes]:
    """Start the system at `root` as machine `name` with a cable into `bridge`; do not wait for it."""
    command = [*_NSPAWN, "--boot", "--console=passive", f"--directory={root}", f"--machine={name}",
               f"--hostname={hostname}", f"--network-bridge={bridge}"]  # fmt: skip
    with console.open("ab") as output:
        return subprocess.Popen(
            _inside(group, command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def leader(group: str) -> int:
    """Return the process that is process 1 inside the host of `group`.

    Raises TestbedError when the host is not running.
    """
    for pid in cgroups.processes(group):
        with suppress(OSError, StopIteration):
            status = Path(f"/proc/{pid}/status").read_text().splitlines()
            numbers = next(line for line in status if line.startswith("NSpid:")).split()[1:]
            if len(numbers) > 1 and numbers[-1] == "1":
                return pid
    raise TestbedError(f"the host {group} is not running")


def _inside(group: str, command: list[str]) -> list[str]:
    return ["/bin/sh", "-c", _ENTER, "sh", *map(str, cgroups.create(group)), "--", *command]
