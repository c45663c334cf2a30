"""Runs a playbook and brings back its record.  The only file that starts processes on the control node."""

from __future__ import annotations

import contextlib
import json
import locale
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from windlass.records import record
from windlass.settings import Settings
from windlass_engine.errors import WindlassError

PATTERN_CHARACTERS = frozenset("*?[]:!&~@")  # a host pattern of Ansible, not a plain name
GRACE_S = 2.0  # a terminal's Ctrl-C reaches Ansible as well: it gets so long to end by itself


@dataclass(frozen=True)
class Call:
    """What to run: a playbook's name (without .yml) for an environment.

    ``variables`` become extra vars; ``hosts`` is Ansible's host pattern.  ``front`` says that this run is only the
    first half of what the operator asked for, so that hints about what to type next are left out.  ``quiet`` sends
    the playbook's output to stderr, where stdout is to be data.
    """

    playbook: str
    environment: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    hosts: str = ""
    check: bool = False
    verbose: int = 0
    front: bool = False
    quiet: bool = False


def run(settings: Settings, call: Call) -> record.Record:
    """Run a playbook to its end and return its record, also when it failed.

    Raises ``inventory_invalid`` when Ansible stopped before the first play.
    """
    run_id = record.new_run_id()
    path = _record_path(settings, call, run_id)
    with _extra_vars(settings, call, run_id) as variables:
        command = _command(settings, call, variables)
        status, interrupted = _watched(command, _environment(settings, call, run_id, path), settings.root, call.quiet)
    found = _taken(settings, call, path)
    if found is None and interrupted:  # before Ansible could begin a record
        found = record.new(call.playbook, call.environment, run_id, check=call.check)
        record.close(found, interrupted=True)
    if found is None:
        raise _never_started(call, status)
    if found["error"] and found["error"]["code"] == "internal_error" and not found["hosts"]:
        raise _never_started(call, status)  # before any host was looked at: variables that cannot be read
    return found


def _record_path(settings: Settings, call: Call, run_id: str) -> Path:
    """Return where a run writes its record: a file of its own, for another operator may look at the same moment."""
    if call.playbook in record.FLEETING:
        return settings.state / f".{call.playbook}-{run_id}.json"
    return settings.runs / run_id / "record.json"


def _taken(settings: Settings, call: Call, path: Path) -> record.Record | None:
    """Return a run's record, None where it wrote none; of verbs that only look the last one is kept."""
    found = record.read(path)
    if call.playbook in record.FLEETING and found is not None:
        path.replace(settings.state / f"last-{call.playbook}.json")
    return found


def _command(settings: Settings, call: Call, variables: str) -> list[str]:
    command = [
        *_ansible_playbook(),
        "--inventory",
        str(settings.inventory(call.environment)),
        "--extra-vars",
        f"@{variables}",
    ]
    command += ["--limit", call.hosts] if call.hosts else []
    command += ["--check", "--diff"] if call.check else []
    command += ["-" + "v" * call.verbose] if call.verbose else []
    return [*command, str(settings.root / "playbooks" / f"{call.playbook}.yml")]


def _ansible_playbook() -> list[str]:
    beside = Path(sys.executable).parent / "ansible-playbook"
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "ansible", "playbook"]


@contextlib.contextmanager
def _extra_vars(settings: Settings, call: Call, run_id: str) -> Iterator[str]:
    """Hold the extra vars in a file of mode 0600 for as long as the playbook runs: argv is public."""
    known = {
        "windlass_env": call.environment,
        "windlass_verb": call.playbook,
        "windlass_run_id": run_id,
        "windlass_who": record.who(),
        "windlass_origin": record.origin(),
    }
    record.private_folder(settings.state)
    handle, name = tempfile.mkstemp(dir=settings.state, prefix="vars-", suffix=".json")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump({**known, **call.variables}, stream)
        yield name
    finally:
        os.unlink(name)


def _environment(settings: Settings, call: Call, run_id: str, path: Path) -> dict[str, str]:
    paths = [str(settings.root / "src"), os.environ.get("PYTHONPATH", "")]
    own = {
        "ANSIBLE_CONFIG": str(settings.root / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "windlass",  # whatever the operator's own is: without it there is no record
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "WINDLASS_VERB": call.playbook,
        "WINDLASS_ENV": call.environment,
        "WINDLASS_RUN_ID": run_id,
        "WINDLASS_WHO": record.who(),
        "WINDLASS_ORIGIN": record.origin(),
        "WINDLASS_RECORD": str(path),
        "WINDLASS_COMMAND": shlex.join(["invoke", *sys.argv[1:]]),
        "WINDLASS_FRONT": "1" if call.front else "",
    }
    return {**os.environ, **own, **_utf8()}


def _utf8() -> dict[str, str]:
    """Return what makes a locale that Ansible accepts, out of one that it refuses to start in."""
    names = (os.environ.get(key) for key in ("LC_ALL", "LC_CTYPE", "LANG"))
    current = next(filter(None, names), "")
    fits = current.lower().endswith((".utf-8", ".utf8")) and _is_installed()
    return {} if fits else {"LC_ALL": "C.UTF-8"}


def _is_installed() -> bool:
    """Return whether this machine has the locales that are wished for: over SSH those of the operator's own come in."""
    before = locale.setlocale(locale.LC_ALL)
    try:
        locale.setlocale(locale.LC_ALL, "")
    except locale.Error:
        return False
    finally:
        locale.setlocale(locale.LC_ALL, before)
    return True


def _watched(command: Sequence[str], environment: Mapping[str, str], folder: Path, quiet: bool) -> tuple[int, bool]:
    """Run to the end; return how it ended, and whether it was interrupted.

    Ctrl-C, SIGTERM and a closed terminal are passed on, and the end is waited for.
    """
    output, interrupted = sys.stderr if quiet else None, False
    sys.stdout.flush()
    with _ends_as_ctrl_c(), subprocess.Popen(command, env=environment, cwd=folder, stdout=output) as process:
        while True:
            try:
                return process.wait(), interrupted
            except KeyboardInterrupt:
                interrupted = True
                _pass_on(process)


def _pass_on(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
        process.wait(GRACE_S)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)


@contextlib.contextmanager
def _ends_as_ctrl_c() -> Iterator[None]:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _never_started(call: Call, status: int) -> WindlassError:
    stopped = f"Ansible stopped before it reached a host (exit {status}); its own message stands above"
    if PATTERN_CHARACTERS & set(call.hosts):
        return WindlassError("usage", stopped, hint=f"does --host {shlex.quote(call.hosts)} match a host?")
    folder = shlex.quote(f"inventories/{call.environment}")
    return WindlassError(
        "inventory_invalid",
        stopped,
        hint="a vault's password comes by ANSIBLE_VAULT_PASSWORD_FILE; "
        f"to see what Ansible makes of the inventory: ansible-inventory -i {folder} --list",
    )


def inventory(settings: Settings, environment: str) -> dict[str, Any]:
    """Return an environment as Ansible sees it, with ranges, group variables and inventory plugins resolved.

    Group name -> its hosts and children; ``_meta.hostvars`` has the variables.  Raises ``inventory_invalid`` when
    Ansible cannot read it.
    """
    program = Path(sys.executable).parent / "ansible-inventory"
    command = [str(program), "--inventory", str(settings.inventory(environment)), "--list"]
    variables = {**os.environ, **_utf8(), "ANSIBLE_CONFIG": str(settings.root / "ansible.cfg")}
    done = subprocess.run(command, env=variables, cwd=settings.root, capture_output=True, check=False, text=True)
    try:
        groups: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        hint = f"ansible-inventory said: {done.stderr.strip()[-400:]}"
        raise WindlassError("inventory_invalid", "the inventory cannot be read", hint=hint) from None
    return groups


def output(command: Sequence[str]) -> str:
    """Return what a short program such as ``ssh -G`` prints.  Raises ``tunnel_failed`` with its last words."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True, errors="replace"
        )
    except OSError as error:
        message, hint = f"cannot start {command[0]}: {error.strerror}", f"install {command[0]} on this machine"
        raise WindlassError("tunnel_failed", message, hint=hint) from None
    if done.returncode:
        words = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise WindlassError("tunnel_failed", f"{command[0]} says: {words[0]}")
    return done.stdout


class Answer(NamedTuple):
    """What a short program said."""

    code: int
    out: str
    err: str


def ask(argv: Sequence[str], text: str = "") -> Answer:
    """Run a short program with ``text`` as its input.  Raises ``preflight_failed`` where it is missing."""
    try:
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, errors="replace")
    except OSError as error:
        message = f"{argv[0]} cannot be run: {error.strerror}"
        raise WindlassError("preflight_failed", message, hint=f"install {argv[0]} on this machine") from None
    return Answer(done.returncode, done.stdout, done.stderr)


def output_of(argv: Sequence[str]) -> str:
    """Run a program that only looks, and return what it says.  Raises ``preflight_failed`` where it is missing."""
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL).stdout
    except OSError as error:
        message = f"{argv[0]} cannot be run: {error.strerror}"
        raise WindlassError("preflight_failed", message, hint="install Windlass with its dependencies") from None


def module(settings: Settings, name: str, arguments: Sequence[str], *, dry_run: bool = False) -> int:
    """Run one of the project's own Python packages (testbed, bench) and return its exit code."""
    if dry_run:
        print("would run: python -m", name, *arguments)
        return 0
    paths = [str(settings.root / "src"), str(settings.root)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return _watched([sys.executable, "-m", name, *arguments], environment, settings.root, quiet=False)[0]
