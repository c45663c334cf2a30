"""From the inventory to what gets installed: one plan of units for the control node, or one for each target."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from windlass.inventory_values import check
from windlass.project import load
from windlass.schedule import config, place
from windlass.schedule.config import Config, Timer
from windlass.schedule.jobs import NAMES, Fleet, Job
from windlass.settings import Settings
from windlass_engine.errors import WindlassError

#: What a play writes beside the project's own folder: Ansible's and restic's caches, and run files of local hosts.
_WRITTEN = ("~/.ansible", "~/.cache", "~/.local/state/windlass", "/var/lib/windlass")
_PATHS = ("windlass_state_dir", "windlass_backup_dir")
#: What the control node is called in a play, where the inventory has no name for it.
CONTROL_NODE = "control-node"
#: Prints a target's folder for run files, found as the modules find it; its argument is the chosen one.
FIND_STATE = """\
if [ -n "$1" ]; then echo "$1"; elif [ -w /var/lib/windlass ]; then echo /var/lib/windlass
else echo ~/.local/state/windlass; fi"""
Variables = Mapping[str, Any]


def fleet_of(root: Path, hosts: Sequence[Variables]) -> Fleet:
    """Return what hosts (their variables) have.  Raises ``project_invalid`` for scripts that cannot be read."""
    databases = [each for host in hosts for each in _databases(host)]
    systems = sorted({str(each.get("system")) for each in databases})
    periods = {script.directives.schedule for system in systems for script in load(root, system).maintenance}
    policies = [host.get("windlass_policy") or {} for host in hosts]
    return Fleet(
        tests=any(policy.get("restore_test_host") for policy in policies),
        drills=bool(databases) and all(_allows_scratch(each, host) for host in hosts for each in _databases(host)),
        retention=any(host.get("windlass_retention") for host in hosts),
        offsite=any(host.get("windlass_offsite") for host in hosts),
        periods=frozenset(periods - {""}),
    )


def _databases(host: Variables) -> list[Mapping[str, Any]]:
    return [each for each in host.get("windlass_databases") or () if isinstance(each, Mapping)]


def _allows_scratch(database: Mapping[str, Any], host: Variables) -> bool:
    """Return whether a database's policy allows a scratch copy on its server."""
    policies = (database.get("policy") or {}, host.get("windlass_policy") or {})
    return next((str(policy["scratch"]) for policy in policies if policy.get("scratch")), "never") == "allow"


def for_control_node(settings: Settings, environment: str, hosts: Mapping[str, Variables]) -> dict[str, Any]:
    """Return the role's variables for the control node, which works on all hosts of an environment.

    Raises ``inventory_invalid`` where the hosts do not agree on a schedule.
    """
    _alone(settings, environment)
    fleet = fleet_of(settings.root, list(hosts.values()))
    found = {name: config.read(known.get("windlass_schedule"), fleet, host=name) for name, known in hosts.items()}
    first = next(iter(found.values()))
    other = next((name for name, each in found.items() if each != first), "")
    check(
        not other, "windlass_schedule is another here than on the first host, and the control node has one for all: "
        "set it in group_vars/all", host=other,
    )  # fmt: skip
    folder = place.folder(settings, environment)
    invoke = [sys.executable, "-m", "invoke", "--search-root", str(settings.root)]
    command = [*invoke, "run-scheduled", "--env", environment]
    _usable(command)
    here = [timer for timer in first.timers if first.where == "control" or not timer.job.on_target]
    return {
        **_common(environment, first, here),
        "schedule_command": command,
        "schedule_directory": str(settings.root),
        "schedule_state": str(folder),
        "schedule_telling": first.telling(here),
        "schedule_writable": [str(settings.state), *_WRITTEN, *_local(hosts), *first.writable, *_metrics(first)],
        "schedule_folders": _local(hosts),
        "schedule_program": "",
        "schedule_work": {},
    }


def for_target(environment: str, host: Variables, state: str, python: str, program: Path) -> dict[str, Any]:
    """Return the role's variables for a target: jobs that run there without this checkout.

    ``host`` are its variables, ``state`` its folder for run files, ``python`` its interpreter, and ``program`` the
    packed file on this machine.
    """
    fleet = fleet_of_target(host)
    found = config.read(host.get("windlass_schedule"), fleet)
    folder = f"{state}/schedule/{place.label(environment)}"
    command = [python, f"{folder}/{program.name}"]
    _usable(command)
    own = [str(host[key]) for key in _PATHS if host.get(key)]
    there = [timer for timer in found.timers if timer.job.on_target and (fleet.offsite or not _is_offsite(timer.job))]
    return {
        **_common(environment, found, there),
        "schedule_command": command,
        "schedule_directory": "/",
        "schedule_state": folder,
        "schedule_telling": found.telling(there),
        "schedule_writable": [state, *own, "~/.cache", *found.writable, *_metrics(found)],
        "schedule_folders": own,
        "schedule_program": str(program),
    }


def fleet_of_target(host: Variables) -> Fleet:
    """Return what a host has of what decides on jobs that can run on it."""
    return Fleet(retention=bool(host.get("windlass_retention")), offsite=bool(host.get("windlass_offsite")))


def _is_offsite(job: Job) -> bool:
    return job.playbook == "offsite"


def _common(environment: str, found: Config, timers: Sequence[Timer]) -> dict[str, Any]:
    return {
        "schedule_name": place.label(environment),
        "schedule_jobs": [_job(timer) for timer in timers],
        "schedule_known": list(NAMES),
        "schedule_timeout": found.timeout,
        "schedule_environment": dict(found.environment),
        "schedule_environment_file": found.environment_file,
        "schedule_on_failure": list(found.on_failure),
    }


def _job(timer: Timer) -> dict[str, Any]:
    return {"name": timer.job.name, "title": timer.job.title, "at": list(timer.at), "delay": timer.delay_s}


def _alone(settings: Settings, environment: str) -> None:
    """Refuse an environment whose units could be taken for those of another one of this project."""
    own = place.units_of(environment, NAMES)
    for other in settings.environments:
        if other != environment and Path(other).name != Path(environment).name:
            both = sorted(own & place.units_of(other, NAMES))
            check(
                not both, f"the environments {environment} and {other} would both have the unit {(both or [''])[0]}: "
                "give one of them another name",
            )  # fmt: skip


def _local(hosts: Mapping[str, Variables]) -> list[str]:
    """Return the folders that hosts have on this very machine."""
    here = [known for known in hosts.values() if known.get("ansible_connection") == "local"]
    return [str(known[key]) for known in here for key in _PATHS if known.get(key)]


def _metrics(found: Config) -> list[str]:
    return [found.metrics] if found.metrics else []


def _usable(words: Sequence[str]) -> None:
    """Refuse what a unit's command line would read in another way."""
    for word in words:
        if set(word) & set("%\"'\\$ ") or not word.isprintable():
            hint = "move the project, or name the environment, without blanks, quotes, $ and %"
            raise WindlassError("preflight_failed", f"systemd cannot be given {word!r}", hint=hint)


def crontab(command: Sequence[str], jobs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return lines for a crontab that do about the same, where there is no systemd: one job an hour of the night."""
    return [f"{7 * number % 60} {number % 24} * * * {' '.join(command)} --job {job['name']}"
            for number, job in enumerate(jobs, 1)]  # fmt: skip
