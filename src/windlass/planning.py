"""What the planning task shows and sends: plans for people and for the target, and facts about what stands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from windlass.environment import Database
from windlass.project import Project
from windlass_engine import dialects
from windlass_engine import plan as planner
from windlass_engine.dialects import poolers
from windlass_engine.errors import WindlassError
from windlass_engine.model import Journal, JournalEntry, Plan, Script, Step, to_wire
from windlass_engine.project import script
from windlass_engine.project.view import natural_key
from windlass_engine.wire import pack

if TYPE_CHECKING:
    from windlass.risk import Pending

_STANDING = ("applied", "partial", "reverting")
#: Seconds between two runs of a maintenance job, by the schedule that its script names.
PERIODS_S = {"hourly": 3600, "daily": 86_400, "monthly": 31 * 86_400}


@dataclass(frozen=True)
class Wish:
    """What the operator asks for on one database."""

    direction: str = "up"
    to: str = ""
    steps: int = 0
    names: tuple[str, ...] = ()
    atomic: bool = False
    allow_out_of_order: bool = False
    #: Whose down scripts undo: those that the journal keeps, or the ``checkout``'s.
    down_from: str = "journal"


def look(
    call: Callable[..., dict[str, Any]],
    asked: Sequence[Database],
    projects: Mapping[str, Project],
    wishes: Mapping[str, Wish],
    tell: Callable[[str], None],
) -> dict[str, dict[str, Any]]:
    """Return what stands, by database; ``call`` runs a module on the target, ``tell`` takes lines for people.

    The journal is read again, with texts, only where a plan needs some.
    """
    steps = max((wish.steps for wish in wishes.values() if wish.direction == "down"), default=0)
    found: dict[str, dict[str, Any]] = call("db_info", asked, newest=steps)["databases"]
    found.update(_look_at_busy([d for d in asked if is_held(found[d.name])], found, call, tell))
    texts = {}
    for database in asked:
        if found[database.name].get("error"):
            continue  # it is told with the plan, which cannot be made
        stands = standing(found[database.name])
        names = texts_needed(projects[database.system], stands, wishes[database.name])
        needed = tuple(name for name in names if not _has_text(stands, name))
        texts.update({database.name: needed} if needed else {})
    again = [database for database in asked if database.name in texts]
    if again:
        found.update(call("db_info", again, texts_of=texts)["databases"])
    return found


def _has_text(stands: Journal, name: str) -> bool:
    """Return whether a migration's texts were read with the journal."""
    entry = stands.get("migration", name)
    return bool(entry and entry.up_text)


def is_held(stands: Mapping[str, Any]) -> bool:
    """Return whether a session holds the deployer lock that no run on this host can be followed for.

    It may be what a killed run left: the server works on for a moment, and may still commit.
    """
    return bool(stands["lock"] and not stands["running"])


def _look_at_busy(
    busy: Sequence[Database],
    found: Mapping[str, Mapping[str, Any]],
    call: Callable[..., dict[str, Any]],
    tell: Callable[[str], None],
) -> dict[str, dict[str, Any]]:
    """Look again when whoever holds the deployer lock is gone, or the policy's patience is over."""
    for database in busy:
        holder = found[database.name]["lock"]["holder"]
        tell(f"{database.name}: another session holds the deployer lock ({holder}); waiting for its end to plan")
    wait_s = max((database.policy.deploy_lock_wait for database in busy), default=0) / 1000
    return call("db_info", busy, lock_wait=wait_s)["databases"] if busy else {}


def standing(stands: Mapping[str, Any]) -> Journal:
    """Return the journal that was read, an empty one where it could not be."""
    return Journal.from_wire(stands["journal"]) if stands["journal"] else Journal()


def plan(project: Project, journal: Journal, wish: Wish, host: str, database: str) -> Plan:
    """Return the plan for a wish.

    Raises what the planner refuses, ``usage`` for an unknown direction, and ``project_invalid`` for a mistake in any
    script that this plan, its undoing or its proof would run.
    """
    plans = {"up": _up, "down": _down, "baseline": _baseline, "to": _towards}
    if wish.direction not in plans:
        raise WindlassError("usage", f"a plan goes up, down, to a name or is a baseline, not {wish.direction!r}")
    return plans[wish.direction](project, journal, wish, host, database)


def _down(project: Project, journal: Journal, wish: Wish, host: str, database: str) -> Plan:
    downs = _checkout_downs(project, journal, wish) if wish.down_from == "checkout" else None
    return planner.plan_down(
        journal, _journal_loader(project), system=project.system, host=host, database=database,
        steps=wish.steps, to=wish.to, names=wish.names, downs=downs,
    )  # fmt: skip


def _towards(project: Project, journal: Journal, wish: Wish, host: str, database: str) -> Plan:
    """Return the plan that lets a migration be the last one, whichever way it lies."""
    plan = _down if _stands(journal, wish.to) else _up
    return plan(project, journal, wish, host, database)


def _stands(journal: Journal, name: str) -> bool:
    entry = journal.get("migration", name)
    return entry is not None and entry.state in _STANDING


def _checkout_downs(project: Project, journal: Journal, wish: Wish) -> dict[str, Script]:
    """Return this checkout's down scripts of what is to be undone, parted."""
    wanted = planner.undo_candidates(journal, wish.steps, wish.to, wish.names)
    return {item.name: project.full(item.down) for item in project.migrations if item.down and item.name in wanted}


def _baseline(project: Project, journal: Journal, wish: Wish, host: str, database: str) -> Plan:
    view = project.view()
    return planner.plan_baseline(view, journal, host=host, database=database, to=wish.to, parse=project.full)


def _up(project: Project, journal: Journal, wish: Wish, host: str, database: str) -> Plan:
    found = planner.plan_up(
        project.view(), journal, host=host, database=database, to=wish.to, parse=project.full,
        atomic=wish.atomic, allow_out_of_order=wish.allow_out_of_order,
    )  # fmt: skip
    if found.steps:
        _part_companions(project, found)
    return found


def _part_companions(project: Project, plan: Plan) -> None:
    """Part the scripts that run beside a plan's own, so that a mistake in one is found before anything is touched."""
    for step in plan.steps:
        for companion in (step.down, step.verify):
            if companion:
                project.full(companion)
    for companion in (*project.checks, *project.samples):
        project.full(companion)


def _journal_loader(project: Project) -> Any:
    """Return what makes a script of a text that the journal kept."""
    dialect = dialects.get(project.engine)

    def load(text: str, path: str) -> Script:
        return script.load(text.encode(), path, dialect.split, kind="down")

    return load


def texts_needed(project: Project, journal: Journal, wish: Wish) -> tuple[str, ...]:
    """Return the migrations whose texts the plan will need out of the journal."""
    if wish.direction == "down" or (wish.direction == "to" and _stands(journal, wish.to)):
        return planner.undo_candidates(journal, wish.steps, wish.to, wish.names)
    return planner.texts_needed(project.view(), journal)


def preflight(plan: Plan, stands: Mapping[str, Any]) -> None:
    """Refuse work that the server will not take.

    Raises ``read_only_server``, ``pooler_detected`` or ``preflight_failed``.
    """
    if not plan.steps:
        return
    where = {"host": plan.host, "database": plan.database}
    if stands["read_only"]:
        hint = "point the inventory's url at the primary"
        raise WindlassError("read_only_server", "the server is a standby or read-only", hint=hint, where=where)
    if stands["pooler"]:
        raise poolers.refusal(stands["pooler"]).located(**where)
    if not stands["may_create_schema"] and not stands["journal"]["exists"]:
        message = f"the login {stands['user']} may not create a schema, which the journal needs"
        hint = f'GRANT CREATE ON DATABASE "{stands["database"]}" TO "{stands["user"]}", as the database\'s owner'
        raise WindlassError("preflight_failed", message, hint=hint, where=where)


def packed(plan: Plan) -> str:
    """Return a plan as it travels to the target."""
    return pack({"digest": plan.digest, "plan": to_wire(plan)})


def shown(plan: Plan, schema_version: str, confirm: str, proved: Collection[str] = ()) -> dict[str, Any]:
    """Return a plan as people and records see it; ``proved`` are the migrations whose texts were proved."""
    return {
        "digest": plan.digest,
        "system": plan.system,
        "direction": plan.direction,
        "schema_version": schema_version,
        "confirm": confirm,
        "atomic": plan.atomic,
        "warnings": list(plan.warnings),
        "steps": [{**_shown_step(step), "proved": step.name in proved} for step in plan.steps],
    }


def _shown_step(step: Step) -> dict[str, Any]:
    return {
        "action": step.action,
        "kind": step.kind,
        "name": step.name,
        "reason": step.reason,
        "reversible": step.reversible,
        "irreversible": step.script.directives.irreversible,
        "transactional": step.script.directives.transactional,
        "checksum": step.script.checksum,
        "statements": len(step.script.statements),
        "sql": step.script.text,
    }


def statements(plan: Plan) -> list[Pending]:
    """Return the statements that a plan will run, in order."""
    from windlass.risk import Pending

    return [
        Pending(number, item.line, step.script.sql(item), item.backfill is not None, item.copy_data)
        for number, step in enumerate(plan.steps)
        if step.action != "baseline"
        for item in step.script.statements[step.skip :]
    ]


def facts(project: Project, journal: Journal, stands: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a database: what stands, and how that differs from the project."""
    entries = [entry for entry in journal.entries if entry.kind == "migration"]
    known = [migration.name for migration in project.migrations]
    standing = {entry.name for entry in entries if entry.state in _STANDING}
    pending = [name for name in known if name not in standing]
    view = project.view()
    events = stands.get("history") or ()
    return {
        "server_version": "", "schema_version": "", "read_only": False,
        **{key: value for key, value in stands.items() if key not in ("journal", "history")},
        "pending": pending,
        "changed": list(planner.edited(view, journal)),
        "unknown": [name for name in sorted(standing) if name not in known],
        "partial": [entry.name for entry in entries if entry.state in ("partial", "reverting")],
        "out_of_order": _late(pending, standing),
        "last_run": _last_run(events[0]) if events else None,
        "overdue": list(_overdue(project, entries, stands.get("maintained") or {})),
    }  # fmt: skip


def _overdue(project: Project, entries: Sequence[JournalEntry], ages_s: Mapping[str, int]) -> Iterator[str]:
    """Yield the maintenance jobs that nobody has run for twice their period, or not since the system stands."""
    first = min((entry.applied_at for entry in entries if entry.applied_at), default="")
    standing_s = (datetime.now(UTC) - datetime.fromisoformat(first)).total_seconds() if first else 0.0
    for job in project.maintenance:
        name, period_s = PurePosixPath(job.path).stem, PERIODS_S.get(job.directives.schedule)
        if period_s and ages_s.get(name, standing_s) > 2 * period_s:
            yield name


def _late(pending: Sequence[str], standing: Iterable[str]) -> list[str]:
    """Return pending migrations that sort before one that stands."""
    last = max(map(natural_key, standing), default=())
    return [name for name in pending if natural_key(name) < last]


def _last_run(event: Mapping[str, Any]) -> dict[str, Any]:
    return {**{key: event.get(key, "") for key in ("at", "who", "origin", "run_id")}, "status": event["event"]}
