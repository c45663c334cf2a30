"""The doctor's part on the control node: what this machine needs, and how findings are told to people."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.settings import Settings
from windlass.telling import console
from windlass_engine.errors import WindlassError
from windlass_engine.finding import FAIL, OK, SKIPPED, WARN, Finding, failure, good, warning

if TYPE_CHECKING:
    from windlass.tunnel.ssh_options import Hop

CONTROL = "control node: "
_OLDEST_PYTHON = (3, 11)
_ANSIBLE = ((2, 19), (2, 22))
_SECRET = re.compile(r"^\s*(?:-\s+)?[\w-]*(?:password|_pass|secret)\s*:\s*(?P<value>[^\s#].*)$", re.IGNORECASE)
_URL_SECRET = re.compile(r"\w+://[^\s/:@\"']+:(?!\{\{)[^\s/@\"']+@")
_EXTENSION = re.compile(r"^\s*create\s+extension\s+(?:if\s+not\s+exists\s+)?\"?([\w-]+)", re.IGNORECASE | re.MULTILINE)
_TELLING = re.compile(r"fail|denied|refused|timed out|resolve|no route|changed", re.IGNORECASE)
#: Checks whose failure stops a backup and nothing else.
_FOR_BACKUPS = ("client programs", "right to back up", "room for backups", "age", "restic")
_SSH = ("ssh", "ansible.builtin.ssh")


# ---------------------------------------------------------------- this machine


def control_node(settings: Settings, inventory: Path, vault_files: Sequence[Path]) -> list[Finding]:
    """Look at this machine, the inventory's files and the project.  Changes nothing."""
    found = [_python(), _ansible(), _ssh(), _project(settings)]
    found += [_vault_file(path) for path in vault_files]
    found += [_inventory(inventory), _records(settings.state)]
    return [Finding(CONTROL + f.name, f.status, f.found, f.needed, f.mend) for f in found]


def _python() -> Finding:
    text, needed = f"{sys.version.split()[0]} ({sys.executable})", ".".join(map(str, _OLDEST_PYTHON)) + " or newer"
    if sys.version_info[:2] < _OLDEST_PYTHON:
        return failure("python", text, needed, "make the virtual environment again with a newer Python")
    return good("python", text, needed)


def _ansible() -> Finding:
    lowest, above = _ANSIBLE
    needed = f"ansible-core {lowest[0]}.{lowest[1]} or newer, below {above[0]}.{above[1]}"
    mend = f"pip install 'ansible-core>={lowest[0]}.{lowest[1]},<{above[0]}.{above[1]}'"
    try:
        found = version("ansible-core")
    except PackageNotFoundError:
        return failure("ansible", "not installed in this Python", needed, mend)
    numbers = tuple(int(part) for part in re.findall(r"\d+", found)[:2])
    return good("ansible", found, needed) if lowest <= numbers < above else failure("ansible", found, needed, mend)


def _ssh() -> Finding:
    missing = [name for name in ("ssh", "ssh-keygen") if not shutil.which(name)]
    if missing:
        return failure("ssh", f"{', '.join(missing)} not found", "OpenSSH's client", "install openssh-client")
    return good("ssh", shutil.which("ssh") or "")


def _project(settings: Settings) -> Finding:
    from windlass.project import load

    if not settings.systems:
        return warning("project", "no system below sql/", "at least one", "write sql/<system>/system.yml")
    for system in settings.systems:
        try:
            load(settings.root, system, parse="all")
        except WindlassError as error:
            return failure("project", f"{system}: {error.message}", "scripts that can be read", error.hint)
    return good("project", f"{', '.join(settings.systems)}: every script can be read")


def _vault_file(path: Path) -> Finding:
    """Judge a file with the vault's password, which is its owner's alone, or a script that prints it."""
    name, needed = "vault password", f"{path} for its owner alone, mode 0600"
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        mend = "write the file, or name another in ansible.cfg or ANSIBLE_VAULT_PASSWORD_FILE"
        return failure(name, f"{path}: {error.strerror}", needed, mend)
    forbidden, right = (0o022, "0700") if mode & stat.S_IXUSR else (0o077, "0600")
    if mode & forbidden:
        return failure(name, f"{path} has mode {mode:04o}: others reach it", needed, f"chmod {right} {path}")
    return good(name, f"{path}, mode {mode:04o}", needed)


def _inventory(folder: Path) -> Finding:
    """Look for files that others may change and for secrets in plain text."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    writable = [path for path in files if path.stat().st_mode & stat.S_IWOTH]
    if writable:
        mend = f"chmod o-w {' '.join(map(str, writable))}"
        return failure("inventory", f"everybody may change {_names(writable)}", "write access for few", mend)
    plain = [f"{path.relative_to(folder)}:{line}" for path in files for line in _plain_secrets(path)]
    if plain:
        mend = "ansible-vault encrypt_string, or {{ lookup('env', …) }}"
        return warning(
            "inventory", f"a secret in plain text in {folder}: {', '.join(plain)}", "secrets in a vault", mend
        )
    return good("inventory", str(folder))


def _plain_secrets(path: Path) -> Iterator[int]:
    """Yield the numbers of lines that hold a password neither vaulted nor looked up."""
    if path.suffix not in (".yml", ".yaml", ".ini", ""):
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    if text.startswith("$ANSIBLE_VAULT"):
        return
    for number, line in enumerate(text.splitlines(), start=1):
        given = _SECRET.match(line)
        plain = given and not given["value"].strip("'\" ").startswith(("{{", "!vault", "|", ">")) and given["value"]
        if (plain and plain.strip("'\" ")) or (_URL_SECRET.search(line) and not line.lstrip().startswith("#")):
            yield number


def _records(folder: Path) -> Finding:
    """Run records name databases and say what was done; the folder for them may not exist yet."""
    name, needed = "run records", f"{folder} for its owner alone"
    standing = folder if folder.exists() else folder.parent
    if not os.access(standing, os.W_OK | os.X_OK):
        return failure(name, f"cannot write to {standing}", needed, f"run as the owner of {standing}")
    mode = stat.S_IMODE(folder.stat().st_mode) if folder.exists() else 0o700
    if mode & 0o022:
        return failure(name, f"{folder} has mode {mode:04o}: others may write", needed, f"chmod 0700 {folder}")
    return good(name, str(folder), needed)


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(str(path) for path in paths)


# ---------------------------------------------------------------- a host


def way(plugin: Any, host: str) -> Finding:
    """Judge the way to a host that was reached; ``plugin`` is its Ansible connection with options set.

    The host key is looked at here once more: ssh may have come in by a shared connection that is older than a change.
    """
    if plugin.transport not in _SSH:
        return good("connection", str(plugin.transport))
    try:
        hops = _hops(plugin, host)
    except WindlassError as error:
        return good("ssh", f"reached; {error.message}")
    fine = good("ssh", " -> ".join(map(str, hops)), "a login over SSH, host key on record")
    return _unchecked(hops) or _key_fault(hops) or fine


def unreachable(plugin: Any, host: str, error: WindlassError) -> Finding:
    """Return the finding for a host that is not reached; ``error`` is what Ansible's own words were made into.

    Of a host key ssh only says that it was refused, not which file and line disagree, so we look ourselves.
    """
    said = _gist(str(error.detail.get("ssh", "")))
    hint = error.hint.partition("`invoke doctor`")[0].rstrip("; ") or f"try by hand: ssh -v {host}"
    plain = failure("ssh", f"{error.message} ({said})", "a login over SSH", hint)
    if error.code != "host_key_changed":
        return plain
    try:
        return _key_fault(_hops(plugin, host)) or plain
    except WindlassError:
        return plain


def _hops(plugin: Any, host: str) -> tuple[Hop, ...]:
    from windlass import playbook
    from windlass.tunnel import ssh_options

    return ssh_options.route(ssh_options.arguments_of(plugin, host), playbook.output)


def _unchecked(hops: Sequence[Hop]) -> Finding | None:
    """Warn of settings under which ssh takes any host key."""
    names = [hop.key_name for hop in hops if not hop.strict or Path(os.devnull) in hop.known_hosts[:1]]
    if not names:
        return None
    mend = "take StrictHostKeyChecking=no, UserKnownHostsFile=/dev/null and host_key_checking=false away"
    return warning("ssh", f"the host key of {', '.join(names)} is not checked", "host keys on record", mend)


def _key_fault(hops: Sequence[Hop]) -> Finding | None:
    """Return what is wrong with a host key on the way, None when all are on record or cannot be looked at."""
    from windlass.tunnel import link

    try:
        link.check_keys(hops)
    except WindlassError as error:
        if error.code == "host_key_changed":
            return failure("ssh", error.message, "the host key on record", error.hint)
    return None


def _gist(text: str) -> str:
    """Return the line of SSH's words that says most: the one that names a failure, else the last."""
    lines = [line.strip() for line in text.replace("\r", "").splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    gist = (telling or lines or ["no reason given"])[-1]
    return gist.rpartition("reached over ssh: ")[2]


def extensions(texts: Sequence[str]) -> list[str]:
    """Return the names of the extensions that scripts create."""
    return sorted({name.lower() for text in texts for name in _EXTENSION.findall(text)})


def without_backup(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings in which what only a backup needs is at most a warning."""
    return [replace(f, status=WARN) if f.name in _FOR_BACKUPS and f.status == FAIL else f for f in findings]


def problems(findings: Mapping[str, Sequence[Finding]]) -> list[str]:
    """Return ``database: check`` for every finding that would stop a deployment."""
    return [
        f"{database}: {finding.name}" if database else finding.name
        for database, found in findings.items()
        for finding in found
        if finding.status == FAIL
    ]


# ---------------------------------------------------------------- telling

_MARKS = {OK: ("ok  ", "good"), WARN: ("WARN", "warn"), FAIL: ("FAIL", "bad"), SKIPPED: ("skip", "dim")}


def lines(database: str, findings: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield (text, style) for the findings (wire form) about a database, or about the host when it has no name.

    What is well is counted; everything else is told with what was found, what is needed and how to mend it.
    """
    place = f"{console.printable(database)} " if database else ""
    well = sum(finding["status"] == OK for finding in findings)
    if well:
        yield f"  ok    {place}{console.plural(well, 'check')} passed", "good"
    for finding in findings:
        if finding["status"] == OK:
            continue
        mark, style = _MARKS.get(finding["status"], _MARKS[FAIL])
        needed = f" (needed: {finding['needed']})" if finding["needed"] else ""
        first, *others = finding["found"].splitlines() or [""]
        yield f"  {mark}  {place}{console.printable(finding['name'] + ': ' + first.rstrip(':') + needed)}", style
        yield from ((f"        {console.printable(line.strip())}", style) for line in others)
        if finding["mend"]:
            yield f"        -> {console.printable(finding['mend'])}", ""
