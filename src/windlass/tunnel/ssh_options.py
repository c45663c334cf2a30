"""How to reach a host over SSH: OpenSSH's own answer, so that a tunnel goes the way that the plays go.

``ssh -G`` prints what ssh would use after its configuration files (with their Include and Match), the
defaults and the arguments are taken together.  Nothing is connected by it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windlass_engine.errors import WindlassError

#: Runs a command on the control node and returns its standard output.
Output = Callable[[Sequence[str]], str]
Options = dict[str, list[str]]

_LONGEST_CHAIN = 8


@dataclass(frozen=True)
class Hop:
    """One SSH login on the way; ``key_name`` is the name under which the host's key is on record.

    ``strict`` says whether ssh itself would refuse a key that is not: a tunnel always does.
    """

    host: str
    port: int
    user: str
    key_name: str
    known_hosts: tuple[Path, ...]
    identities: tuple[Path, ...] = ()
    identities_only: bool = False
    strict: bool = True
    connect_timeout_s: float = 10.0

    def __str__(self) -> str:
        """Return ``user@host:port``."""
        return f"{self.user}@{self.host}:{self.port}"


def route(arguments: Sequence[str], output: Output, depth: int = 0) -> tuple[Hop, ...]:
    """Return the logins that lead to a host, bastions first.

    ``arguments`` are what follows the word ``ssh``.  Raises WindlassError (tunnel_failed) for a way that
    paramiko cannot go.
    """
    if depth > _LONGEST_CHAIN:
        raise _impassable("the chain of ProxyJump hosts has no end", "look for a loop in ssh_config")
    options = _options(output(["ssh", "-G", *arguments]))
    if _first(options, "proxycommand") not in ("", "none"):
        raise _impassable(
            "the way to this host is a ProxyCommand, which the tunnel does not run",
            "use ProxyJump for a bastion, or open the port with ssh -N -L 127.0.0.1:PORT:DBHOST:5432 HOST",
        )
    return (*_bastions(options, arguments, output, depth), _hop(options))


def arguments_of(plugin: Any, host: str) -> tuple[str, ...]:
    """Return what Ansible's ssh plugin lets follow the word ``ssh``, in its order: the first word on a matter counts.

    ``plugin`` is an ssh connection plugin whose options are set.
    """
    option = plugin.get_option
    words = _words(option("ssh_args"))
    named = {
        "Port": option("port"),
        "IdentityFile": option("private_key_file"),
        "User": option("remote_user"),
        "ConnectTimeout": option("timeout"),
    }
    for key, value in named.items():
        words += ["-o", f'{key}="{value}"'] if value else []
    words += _words(option("ssh_common_args")) + _words(option("ssh_extra_args"))
    return (*words, str(option("host") or host))


def _bastions(options: Options, arguments: Sequence[str], output: Output, depth: int) -> tuple[Hop, ...]:
    """Follow ProxyJump as ssh does: a bastion goes by ssh_config alone, not by the host's -o options."""
    jumps = [jump for jump in _first(options, "proxyjump").split(",") if jump not in ("", "none")]
    if not jumps:
        return ()
    files = _config_file(arguments)
    first = route([*files, *_arguments(jumps[0])], output, depth + 1)
    later = [_hop(_options(output(["ssh", "-G", *files, *_arguments(jump)]))) for jump in jumps[1:]]
    return (*first, *later)


def _hop(options: Options) -> Hop:
    host = _first(options, "hostname")
    return Hop(
        host=host,
        port=int(_first(options, "port") or 22),
        user=_first(options, "user"),
        key_name=_first(options, "hostkeyalias") or host,
        known_hosts=_paths([*options.get("userknownhostsfile", []), *options.get("globalknownhostsfile", [])]),
        identities=tuple(Path(name).expanduser() for name in options.get("identityfile", []) if name != "none"),
        identities_only=_first(options, "identitiesonly") == "yes",
        strict=_first(options, "stricthostkeychecking") not in ("false", "no", "off"),
        connect_timeout_s=_seconds(_first(options, "connecttimeout")),
    )


def _options(text: str) -> Options:
    options: Options = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        options.setdefault(key.lower(), []).append(value.strip())
    return options


def _first(options: Options, key: str) -> str:
    return options.get(key, [""])[0]


def _paths(values: Sequence[str]) -> tuple[Path, ...]:
    """Part lists of files; ssh prints no quotes, so a name with spaces is told by its being there."""
    found: list[Path] = []
    for value in values:
        whole = Path(value).expanduser()
        names = [value] if whole.is_file() else value.split()
        found += [Path(name).expanduser() for name in names if name != "none"]
    return tuple(found)


def _seconds(text: str) -> float:
    return float(text) if text.isdigit() and int(text) else Hop.connect_timeout_s


def _config_file(arguments: Sequence[str]) -> list[str]:
    """Return the ``-F file`` of a command line: ssh hands it on to the bastions."""
    for place, word in enumerate(arguments):
        if word == "-F":
            return list(arguments[place : place + 2])
        if word.startswith("-F"):
            return [word]
    return []


def _arguments(jump: str) -> list[str]:
    """Return the ssh arguments of one bastion, ``[user@]host[:port]``."""
    user, _, place = jump.removeprefix("ssh://").rpartition("@")
    parts = re.fullmatch(r"\[(.*)\](?::(\d+))?|([^:]*)(?::(\d+))?", place)
    if parts is None:
        raise _impassable(f"ProxyJump names {jump}, which is no [user@]host[:port]", "correct it")
    host, port = parts[1] or parts[3], parts[2] or parts[4]
    return [*(["-l", user] if user else []), *(["-p", port] if port else []), host]


def _impassable(message: str, hint: str) -> WindlassError:
    return WindlassError("tunnel_failed", message, hint=hint)


def _words(text: str | None) -> list[str]:
    return shlex.split(text) if text else []
