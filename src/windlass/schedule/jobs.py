"""The jobs that can run by the clock.  A new one is one more entry of :data:`JOBS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from windlass_engine.errors import WindlassError


@dataclass(frozen=True)
class Fleet:
    """What an environment's hosts have, as far as it decides which jobs make sense.

    ``drills``: every policy allows scratch databases.  ``periods`` are those of maintenance jobs.
    """

    tests: bool = False
    drills: bool = False
    retention: bool = False
    offsite: bool = False
    periods: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Job:
    """One job: the playbook that it runs, with variables, and when it runs unless the inventory says another time.

    ``part`` names the part of the record that every database must have, and not as skipped, for the run to be a
    success ("": the playbook's own end says all).  ``wanted`` tells whether it is scheduled where the inventory says
    nothing of it.  ``on_target`` says that it can run on a target without this checkout.
    """

    name: str
    title: str
    playbook: str
    at: str
    wanted: Callable[[Fleet], bool]
    variables: Mapping[str, Any] = field(default_factory=dict)
    part: str = ""
    on_target: bool = False


def _maintenance(period: str, at: str) -> Job:
    return Job(
        f"maintain-{period}", f"{period} maintenance", "maintain", at,
        lambda fleet: period in fleet.periods, {"windlass_period": period},
    )  # fmt: skip


_DRILL = {"windlass_drill": True, "windlass_yes": True}

JOBS = (
    Job("backup", "backup", "backup", "*-*-* 01:00:00", lambda fleet: True, part="backup", on_target=True),
    Job("backup-test", "restore test", "restore_test", "*-*-* 04:00:00", lambda fleet: fleet.tests,
        part="restore_test"),
    Job("drill-restore", "drill of a rollback by restore", "rollback-restore", "Sun *-*-01..07 02:00:00",
        lambda fleet: fleet.drills, {**_DRILL, "windlass_backup_ref": "latest"}, part="copies"),
    Job("drill-migration", "drill of undoing the last migration", "rollback-migration", "Sun *-*-01..07 02:30:00",
        lambda fleet: False, {**_DRILL, "windlass_steps": 1}, part="copies"),
    Job("offsite", "off-site copies", "offsite", "*-*-* 05:00:00", lambda fleet: fleet.offsite, on_target=True),
    Job("offsite-check", "check of the off-site repository", "offsite", "Sun *-*-* 05:30:00", lambda fleet: False,
        {"windlass_offsite_check": True}, on_target=True),
    Job("prune", "retention", "prune", "*-*-* 06:00:00", lambda fleet: fleet.retention, on_target=True),
    _maintenance("hourly", "hourly"),
    _maintenance("daily", "*-*-* 03:00:00"),
    _maintenance("monthly", "*-*-01 03:30:00"),
    Job("check", "look for drift and overdue backups", "status", "hourly", lambda fleet: True,
        {"windlass_strict": True}, part="info"),
    Job("drift", "look for what others changed in the schema", "drift", "*-*-* 00:30:00", lambda fleet: True),
    Job("verify", "standing checks", "verify", "*-*-* 06:30:00", lambda fleet: True, {"windlass_samples": False}),
)  # fmt: skip
NAMES = tuple(job.name for job in JOBS)


def find(name: str) -> Job:
    """Return a job by its name.  Raises ``usage`` with those that there are."""
    for job in JOBS:
        if job.name == name:
            return job
    raise WindlassError("usage", f"there is no scheduled job {name!r}", hint=f"there are: {', '.join(NAMES)}")
