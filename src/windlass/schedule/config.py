"""What ``windlass_schedule`` of an inventory says, checked.  Mistakes name the key, never a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.inventory_values import check, known_keys, milliseconds
from windlass.schedule.jobs import JOBS, NAMES, Fleet, Job

WHERE = ("control", "target")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNIT = re.compile(r"[A-Za-z0-9:_.@\\-]+")
_OFF, _ON = ("off", "false", "no"), ("on", "true", "yes")
Place = Mapping[str, str]


@dataclass(frozen=True)
class Timer:
    """When a job runs: expressions of systemd's OnCalendar, and how far it may be put off (seconds)."""

    job: Job
    at: tuple[str, ...]
    delay_s: int


@dataclass(frozen=True)
class Config:
    """An environment's schedule.  ``webhook`` and ``webhooks`` (by job) hold secrets; times are seconds."""

    where: str = "control"
    timers: tuple[Timer, ...] = ()
    timeout: int = 12 * 3600
    environment: Mapping[str, str] = field(default_factory=dict)
    environment_file: str = ""
    metrics: str = ""
    webhook: str = field(default="", repr=False)
    webhooks: Mapping[str, str] = field(default_factory=dict, repr=False)
    webhook_timeout: int = 10
    command: str = ""
    on_failure: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()

    def telling(self, timers: Sequence[Timer]) -> dict[str, Any]:
        """Return what a job under way needs to know, as plain data with secrets in it; ``timers`` are its host's."""
        names = ("metrics", "webhook", "webhooks", "webhook_timeout", "command")
        return {**{name: getattr(self, name) for name in names}, "jobs": [timer.job.name for timer in timers]}


KEYS = ("where", "jobs", "delay", "timeout", "environment", "environment_file", "metrics", "webhook", "webhook_timeout",
        "command", "on_failure", "writable")  # fmt: skip
_JOB_KEYS = ("at", "delay", "webhook")


def read(raw: Any, fleet: Fleet, *, host: str = "") -> Config:
    """Read ``windlass_schedule`` (nothing said: all defaults).  Raises ``inventory_invalid`` with the key."""
    place = {"host": host}
    raw = raw or {}
    check(isinstance(raw, Mapping), "windlass_schedule is not a mapping", **place)
    known_keys(raw, KEYS, "windlass_schedule", **place)
    where = str(raw.get("where") or "control")
    check(where in WHERE, f"windlass_schedule.where is one of {', '.join(WHERE)}", **place)
    listed = raw.get("jobs") or {}
    check(isinstance(listed, Mapping), "windlass_schedule.jobs is not a mapping of jobs to times", **place)
    known_keys(listed, NAMES, "windlass_schedule.jobs", **place)
    return Config(
        where=where,
        timers=tuple(_timers(listed, _seconds(raw.get("delay", "10min"), "delay", place), fleet, place)),
        timeout=_seconds(raw.get("timeout", "12h"), "timeout", place, least=1),
        environment=_environment(raw.get("environment"), place),
        environment_file=_path(raw, "environment_file", place),
        metrics=_path(raw, "metrics", place),
        webhook=_address(raw.get("webhook"), "webhook", place),
        webhooks=_webhooks(listed, place),
        webhook_timeout=_seconds(raw.get("webhook_timeout", "10s"), "webhook_timeout", place, least=1),
        command=_path(raw, "command", place),
        on_failure=tuple(_units(raw.get("on_failure"), place)),
        writable=tuple(_absolute(each, "writable", place) for each in _list(raw.get("writable"))),
    )


def _timers(listed: Mapping[str, Any], delay_s: int, fleet: Fleet, place: Place) -> list[Timer]:
    found = []
    for job in JOBS:
        said = listed.get(job.name)
        own = said if isinstance(said, Mapping) else {"at": said}
        key = f"jobs.{job.name}"
        known_keys(own, _JOB_KEYS, f"windlass_schedule.{key}", **place)
        at = _at(own.get("at"), job, fleet, key, place)
        own_s = _seconds(own["delay"], f"{key}.delay", place) if "delay" in own else delay_s
        if at:
            found.append(Timer(job, at, own_s))
    return found


def _at(said: Any, job: Job, fleet: Fleet, key: str, place: Place) -> tuple[str, ...]:
    """Return when a job runs; nothing when it does not."""
    if said is None:
        return (job.at,) if job.wanted(fleet) else ()
    if str(said).lower() in _OFF:
        return ()
    if str(said).lower() in _ON:
        return (job.at,)
    times = tuple(str(each).strip() for each in _list(said))
    usable = bool(times) and all(time and time.isprintable() and "%" not in time for time in times)
    check(usable, f"windlass_schedule.{key} is a time in systemd's OnCalendar form, a list of them, or off", **place)
    return times


def _webhooks(listed: Mapping[str, Any], place: Place) -> dict[str, str]:
    own = {name: said.get("webhook") for name, said in listed.items() if isinstance(said, Mapping)}
    return {name: _address(value, f"jobs.{name}.webhook", place) for name, value in own.items() if value}


def _address(value: Any, key: str, place: Place) -> str:
    address = str(value or "").strip()
    usable = not address or bool(re.fullmatch(r"https?://[^\s/]+\S*", address))
    check(usable, f"windlass_schedule.{key} is not an http or https address", **place)
    return address


def _environment(raw: Any, place: Place) -> dict[str, str]:
    check(raw is None or isinstance(raw, Mapping), "windlass_schedule.environment is not a mapping", **place)
    found = {str(key): str(value) for key, value in (raw or {}).items()}
    for key, value in found.items():
        usable = bool(_VARIABLE.fullmatch(key)) and value.isprintable()
        check(usable, f"windlass_schedule.environment: {key} is not a variable with one line", **place)
    return found


def _path(raw: Mapping[str, Any], key: str, place: Place) -> str:
    value = str(raw.get(key) or "")
    return _absolute(value, key, place) if value else ""


def _absolute(value: Any, key: str, place: Place) -> str:
    path = str(value)
    usable = path.startswith("/") and path.isprintable() and not set(path) & set("%\"'\\ ")
    check(usable, f"windlass_schedule.{key} is not an absolute path (without blanks, quotes or %)", **place)
    return path


def _units(raw: Any, place: Place) -> list[str]:
    units = [str(each) for each in _list(raw)]
    for unit in units:
        message = "windlass_schedule.on_failure names units, such as page-me.service"
        check(bool(_UNIT.fullmatch(unit)) and "." in unit, message, **place)
    return units


def _seconds(value: Any, key: str, place: Place, least: int = 0) -> int:
    seconds = milliseconds(value, f"windlass_schedule.{key}", **place) // 1000
    check(seconds >= least, f"windlass_schedule.{key} is {least} s or more", **place)
    return seconds


def _list(value: Any) -> Sequence[Any]:
    if value is None or value == "":
        return ()
    return value if isinstance(value, (list, tuple)) else (value,)
