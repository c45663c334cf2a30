"""Keys, known hosts and the client's configuration: everything that `ssh -F` and Ansible need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from testbed import shell

_CONFIGURATION = """\
Host *
  IdentityFile {key}
  IdentitiesOnly yes
  UserKnownHostsFile {known_hosts}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
  ConnectTimeout 30
  LogLevel ERROR
"""


def new_key(path: Path, comment: str) -> str:
    """Write a new Ed25519 key to `path` (and `path`.pub) and return its public half."""
    path.unlink(missing_ok=True)
    shell.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))
    return path.with_name(path.name + ".pub").read_text().strip()


def write_known_hosts(path: Path, keys: Mapping[tuple[str, str], str]) -> None:
    """Write the hosts' keys, given by (name, address), to `path`."""
    lines = [f"{name},{address} {_type_and_key(key)}" for (name, address), key in keys.items()]
    path.write_text("".join(f"{line}\n" for line in lines))


def write_configuration(path: Path, addresses: Mapping[str, str], *, key: Path, known_hosts: Path) -> None:
    """Write a client's configuration to `path` that knows the hosts by name."""
    named = [f"Host {name}\n  HostName {address}\n  User deploy\n" for name, address in addresses.items()]
    path.write_text("".join(named) + _CONFIGURATION.format(key=key, known_hosts=known_hosts))


def _type_and_key(public: str) -> str:
    return " ".join(public.split()[:2])
