"""The rules, one a file: each has ``NAME`` and ``judge``, which tells how much an action can hurt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pkgutil import iter_modules

from windlass.risk.action import Action
from windlass.risk.verdict import Verdict

#: Every file of this folder is a rule.
_ALL = [import_module(f"{__name__}.{file.name}") for file in iter_modules(__path__)]
JUDGES: Mapping[str, Callable[[Action], Verdict]] = {rule.NAME: rule.judge for rule in _ALL}
