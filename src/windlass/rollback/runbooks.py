"""Runbooks: one page a way back, out of a hand-written head and the play's own names and comments.

docs/runbooks/<scenario>.md is the head (docs/runbooks/heads/<scenario>.md) with the play's story below it.  A test
holds the two together; ``invoke runbook`` prints a page with the real names of an environment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from windlass_engine.errors import WindlassError

SCENARIOS = ("migration", "application", "restore")
#: What stands before the names that the plays' own comments have as examples, and what those stand for.
_EXAMPLES = {"-i inventories/": "ENV", "windlass_confirm=": "ENV", "windlass_database=": "DATABASE"}


def page(root: Path, scenario: str) -> str:
    """Return a page's text.  Raises ``usage`` for a scenario that there is not."""
    head = (_head(root, scenario)).read_text(encoding="utf-8").rstrip("\n")
    return "\n".join([head, "", *story(root, scenario)]) + "\n"


def path(root: Path, scenario: str) -> Path:
    """Return where a page lies."""
    return root / "docs" / "runbooks" / f"{scenario}.md"


def _head(root: Path, scenario: str) -> Path:
    if scenario not in SCENARIOS:
        raise WindlassError("usage", f"there is no runbook {scenario}", hint=f"one of: {', '.join(SCENARIOS)}")
    return root / "docs" / "runbooks" / "heads" / f"{scenario}.md"


def story(root: Path, scenario: str) -> Iterator[str]:
    """Yield what the play does, in its own words."""
    import yaml

    name = f"rollback-{scenario}.yml"
    text = (root / "playbooks" / name).read_text(encoding="utf-8")
    yield f"## What `playbooks/{name}` does"
    yield ""
    yield from _comment(text)
    for play in yaml.safe_load(text):
        yield ""
        yield f"**{play['name']}** ({_where(play)})"
        yield ""
        for task in play["tasks"]:
            yield from _task(root, task)


def _comment(text: str) -> Iterator[str]:
    """Yield the comment at a play's head; commands in it are indented there."""
    for line in text.splitlines()[1:]:
        if not line.startswith("#"):
            return
        yield line.removeprefix("#").removeprefix(" ").replace("  ansible-playbook", "    ansible-playbook")


def _where(play: Mapping[str, Any]) -> str:
    """Return in words where a play runs."""
    hosts = str(play["hosts"])
    if "applications" in hosts:
        return f"on the hosts of the application; {'in a drill too' if hosts == 'applications' else 'not in a drill'}"
    words = "on the hosts that have something to undo" if "pending" in hosts else "on the hosts of the databases"
    batches = ", the canary first" if "serial" in play else ""
    return words + batches


def _task(root: Path, task: Mapping[str, Any]) -> Iterator[str]:
    """Yield a step, and below it the tasks of the application's part, which people may have to do by hand."""
    when = str(task.get("when", ""))
    only = next((note for word, note in _ONLY.items() if word in when), "")
    yield f"- {task['name']}{only}"
    role = task["ansible.builtin.include_role"]
    if role["name"] == "app":
        for inner in _read(root / "roles" / "app" / "tasks" / f"{role['tasks_from']}.yml"):
            if "loop" in inner:
                yield f"  - {inner['name']}: {_declared(inner)}"


_ONLY = {
    "windlass_drill": " (in a drill only)",
    "windlass_keep_evidence": " (with `--keep-evidence`)",
    "windlass_to": " (with `--to NAME`)",
}


def _declared(task: Mapping[str, Any]) -> str:
    """Return the variable of the inventory that says what a task works on."""
    return "`" + str(task["loop"]).strip("{} ") + "`"


def _read(place: Path) -> Sequence[Mapping[str, Any]]:
    import yaml

    found: list[Mapping[str, Any]] = yaml.safe_load(place.read_text(encoding="utf-8"))
    return found


def here(text: str, environment: str, hosts: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a page with an environment's name in its commands, and its hosts, databases and application at its end."""
    first = next(((host, name) for host, known in hosts.items() for name in known["databases"]), ("HOST", "DATABASE"))
    names = {"ENV": environment, "HOST": first[0], "DATABASE": first[1]}
    for word, name in names.items():
        text = text.replace(f" {word}", f" {name}").replace(f"={word}", f"={name}")
    for before, word in _EXAMPLES.items():
        text = re.sub(rf"({before})\w+", rf"\g<1>{names[word]}", text)
    return text + "\n".join(["", f"## {environment}", "", *_known(hosts)]) + "\n"


def _known(hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for host, known in hosts.items():
        for name in known["databases"]:
            yield f"- database {name} on {host}"
        for key, items in known["app"].items():
            yield f"- {host}: `{key}`: {', '.join(map(str, items))}"


def hosts_of(inventory: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return each host's databases and what it declares of an application, out of Ansible's own inventory."""
    known = inventory.get("_meta", {}).get("hostvars", {})
    found = {}
    for host, variables in known.items():
        databases = [
            str(item.get("name")) for item in variables.get("windlass_databases") or () if isinstance(item, dict)
        ]
        app = {key: value for key, value in variables.items() if key.startswith("app_") and isinstance(value, list)}
        found[host] = {"databases": databases, "app": app}
    return found
