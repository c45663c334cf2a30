"""Failures that are Ansible's own, told in Windlass' words: a code, what, where and what next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from windlass_engine.errors import WindlassError

#: (pattern in SSH's or Ansible's message, code, message, hint); the first that is found counts.
_UNREACHABLE = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|No .* host key is known for",
        "host_key_changed",
        "the host's SSH key is not the one on record, or none is on record",
        "compare fingerprints with the host's own console before you record the new key in known_hosts",
    ),
    (
        "Failed to create temporary directory",
        "host_unreachable",
        "the login may not write where Ansible keeps its files for a moment",
        "set ansible_remote_tmp to a folder that this login may write",
    ),
    (
        "Permission denied",
        "host_unreachable",
        "the host refuses the SSH login",
        "check ansible_user and the key that the inventory names; try `ssh` with the same",
    ),
    (
        "Connection refused",
        "host_unreachable",
        "the host refuses the connection: no SSH server on that port",
        "check ansible_host and ansible_port, and that sshd runs",
    ),
    (
        "Could not resolve hostname|Name or service not known",
        "host_unreachable",
        "the host's name cannot be resolved",
        "check ansible_host in the inventory, and DNS",
    ),
    (
        "connect to new control master",
        "host_unreachable",
        "the host let the login in and then gave no answer in time",
        "look at its load and at what logins wait for there (`journalctl -u ssh`: PAM, D-Bus, LDAP), then try again",
    ),
    (
        "timed out|No route to host|Network is unreachable",
        "host_unreachable",
        "the host does not answer",
        "check ansible_host, the network and the firewall; `invoke doctor` looks at every host at once",
    ),
)
_INVENTORY = re.compile(
    "Validation of arguments failed|is undefined|Vault|vault password|required arguments|missing required", re.I
)

#: What Ansible says when no module runs at all: no Python there, or something else under its name.
_NO_PYTHON = re.compile("module interpreter .* was not found|No start of json char found")


def error_of(
    host: str, result: Mapping[str, Any], *, action: str = "", task: str = "", unreachable: bool = False
) -> dict[str, Any]:
    """Return the error (wire form) of a failed or unreachable result; what a module says of itself stays."""
    told = result.get("windlass_error")
    if told:
        return {**told, "where": {"host": host, **told.get("where", {})}}
    message = _message(result)
    error = _unreachable(message) if unreachable else _failed(message, action, task)
    return error.located(host=host).to_wire()


def _message(result: Mapping[str, Any]) -> str:
    parts = [str(result.get(key) or "") for key in ("msg", "module_stderr", "stderr")]
    items = result.get("results")
    if isinstance(items, list):
        parts += [str(item["msg"]) for item in items if isinstance(item, Mapping) and item.get("failed")]
    return "\n".join(part.strip() for part in parts if part.strip())


def _unreachable(message: str) -> WindlassError:
    for pattern, code, text, hint in _UNREACHABLE:
        if re.search(pattern, message):
            return WindlassError(code, text, hint=hint, detail={"ssh": message})
    return WindlassError(
        "host_unreachable",
        f"the host cannot be reached: {_last_line(message)}",
        hint="`invoke doctor` looks at every host at once",
        detail={"ssh": message},
    )


def _failed(message: str, action: str, task: str) -> WindlassError:
    name = action.rpartition(".")[2]
    place = f"in the task {task!r}: " if task else ""
    if name == "validate_argument_spec" or _INVENTORY.search(message):
        return WindlassError("inventory_invalid", f"{place}{message}")
    if name in ("assert", "fail"):
        return WindlassError("preflight_failed", message)
    if _NO_PYTHON.search(message):
        hint = "install Python 3.9 or newer on the host, or name it in ansible_python_interpreter"
        return WindlassError("preflight_failed", f"no module runs on the host: {_last_line(message)}", hint=hint)
    text = f"{place}{message or 'it failed without a word'}"
    return WindlassError("internal_error", text, hint="--verbose --verbose --verbose shows what Ansible saw")


def _last_line(message: str) -> str:
    return message.splitlines()[-1] if message else "no reason given"
