"""The bridge that hosts hang on: a network of its own, with no route to anywhere else."""

from __future__ import annotations

import json
import os

from testbed import shell
from testbed.waiting import wait_until

_PREFIX = os.environ.get("WINDLASS_TESTBED_NETWORK", "10.203")  # two numbers of an IPv4 network nobody uses


def address(slot: int, number: int) -> str:
    """Return the address of member `number` of the network of `slot`; this machine itself is number 1."""
    return f"{_PREFIX}.{slot}.{number}"


def bridge(slot: int) -> str:
    """Return the name of the bridge of `slot`."""
    return f"wltb{slot}"


def cable(machine: str) -> str:
    """Return the name that systemd-nspawn gives to this machine's end of a host's cable."""
    return f"vb-{machine}"


def taken(slot: int) -> bool:
    """Tell whether some other interface than our own bridge has an address in the network of `slot`."""
    listed = json.loads(shell.run("ip", "-json", "-4", "address").stdout or "[]")
    return any(
        one["local"].startswith(f"{_PREFIX}.{slot}.")
        for interface in listed
        if interface.get("ifname") != bridge(slot)
        for one in interface.get("addr_info", [])
    )


def create_bridge(slot: int) -> None:
    """Create the bridge of `slot` with this machine's address on it."""
    name = bridge(slot)
    shell.run("ip", "link", "add", name, "type", "bridge")
    shell.run("ip", "address", "add", f"{address(slot, 1)}/24", "dev", name)
    shell.run("ip", "link", "set", name, "up")


def exists(interface: str) -> bool:
    """Tell whether there is an interface of that name."""
    return shell.run("ip", "link", "show", interface, check=False).returncode == 0


def remove(interface: str) -> None:
    """Remove an interface if it is there.

    The kernel takes an ended host's cable away by itself, but only when it gets round to it.
    """
    wait_until(lambda: not exists(interface) or _delete(interface), what=f"{interface} to go")


def pull(interface: str) -> None:
    """Pull a cable: packets vanish. The host is set up to keep its address, so its connections only hang."""
    shell.run("ip", "link", "set", interface, "down")


def plug(interface: str) -> None:
    """Plug a cable in again."""
    shell.run("ip", "link", "set", interface, "up")


def members(slot: int) -> list[str]:
    """Return the names of the cables of the hosts of `slot` that are there, in the bridge or out of it."""
    listed = json.loads(shell.run("ip", "-json", "link").stdout or "[]")
    names = [str(interface["ifname"]) for interface in listed]
    return [name for name in names if name.startswith(cable(f"wl{slot}-"))]


def hang_up(slot: int) -> None:
    """Break this machine's own connections to the network of `slot`.

    An SSH connection that Ansible keeps for later would otherwise outlive the hosts, and send to an address
    that leads elsewhere once the bridge is gone.
    """
    shell.run("ss", "--kill", "--tcp", "dst", f"{address(slot, 0)}/24", check=False)


def _delete(interface: str) -> bool:
    return shell.run("ip", "link", "delete", interface, check=False).returncode == 0
