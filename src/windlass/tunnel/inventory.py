"""Which host and database a tunnel leads to, read from the inventory by Ansible's own code.

Ansible is asked in this very process, so variables, templates, vaulted values, ansible.cfg and its
environment variables mean here what they mean in a play.  Passwords of databases are not read: psql asks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windlass_engine.errors import WindlassError

from ..environment import part_url
from . import ssh_options
from .endpoint import Endpoint
from .endpoint import of_url as endpoint_of

GROUP = "databases"


@dataclass(frozen=True)
class Destination:
    """A database and the way to it: ``ssh`` holds what follows the word ``ssh`` on a command line."""

    host: str
    database: str
    system: str
    endpoint: Endpoint
    ssh: tuple[str, ...]
    password: str


def find(root: Path, environment: str, host: str | None, database: str | None) -> Destination:
    """Return the one database that the words mean.

    Raises WindlassError: ``usage`` when none or several fit (it lists them), ``inventory_invalid``.
    """
    inventory = _Inventory(root, root / "inventories" / environment)
    choices = inventory.choices(host)
    fitting = [(name, entry) for name, entry in choices if database in (None, "", entry["name"])]
    if len(fitting) != 1:
        raise _not_one(
            environment, host, database, fitting or choices or inventory.choices(None), several=len(fitting) > 1
        )
    name, entry = fitting[0]
    url, _ = part_url(entry["url"], host=name, database=entry["name"])
    ssh, password = inventory.ssh(name, url)
    return Destination(name, entry["name"], entry["system"], endpoint_of(url), ssh, password)


class _Inventory:
    """An environment's inventory as Ansible sees it."""

    def __init__(self, root: Path, folder: Path) -> None:
        if not folder.exists():
            known = ", ".join(sorted(path.name for path in folder.parent.glob("*") if path.is_dir()))
            raise WindlassError(
                "usage",
                f"there is no environment {folder.name}",
                hint=f"name one of: {known or 'none is made yet'}",
            )
        if (root / "ansible.cfg").is_file():
            os.environ.setdefault("ANSIBLE_CONFIG", str(root / "ansible.cfg"))
        self._load(folder)

    def _load(self, folder: Path) -> None:
        from ansible import constants
        from ansible.cli import CLI
        from ansible.errors import AnsibleError
        from ansible.inventory.manager import InventoryManager
        from ansible.parsing.dataloader import DataLoader
        from ansible.parsing.vault import VaultSecretsContext
        from ansible.plugins.loader import init_plugin_loader
        from ansible.utils.collection_loader import AnsibleCollectionConfig
        from ansible.vars.manager import VariableManager

        if AnsibleCollectionConfig.collection_finder is None:
            init_plugin_loader()  # once in a process; without it lookups such as `env` are not found
        try:
            self._loader = DataLoader()
            identities = CLI.setup_vault_secrets(
                self._loader,
                constants.DEFAULT_VAULT_IDENTITY_LIST,
                auto_prompt=False,
                # Ansible takes the secrets for vaulted variables once in a process.
                initialize_context=VaultSecretsContext.current(optional=True) is None,
            )
            self._loader.set_vault_secrets(identities)
            self._inventory = InventoryManager(loader=self._loader, sources=[str(folder)])
            self._variables = VariableManager(loader=self._loader, inventory=self._inventory)
        except AnsibleError as error:
            raise _unreadable(error) from None

    def choices(self, host: str | None) -> list[tuple[str, dict[str, str]]]:
        """Return (host, database) for every database on the hosts that a pattern names."""
        return [(name, entry) for name in self.hosts(host) for entry in self.databases(name)]

    def hosts(self, wanted: str | None) -> list[str]:
        """Return the database hosts that a pattern names, all without one."""
        names = [host.name for host in self._inventory.get_hosts(GROUP)]
        if not wanted:
            return names
        chosen = {host.name for host in self._inventory.get_hosts(wanted)}
        return [name for name in names if name in chosen]

    def databases(self, host: str) -> list[dict[str, str]]:
        """Return name, system and url of a host's databases."""
        raw = self._value(host, "windlass_databases") or []
        if not isinstance(raw, Sequence) or isinstance(raw, str):
            raise WindlassError("inventory_invalid", "windlass_databases is not a list", where={"host": host})
        templar = self._templar(host)
        keys = ("name", "system", "url")
        return [{key: str(_templated(templar, entry.get(key, ""), host)) for key in keys} for entry in raw]

    def ssh(self, host: str, url: str) -> tuple[tuple[str, ...], str]:
        """Return the ssh arguments and the SSH password that Ansible would use for a host."""
        kind = str(self._value(host, "ansible_connection") or "ssh")
        if kind not in ("ssh", "smart", "ansible.builtin.ssh"):
            raise WindlassError(
                "tunnel_failed",
                f"host {host} is not reached over SSH but by the connection {kind}",
                hint=f"connect without a tunnel: psql '{url}'",
                where={"host": host},
            )
        plugin = self._connection(host)
        return ssh_options.arguments_of(plugin, host), str(plugin.get_option("password") or "")

    def _connection(self, host: str) -> Any:
        """Return the ssh connection plugin with its options set from every source, in Ansible's order."""
        from ansible.playbook.play_context import PlayContext
        from ansible.plugins.loader import connection_loader

        raw = self._raw(host)
        templar = self._templar(host)
        given = {key: _templated(templar, raw[key], host) for key in raw if key.startswith("ansible_")}
        plugin = connection_loader.get("ssh", PlayContext(), os.devnull)
        plugin.set_options(var_options={**given, "inventory_hostname": host})
        return plugin

    def _raw(self, host: str) -> Mapping[str, Any]:
        from ansible.errors import AnsibleError

        try:
            found: Mapping[str, Any] = self._variables.get_vars(host=self._inventory.get_host(host))
        except AnsibleError as error:
            raise _unreadable(error) from None
        return found

    def _value(self, host: str, key: str) -> Any:
        """Return one variable; a list's entries stay as they are: a password in them is not ours to read."""
        value = self._raw(host).get(key)
        return _templated(self._templar(host), value, host) if isinstance(value, str) else value

    def _templar(self, host: str) -> Any:
        from ansible.template import Templar

        return Templar(loader=self._loader, variables=dict(self._raw(host)))


def _templated(templar: Any, value: Any, host: str) -> Any:
    from ansible.errors import AnsibleError

    try:
        return templar.template(value)
    except AnsibleError as error:
        raise _unreadable(error, host) from None


def _not_one(
    environment: str,
    host: str | None,
    database: str | None,
    choices: Sequence[tuple[str, Mapping[str, str]]],
    *,
    several: bool,
) -> WindlassError:
    wanted = (
        " and ".join([f"host {host}"] * bool(host) + [f"database {database}"] * bool(database))
        or f"environment {environment}"
    )
    known = "; ".join(f"--host {name} --database {entry['name']}" for name, entry in choices)
    what = "means several databases" if several else "means no database"
    return WindlassError(
        "usage",
        f"{wanted} {what}",
        hint=f"choose one: {known}"
        if known
        else f"list databases in inventories/{environment} (windlass_databases, group {GROUP})",
    )


def _unreadable(error: Exception, host: str = "") -> WindlassError:
    """Pass on the first line of Ansible's message: those after it may quote the inventory, and so a secret."""
    where = {"host": host} if host else {}
    words = str(error).partition("\n")[0]
    return WindlassError(
        "inventory_invalid",
        f"Ansible cannot read the inventory: {words}",
        hint="try: ansible-inventory -i inventories/ENV --list",
        where=where,
    )
