# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Between Ansible and the engine: login options become targets, results and errors become what a task returns."""

from __future__ import annotations

import glob
import importlib.util
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Callable, Optional

from ansible.module_utils import windlass_detach, windlass_locks
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.windlass_detach import (
    Event,
    Job,
    News,
    Work,
    ensure,
    follow,
    has_ended,
    job_folder,
    state_dir,
    unexpected,
)
from ansible.module_utils.windlass_engine import dialects
from ansible.module_utils.windlass_engine.errors import WindlassError
from ansible.module_utils.windlass_engine.model import Target
from ansible.module_utils.windlass_engine.wire import pack

DATABASES = {
    "type": "list",
    "elements": "dict",
    "required": True,
    "options": {
        "name": {"type": "str", "required": True},
        "system": {"type": "str", "required": True},
        "url": {"type": "str", "required": True},
        "password": {"type": "str", "default": "", "no_log": True},
        "policy": {"type": "dict"},
    },
}
COMMON = {
    "databases": DATABASES,
    "policy": {"type": "dict"},
    "only": {"type": "list", "elements": "str"},
    "state_dir": {"type": "path", "default": ""},
}
#: What the action plugins of long work add by themselves.
FOLLOWING = {
    "run_id": {"type": "str", "default": ""},
    "settings": {"type": "dict"},
    "cursor": {"type": "dict"},
    "seconds": {"type": "float", "default": 1.0},
    "scheduled": {"type": "bool", "default": False},
}
_SECRET = "********"
#: Kinds of jobs that run a plan.
CHANGES = ("migrate", "revert", "baseline")


def answer(spec: dict[str, Any], work: Callable[[AnsibleModule], dict[str, Any]]) -> None:
    """Run a module: ``work`` gets it and returns plain data, which travels packed.  Errors travel the same way."""
    serve(AnsibleModule(argument_spec={**COMMON, **spec}, supports_check_mode=True, no_log=True), work)


def serve(module: AnsibleModule, work: Callable[[AnsibleModule], dict[str, Any]]) -> None:
    """Let a module work, and answer."""
    os.umask(0o077)  # run files and backups are nobody else's business
    secrets = secrets_of(module.params)
    try:
        use_own_driver(module.params["state_dir"])
        data = {"error": None, **work(module)}
    except WindlassError as error:
        data = {"error": error.to_wire()}
    except Exception as error:
        data = {"error": unexpected(error).to_wire()}
    # without `invocation` Ansible would send all arguments back
    module.exit_json(changed=False, invocation={}, windlass_packed=pack(hidden(data, secrets), secrets))


def secrets_of(params: Mapping[str, Any]) -> list[str]:
    """Return every value among a module's parameters that nobody may see."""
    offsite = params.get("offsite") or {}
    found = [database.get("password") or "" for database in params["databases"]]
    found += [str(offsite.get("password") or ""), *map(str, (offsite.get("environment") or {}).values())]
    found += [line for line in str(params.get("identity") or "").splitlines() if not line.startswith("#")]
    return [secret for secret in found if secret]


def targets(module: AnsibleModule) -> list[Target]:
    """Return the databases to log in to."""
    return [Target(item["name"], item["system"], item["url"], item["password"]) for item in module.params["databases"]]


def hidden(value: Any, secrets: Sequence[str], key: str = "") -> Any:
    """Return data whose texts for people hold no secret; names, digests and SQL stay what they are."""
    if isinstance(value, dict):
        return {name: hidden(item, secrets, name) for name, item in value.items()}
    if isinstance(value, list):
        return [hidden(item, secrets, key) for item in value]
    if key in ("message", "hint", "reason", "detail", "error", "query") and isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, _SECRET)
    return value


def use_own_driver(state: str) -> None:
    """Let Python find the driver that `playbooks/prepare.yml` put into a virtual environment, where it lacks one."""
    if not all(importlib.util.find_spec(name) for name in ("psycopg", "pymysql", "pyodbc", "mssql_python_odbc")):
        places = [state] if state else ["/var/lib/windlass", os.path.expanduser("~/.local/state/windlass")]
        for place in places:
            sys.path.extend(glob.glob(os.path.join(glob.escape(place), "driver/lib/python3*/site-packages")))


def backup_dir(module: AnsibleModule, make: bool = True) -> str:
    """Return the folder for backups: the chosen one, or ``backups`` in the folder for run files."""
    chosen: str = module.params["backup_dir"]
    return chosen or os.path.join(state_dir(module.params["state_dir"], make), "backups")


def existing(path: str) -> str:
    """Return the nearest folder above a path, or the path itself, that is there."""
    path = os.path.abspath(path)
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def running(module: AnsibleModule, target: Target) -> Any:
    """Return who is at work on a database from this host at this moment, or None."""
    return windlass_locks.running(_folder(module, target, make=False))


def _folder(module: AnsibleModule, target: Target, make: bool = True) -> str:
    return job_folder(state_dir(module.params["state_dir"], make), target.name, target.url)


# ---------------------------------------------------------------- long work


@dataclass(frozen=True)
class Order:
    """Detached work to be done on one database; ``seen`` is another's that was going on when it was planned."""

    database: str
    job: Job
    holder: dict[str, Any]
    work: Work
    seen: Optional[Job] = None

    @property
    def scheduled(self) -> bool:
        """Return whether a timer started it, so that every person's run has precedence."""
        return bool(self.holder["scheduled"])


def order(
    module: AnsibleModule,
    target: Target,
    kind: str,
    digest: str,
    lock: str,
    work: Work,
    seen: Optional[Mapping[str, Any]] = None,
) -> Order:
    """Return an order for one database under this run's id; ``lock`` says with what it may not overlap.

    ``seen`` is who held that lock when the order was thought of: whatever became of it, it is what is followed.
    """
    with suppress(WindlassError):  # its words for a wrong URL are the work's to say
        dialects.for_url(target.url)  # imported now: Ansible deletes the engine's zip while the detached work goes on
    settings = module.params["settings"][target.name]
    holder = {"who": settings["who"], "origin": settings["origin"], "since": _now(), "digest": digest,
              "scheduled": bool(module.params.get("scheduled"))}  # fmt: skip
    job = Job(_folder(module, target), module.params["run_id"], kind, lock)
    other = Job(job.folder, seen["run_id"], seen["kind"], lock) if seen else None
    return Order(target.name, job, holder, work, other if other and serves(other, job) else None)


def advance(module: AnsibleModule, orders: Sequence[Order]) -> dict[str, Any]:
    """Start or follow orders one after the other for a slice of time, from where the last slice ended.

    Returns events, the outcome of each order that ended, who was found at work (``attached``) and, when there is more
    to come, the ``cursor`` for the next slice.  Stops after the first order that failed.
    """
    deadline = time.monotonic() + module.params["seconds"]
    cursor = module.params["cursor"] or {}
    reply = empty_reply()
    names = [item.database for item in orders]
    waiting = list(orders[names.index(cursor["database"]) if cursor else 0 :])
    while waiting and not reply["cursor"]:
        item = waiting[0]
        job, offset = _job_and_offset(item, cursor)
        if job != item.job:
            reply["attached"][item.database] = windlass_locks.holder_of(job.lock_path)
        news = follow(job, offset, max(deadline - time.monotonic(), 0.0))
        reply["events"] += [{"database": item.database, **event} for event in news.events]
        cursor = {}
        if not news.end and not news.lost:
            place = {"run_id": job.run_id, "kind": job.kind, "lock": job.lock, "offset": news.offset}
            reply["cursor"] = {"database": item.database, **place}
        elif serves(job, item.job) or _is_adopted(item, job, news) or _is_asked_again(item, job):
            end = reply["outcomes"][item.database] = outcome(item.database, job, news)
            waiting = [] if failed(end) else waiting[1:]
        if waiting and not reply["cursor"] and time.monotonic() >= deadline:
            reply["cursor"] = {"database": waiting[0].database}
    return reply


def empty_reply() -> dict[str, Any]:
    """Return what a call has to tell before anything has happened."""
    return {"events": [], "outcomes": {}, "attached": {}, "cursor": None}


def serves(found: Job, wanted: Job) -> bool:
    """Return whether a job's end is what was wanted: it is ours, or another's change where we wanted to make one.

    Another's backup or restore is only waited for, unless it is the very one that is asked for (its digest says so).
    """
    return found == wanted or (found.kind in CHANGES and wanted.kind in CHANGES)


def directly(orders: Sequence[Order]) -> dict[str, Any]:
    """Carry orders out in this very process: check mode, where nothing is changed that could be lost."""
    reply = empty_reply()
    for item in orders:
        events: list[Event] = []
        result = {"result": item.work(events.append), "error": None}
        reply["events"] += events
        reply["outcomes"][item.database] = result
        if failed(result):
            break
    return reply


def failed(result: dict[str, Any]) -> bool:
    """Return whether an outcome is a failure."""
    return bool(result["error"]) or (result["result"] or {}).get("status") == "failed"


def outcome(database: str, job: Job, news: News) -> dict[str, Any]:
    """Return how a job ended: its result or its error."""
    if news.end:
        return {"result": news.end["result"], "error": news.end["error"]}
    error = WindlassError(
        "run_lost",
        f"run {job.run_id} ended without a result: its process was killed, or the host went down",
        hint="deploy again: what is in the journal is not done twice, and an interrupted migration goes on",
        where={"database": database},
    )
    return {"result": None, "error": error.to_wire()}


def _job_and_offset(item: Order, cursor: dict[str, Any]) -> tuple[Job, int]:
    """Return the job to follow, started if it is new, and where to go on reading."""
    if "run_id" in cursor:
        return Job(item.job.folder, cursor["run_id"], cursor["kind"], cursor["lock"]), int(cursor["offset"])
    if item.seen and has_ended(item.seen) and not os.path.exists(item.job.log):
        return item.seen, 0  # it ended a moment ago: the plan knows only a part of what it did
    if not item.scheduled:
        _make_way(item.job)
    change = _in_the_way(item)
    return (change, 0) if change else (ensure(item.job, item.holder, _in_its_turn(item)), 0)


def _in_the_way(item: Order) -> Optional[Job]:
    """Return the change that a timer's backup waits for: its locks on tables would stand in that one's way."""
    is_backup = item.scheduled and item.job.kind == "backup"
    return windlass_detach.change_under_way(item.job.folder) if is_backup else None


def _in_its_turn(item: Order) -> Work:
    """Return an order's work, with another look around under its own lock: who came since the first one is seen now.

    Both sides take their lock before they look for the other's, so that one of them sees the other.
    """

    def work(emit: Callable[[Event], None]) -> dict[str, Any]:
        if not item.scheduled:
            _make_way(item.job)
        elif _in_the_way(item):
            raise windlass_detach.GaveWay
        return item.work(emit)

    return work


def _make_way(job: Job) -> None:
    """Let scheduled work that stands in the way of a person's job end; it is begun again later."""
    locks = {job.lock} if job.kind != "prune" else set()  # deleting old backups can wait for a new one
    locks |= {"backup"} if job.kind in (*CHANGES, "restore") else set()
    for lock in sorted(locks):
        windlass_locks.make_way(job.folder, lock)


def _is_adopted(item: Order, job: Job, news: News) -> bool:
    """Return whether a timer's backup need not be made: another has just made one."""
    well = news.end is not None and not news.end["error"]
    return item.scheduled and item.job.kind == "backup" and job.kind == "backup" and well


def _is_asked_again(item: Order, job: Job) -> bool:
    """Return whether another's job is the very work that is asked for: somebody comes back to it."""
    holder, digest = windlass_locks.holder_of(job.lock_path) or {}, item.holder["digest"]
    same = (holder.get("run_id"), holder.get("digest")) == (job.run_id, digest)
    return bool(digest) and job.kind == item.job.kind and same


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
