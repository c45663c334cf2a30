"""A set of target hosts on a network of their own, and what one needs to reach them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from testbed import image, network, requirements, slot, ssh
from testbed.host import Host


class Testbed:
    """`hosts` target hosts named db1, db2, …: `bed["db1"]`, or by iteration.

    The hosts live as long as the block (`with Testbed(hosts=3) as bed`) or until close(). With `standing`
    they outlive the process; there is one standing testbed a machine, and starting one replaces it.
    `folder` holds the SSH key (`key`), the `known_hosts` and an `ssh_config` that knows the hosts by name.
    """

    __test__ = False  # not a test class, whatever its name looks like to pytest

    def __init__(self, hosts: int = 3, *, without_driver: Sequence[str] = (), standing: bool = False) -> None:
        requirements.check()
        self._image = image.get()
        slot.sweep_abandoned()
        self._slot = slot.hold_standing_slot() if standing else slot.hold_free_slot()
        self.folder = self._slot.folder
        self.hosts = {name: self._host(name, number) for number, name in _names(hosts)}
        try:
            self._slot.sweep()
            self._start(without_driver)
        except BaseException:
            self.close()
            raise
        if standing:
            self._slot.release()

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def __iter__(self) -> Iterator[Host]:
        return iter(self.hosts.values())

    def __len__(self) -> int:
        return len(self.hosts)

    def __enter__(self) -> Testbed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def key(self) -> Path:
        """The private key that opens deploy's and root's account on every host."""
        return self.folder / "key"

    @property
    def known_hosts(self) -> Path:
        """The hosts' real keys."""
        return self.folder / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        """A client's configuration: `ssh -F <this> db1`."""
        return self.folder / "ssh_config"

    @property
    def password(self) -> str:
        """The password of windlass_deploy on every host's PostgreSQL."""
        return self._image.password

    def close(self) -> None:
        """End the hosts and leave nothing behind."""
        for host in self:
            host.kill()
        self._slot.sweep()
        self._slot.release()

    def heal(self) -> None:
        """Boot the hosts that are down and connect those that are cut off."""
        for host in self:
            if host.running:
                host.mend()
            else:
                host.boot()

    def inventory(
        self,
        folder: Path | None = None,
        *,
        hosts: Sequence[str] | None = None,
        group: str = "databases",
        variables: Mapping[str, Any] | None = None,
        host_variables: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Path:
        """Write an Ansible inventory of all hosts (or those named) and return its folder.

        The hosts are in `group`, which gets `variables`; `host_variables` adds some to single hosts.
        """
        folder = folder or self.folder / "inventory"
        folder.mkdir(parents=True, exist_ok=True)
        extra = host_variables or {}
        listed = {name: {"ansible_host": self[name].address, **extra.get(name, {})} for name in hosts or self.hosts}
        content = {group: {"hosts": listed, "vars": {**self._connection(), **(variables or {})}}}
        path = folder / "hosts.yml"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
        return folder

    def _connection(self) -> dict[str, str]:
        checked = f"-o UserKnownHostsFile={self.known_hosts} -o GlobalKnownHostsFile=/dev/null"
        return {
            "ansible_user": "deploy",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": f"{checked} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes",
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    def _host(self, name: str, number: int) -> Host:
        return Host(slot=self._slot.number, folder=self.folder, name=name, number=number, image=self._image)

    def _start(self, without_driver: Sequence[str]) -> None:
        self.folder.mkdir(mode=0o700, parents=True)
        network.create_bridge(self._slot.number)
        addresses = {host.name: host.address for host in self}
        deploy_key = ssh.new_key(self.key, "deploy")
        ssh.write_configuration(self.ssh_config, addresses, key=self.key, known_hosts=self.known_hosts)
        with ThreadPoolExecutor(len(self)) as pool:
            list(pool.map(lambda host: host.prepare(deploy_key, addresses), self))
            keys = {(host.name, host.address): host.public_key for host in self}
            ssh.write_known_hosts(self.known_hosts, keys)
            list(pool.map(Host.boot, self))
            list(pool.map(lambda name: self[name].remove_driver(), without_driver))
        self.inventory()
        (self.folder / "testbed.json").write_text(json.dumps(addresses))


def standing() -> tuple[Path, dict[str, str]] | None:
    """Return the folder of the standing testbed and its hosts' addresses by name, or None."""
    folder = slot.Slot(slot.STANDING).folder
    try:
        return folder, json.loads((folder / "testbed.json").read_text())
    except FileNotFoundError:
        return None


def end_standing() -> None:
    """End the standing testbed, if there is one."""
    place = slot.hold_standing_slot()
    try:
        place.sweep()
    finally:
        place.release()


def _names(count: int) -> list[tuple[int, str]]:
    return [(number, f"db{number}") for number in range(1, count + 1)]
