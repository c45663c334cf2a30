"""Where things are: a project's folders, its environments and the hosts in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windlass_engine.errors import WindlassError

DEMO = "demo"


@dataclass(frozen=True)
class Settings:
    """One project: the folder that holds tasks.py, playbooks/, inventories/ and sql/."""

    root: Path

    @property
    def state(self) -> Path:
        """Return the folder for run records and the demo's server; git does not see it."""
        return self.root / ".windlass"

    @property
    def runs(self) -> Path:
        """Return the folder with one folder a run."""
        return self.state / "runs"

    @property
    def systems(self) -> list[str]:
        """Return the names of the systems that have scripts here."""
        return sorted(path.parent.name for path in self.root.glob("sql/*/system.yml"))

    @property
    def environments(self) -> list[str]:
        """Return the environments' names: the folders of inventories/."""
        folders = self.root.glob("inventories/*")
        return sorted(path.name for path in folders if path.is_dir() and not path.name.startswith("."))

    def environment(self, name: str) -> str:
        """Return a known environment's name; an empty one means $WINDLASS_ENV, a path any inventory folder.

        Raises ``usage`` with the list of those that exist.
        """
        name = name or os.environ.get("WINDLASS_ENV", "")
        if name in self.environments or (os.sep in name and Path(name).is_dir()):
            return name
        known = ", ".join(self.environments) or "none yet"
        wrong = f"no environment is called {name!r}" if name else "which environment?"
        raise WindlassError(
            "usage", wrong, hint=f"give one of these with --env: {known} (each is a folder of inventories/)"
        )

    def inventory(self, environment: str) -> Path:
        """Return an environment's inventory folder."""
        return Path(environment).resolve() if os.sep in environment else self.root / "inventories" / environment

    def hosts(self, environment: str) -> list[str]:
        """Return the hosts that an environment's YAML files name, in order, without starting Ansible."""
        found = (name for data in self._files(environment) for name in _host_names(data))
        return list(dict.fromkeys(found))

    def databases(self, environment: str) -> list[str]:
        """Return the databases that an environment's YAML files name, in order, without starting Ansible."""
        found = (name for data in self._files(environment) for name in database_names(data))
        return list(dict.fromkeys(found))

    def _files(self, environment: str) -> Iterator[Any]:
        return (_read_yaml(path) for path in sorted(self.inventory(environment).rglob("*.y*ml")))


def _read_yaml(path: Path) -> Any:
    import yaml

    class Tolerant(yaml.SafeLoader):
        """Reads Ansible's own tags (vault, unsafe) as nothing."""

    Tolerant.add_multi_constructor("!", lambda *_: None)
    try:
        with path.open(encoding="utf-8") as stream:
            return yaml.load(stream, Tolerant)  # a SafeLoader: it builds plain values only
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = {"file": str(path), "line": mark.line + 1 if mark else 0}
        problem = getattr(error, "problem", None) or "the YAML cannot be read"
        raise WindlassError("inventory_invalid", str(problem), where=place) from None


def _host_names(node: Any) -> Iterator[str]:
    if not isinstance(node, dict):
        return
    for group in node.values():
        if isinstance(group, dict):
            if isinstance(group.get("hosts"), dict):
                yield from map(str, group["hosts"])
            yield from _host_names(group.get("children"))


def database_names(node: Any) -> Iterator[str]:
    """Yield the names in every ``windlass_databases`` of a tree."""
    if isinstance(node, dict):
        for key, value in node.items():
            listed = value if key == "windlass_databases" and isinstance(value, list) else ()
            yield from (str(item["name"]) for item in listed if isinstance(item, dict) and "name" in item)
            yield from database_names(value)
