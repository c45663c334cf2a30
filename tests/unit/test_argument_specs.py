"""What roles and modules document is what they do: specs, defaults, options and steps agree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
#: One that carries others has no arguments of its own.
CARRIER = ROOT / "plugins" / "modules" / "db_call.py"
MODULES = sorted(path for path in (ROOT / "plugins" / "modules").glob("*.py") if path != CARRIER)
#: The others are action plugins, with a file here for their manual only.
ON_TARGETS = [path for path in MODULES if "\nSPEC = " in path.read_text(encoding="utf-8")]
#: Those that know databases have an action plugin beside them; others are called as they are.
WITH_ACTION = [path for path in MODULES if path.stem.startswith("db_")]
FRAGMENT = ROOT / "plugins" / "doc_fragments" / "windlass.py"
#: Registered by one step for the next, so no role has a default for it; or without one by its nature.
NO_DEFAULT = {"windlass_databases", "windlass_samples"}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def specs(role: Path) -> dict[str, Any]:
    found: dict[str, Any] = read(role / "meta" / "argument_specs.yml")["argument_specs"]
    return found


def options(role: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for entry, spec in specs(role).items():
        for name, option in spec["options"].items():
            yield entry, name, option


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_the_defaults_of_a_spec_are_those_of_the_role(role: Path) -> None:
    """Ansible takes a spec's default for documentation only; the role's defaults are what holds."""
    defaults = read(role / "defaults" / "main.yml")
    for entry, name, option in options(role):
        if name in NO_DEFAULT:
            assert "default" not in option and name not in defaults
        else:
            assert option["default"] == defaults[name], f"{entry}: {name}"
    assert set(defaults) <= {name for _, name, _ in options(role)}, "a default that no spec explains"


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_step_has_a_spec_that_names_what_it_uses(role: Path) -> None:
    steps = {path.stem: path.read_text(encoding="utf-8") for path in (role / "tasks").glob("*.yml")}
    if set(specs(role)) == {"main"}:
        return  # the other files are parts of main
    assert set(steps) - {"main"} == set(specs(role))
    known = set(read(role / "defaults" / "main.yml")) | NO_DEFAULT
    for entry, spec in specs(role).items():
        used = known & set(re.findall(r"\w+", steps[entry]))
        assert used == set(spec["options"]), entry


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_option_is_described(role: Path) -> None:
    for entry, name, option in options(role):
        assert option["description"], f"{entry}: {name}"
        assert option["type"], f"{entry}: {name}"


def assigned(path: Path, name: str) -> ast.expr:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            assert isinstance(node, ast.Assign)
            return node.value
    raise AssertionError(f"{path.name} has no {name}")


def documented(path: Path) -> dict[str, Any]:
    """Return a module's documented options, those of its fragments too."""
    manual = yaml.safe_load(ast.literal_eval(assigned(path, "DOCUMENTATION")))
    found = dict(manual.get("options", {}))
    for fragment in manual.get("extends_documentation_fragment", []):
        part = fragment.partition(".")[2].upper() or "DOCUMENTATION"
        found |= yaml.safe_load(ast.literal_eval(assigned(FRAGMENT, part)))["options"]
    return found


def accepted(path: Path) -> dict[str, dict[str, Any]]:
    """Return a module's argument specification with what the adapter adds."""
    from ansible.module_utils import windlass_adapter as adapter

    node = assigned(path, "SPEC")
    assert isinstance(node, ast.Dict)
    found: dict[str, dict[str, Any]] = dict(adapter.COMMON) if path in WITH_ACTION else {}
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:
            assert ast.unparse(value) == "adapter.FOLLOWING"
            found |= adapter.FOLLOWING
        else:
            found[ast.literal_eval(key)] = ast.literal_eval(value)
    return found


@pytest.mark.parametrize("module", ON_TARGETS, ids=lambda module: module.stem)
def test_a_module_documents_what_it_takes(module: Path) -> None:
    taken = accepted(module)
    told = documented(module)
    assert set(told) == set(taken)
    for name, option in taken.items():
        for key in ("type", "default", "choices", "required", "elements"):
            assert option.get(key) == told[name].get(key), f"{module.stem}: {name}: {key}"


@pytest.mark.parametrize("module", WITH_ACTION, ids=lambda module: module.stem)
def test_an_action_takes_what_its_module_documents(module: Path) -> None:
    action = ROOT / "plugins" / "action" / module.name
    assert action.exists()
    told = {name for name, option in documented(module).items() if "Set by the action plugin" not in str(option)}
    tree = ast.parse(action.read_text(encoding="utf-8"))
    keys: set[str] = set()
    common = {"databases", "policy", "only", "state_dir"}
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(node.value, ast.Dict):
            if node.target.id == "OPTIONS":
                keys |= {ast.literal_eval(key) for key in node.value.keys if key is not None}
            if node.target.id == "COMMON":
                common = {ast.literal_eval(key) for key in node.value.keys if key is not None}
    assert keys | common == told


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_examples_and_returns_are_yaml(module: Path) -> None:
    assert yaml.safe_load(ast.literal_eval(assigned(module, "EXAMPLES")))
    assert yaml.safe_load(ast.literal_eval(assigned(module, "RETURN")))
    for name, option in documented(module).items():
        assert option["description"], name


def test_every_playbook_says_what_it_is_for() -> None:
    for path in sorted((ROOT / "playbooks").glob("*.yml")):
        text = path.read_text(encoding="utf-8")
        assert text.startswith("---\n# "), path.name
        assert all(
            play["name"] and all(task["name"] for task in play.get("tasks", ())) for play in yaml.safe_load(text)
        )
