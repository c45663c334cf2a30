"""Words of an operator that would silently make a run be about more than was meant, or about nothing."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from windlass.settings import database_names
from windlass_engine.errors import WindlassError

PREFIX = "windlass_"
_NAME = re.compile(rf"\b{PREFIX}(\w+)")
#: From which likeness on (0 to 1) a name is taken for a mistyped one; others are the operator's own.
_ALIKE = 0.85


@functools.cache
def known(root: Path) -> frozenset[str]:
    """Return the names, without their prefix, that playbooks, roles and action plugins below ``root`` use."""
    patterns = ("playbooks/*.yml", "roles/*/*/*.yml", "plugins/action/*.py", "src/windlass/actions.py")
    places = [place for pattern in patterns for place in root.glob(pattern)]
    return frozenset(name for place in places for name in _NAME.findall(place.read_text(encoding="utf-8")))


def refuse_mistyped(root: Path, names: Iterable[str]) -> None:
    """Refuse a variable that nobody reads and that is nearly called like one of ours.  Raises ``inventory_invalid``."""
    ours = known(root)
    for name in sorted(name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)):
        near = [] if name in ours else difflib.get_close_matches(name, ours, 1, _ALIKE)
        if near:
            hint = f"did you mean {PREFIX}{near[0]}? (in the inventory, or behind -e)"
            raise WindlassError("inventory_invalid", f"nobody reads the variable {PREFIX}{name}", hint=hint)


def refuse_absent(variables: Mapping[str, Any], names: Collection[str]) -> None:
    """Refuse databases, lacking on one host, that no other has: nothing would be done, as if all were well.

    ``variables`` are the task's.  Raises ``usage``.
    """
    hosts = list((variables.get("groups") or {}).get("databases") or ())
    limit = [word for word in str(variables.get("ansible_limit") or "").split(",") if word]
    asked = limit if limit and set(limit) <= set(hosts) else hosts  # a pattern is Ansible's to read
    if not names or not asked:
        return
    key = f"{PREFIX}databases"
    known = {name for host in asked for name in database_names({key: variables["hostvars"][host].get(key)})}
    absent = sorted(set(names) - known)
    if absent:
        message = f"no host here has a database called {', '.join(absent)}"
        raise WindlassError("usage", message, hint=f"there are: {', '.join(sorted(known)) or 'none'}")
