"""Verbs that change a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.context import Context

from windlass.front.door import Names, project, scope, verb
from windlass.front.words import (
    ATOMIC,
    BREAK_GLASS,
    DOWN_FROM,
    SETTLE,
    backwards,
    downs_from,
    period,
    refuse_two_ways,
    refuse_without_a_way,
    settled,
)

if TYPE_CHECKING:
    from windlass.verbs import Scope


@verb(
    atomic=ATOMIC,
    settle=SETTLE,
    break_glass=BREAK_GLASS,
    restore_archived="put back what rollbacks of these migrations took away",
)
def deploy(
    _: Context,
    where: Scope,
    to: str = "",
    plan: str = "",
    yes: bool = False,
    dry_run: bool = False,
    atomic: bool = False,
    settle: str = "",
    break_glass: str = "",
    restore_archived: bool = False,
) -> int:
    """Back up, migrate, verify and report; shows the plan and asks first.

    Without --yes or --plan the plan is shown and confirmed as the environment's policy wants it.  A run that goes
    on already is found, joined and reported.  What can go wrong and its exit codes: docs/exit-codes.md
    """
    from windlass import verbs

    given = {"windlass_to": to, "windlass_atomic": atomic or "", **settled(settle)}
    given |= {"windlass_restore_archived": restore_archived or ""}
    how: dict[str, Any] = {"plan": plan, "yes": yes, "dry_run": dry_run, "break_glass": break_glass}
    return verbs.change(project(), where, "deploy", given, **how)


@verb(
    to="back to this migration, which stays (or give --steps); with --restore: the last one afterwards",
    application="the application goes first and returns afterwards: what the hosts of the group applications declare",
    restore="bring this backup back in place of the database: an id, latest, or before:RUN",
    confirm="the environment's name, as it would be typed when asked",
    keep_evidence="also back up the broken state before anything is changed",
    drill="do all of it to a scratch copy of the newest backup, and note how long it takes",
    settle=SETTLE,
    down_from=DOWN_FROM,
    archive="keep what down scripts take away in archives (--no-archive: lose it)",
)
def rollback(
    _: Context,
    where: Scope,
    steps: int = 0,
    to: str = "",
    application: bool = False,
    restore: str = "",
    plan: str = "",
    confirm: str = "",
    keep_evidence: bool = False,
    drill: bool = False,
    allow_data_loss: bool = False,
    down_from: str = "",
    archive: bool = True,
    settle: str = "",
    yes: bool = False,
    dry_run: bool = False,
) -> int:
    """Go back: undo the last migrations, with or without the application, or restore a backup; alone it advises.

    Without a way (--steps, --to or --restore) it shows what the last runs did, which ways back there are, what each
    would lose, and which one to take.  Down scripts come from the database's own journal, so no checkout of that time
    is needed; where one fails, mend the down.sql and say --down-from checkout.  What they take away is archived first.
    A careful down script refuses to drop rows; --allow-data-loss is the word that it asks for.
    """
    from windlass import verbs

    if not (steps or to or restore):
        refuse_without_a_way(application, drill)
        return verbs.look(project(), where, "rollback_options")
    if restore:
        refuse_two_ways(steps)
        given: dict[str, Any] = {"windlass_backup_ref": restore, "windlass_to": to}
    else:
        given = backwards(steps, to) | settled(settle) | downs_from(down_from)
    given |= {"windlass_allow_data_loss": allow_data_loss or "", "windlass_archive": archive}
    given |= {"windlass_keep_evidence": keep_evidence or ""}
    way = verbs.Way("restore" if restore else "application" if application else "migration", confirm, drill)
    return verbs.go_back(project(), where, given, way, plan=plan, yes=yes, dry_run=dry_run)


@verb(to="mark up to and with this migration (default: all)")
def baseline(
    _: Context,
    where: Scope,
    to: str = "",
    plan: str = "",
    yes: bool = False,
    dry_run: bool = False,
) -> int:
    """Adopt a database that stands already: mark migrations as applied after their verify scripts pass."""
    from windlass import verbs

    given = {"windlass_direction": "baseline", "windlass_to": to}
    return verbs.change(project(), where, "baseline", given, plan=plan, yes=yes, dry_run=dry_run)


@verb(job="only this one, by its file's name", schedule="only those of a schedule: hourly, daily or monthly")
def maintain(
    _: Context,
    where: Scope,
    job: str = "",
    schedule: str = "",
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """Run maintenance jobs: clean-ups, retries, partitions; each locked, counted and written into the log."""
    from windlass import verbs

    given = {"windlass_job": job, **period(schedule)}
    return verbs.look(project(), where, "maintain", given, as_json=json, dry_run=dry_run)


@verb(
    plan="the digest that `invoke plan` showed",
    key="the SSH key to sign with (default: git's user.signingkey, or the usual one)",
    atomic=ATOMIC,
)
def approve(
    _: Context,
    env: str = "",
    plan: str = "",
    key: str = "",
    host: str = "",
    database: Names = None,
    to: str = "",
    atomic: bool = False,
    verbose: int = 0,
) -> int:
    """Sign a plan as somebody other than its author, where the environment's gate asks for approvals.

    Shows the plan as it is now; a digest that is not its own is refused.  Give --host, --database and --to as the
    deployment will have them.
    """
    from windlass import verbs

    given = {"windlass_to": to, "windlass_atomic": atomic or ""}
    return verbs.approve(project(), scope(env, host, database, verbose), given, plan, key)
