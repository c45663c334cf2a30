"""The names under which Ansible ships code to a target, made importable in the tests' own process.

On a target the engine is `ansible.module_utils.windlass_engine`, here it is `windlass_engine`. Both names
must give the very same modules: with two copies of a class, `except WindlassError` would miss the other one.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

_SHIPPED = "ansible.module_utils.windlass_engine"
_MODULE_UTILS = Path(__file__).resolve().parent.parent / "plugins" / "module_utils"


class _Alias(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers an import under the shipped name with the module of the plain name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _SHIPPED and not fullname.startswith(_SHIPPED + "."):
            return None
        if importlib.util.find_spec(_plain(fullname)) is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(_plain(spec.name))
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just put the alias's spec on the module: give it its own back.
        spec = module.__spec__
        if spec is not None and spec.loader is self:
            module.__spec__ = spec.loader_state


def _plain(name: str) -> str:
    return name.removeprefix("ansible.module_utils.")


def install() -> None:
    """Make the shipped names importable; a second call changes nothing."""
    try:
        import ansible.module_utils
    except ImportError:
        return
    if not any(isinstance(finder, _Alias) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Alias())
        ansible.module_utils.__path__.append(str(_MODULE_UTILS))
