"""Verbs that keep data and bring it back: backups, archives, timers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context

from windlass.front.door import Names, project, scope, verb
from windlass.front.words import refuse_several

if TYPE_CHECKING:
    from windlass.verbs import Scope


@verb()
def backup(_: Context, where: Scope, dry_run: bool = False) -> int:
    """Back up databases; a backup appears whole and checked, or not at all."""
    from windlass import verbs

    return verbs.do(project(), where, "backup", dry_run=dry_run)


@verb(
    download="bring this backup (an id, or latest) to this machine",
    to="with --download: the folder for it (default: .windlass/downloads)",
    fetch="bring this backup back from the off-site repository",
)
def backups(
    _: Context,
    where: Scope,
    download: str = "",
    to: str = "",
    fetch: str = "",
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """List backups with age, size, state and off-site copies; bring one here, or back from off-site."""
    from windlass import verbs

    if download:
        place = str(Path(to).expanduser().resolve()) if to else ""
        given = {"windlass_download": download, "windlass_download_to": place}
        return verbs.look(project(), where, "download", given, as_json=json, dry_run=dry_run)
    if fetch:
        return verbs.look(project(), where, "offsite", {"windlass_fetch": fetch}, as_json=json, dry_run=dry_run)
    return verbs.look(project(), where, "backups", as_json=json)


@verb(
    export="write this archive as a CSV file on this machine",
    to="with --export: the folder for it (default: .windlass/archives)",
    put_back="put the rows of this archive back into their table; its name has to be typed again",
    purge="delete the rows of this archive for good; its name has to be typed again",
)
def archives(
    _: Context,
    where: Scope,
    export: str = "",
    to: str = "",
    put_back: str = "",
    purge: str = "",
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """List what rollbacks took away and keep in the database; export, put back or purge one archive."""
    from windlass import confirm, verbs

    refuse_several(export=export, put_back=put_back, purge=purge)
    if (put_back or purge) and not dry_run:
        what = f"delete the rows of {purge} for good" if purge else f"put the rows of {put_back} back into their table"
        confirm.type_again(put_back or purge, "the archive's name", what)
    if put_back:
        return verbs.do(project(), where, "put_back_archive", {"windlass_put_back": put_back}, dry_run=dry_run)
    if purge:
        return verbs.do(project(), where, "purge_archive", {"windlass_purge": purge}, dry_run=dry_run)
    place = str(Path(to).expanduser().resolve()) if to else ""
    given = {"windlass_export": export, "windlass_export_to": place}
    return verbs.look(project(), where, "archives", given, as_json=json, dry_run=dry_run)


@verb()
def prune(_: Context, where: Scope, dry_run: bool = False, json: bool = False) -> int:
    """Delete the backups that no rule of windlass_retention keeps; --dry-run says what, and why the others stay."""
    from windlass import verbs

    return verbs.look(project(), where, "prune", as_json=json, dry_run=dry_run)


@verb(keep="days for which runs are kept (default: $WINDLASS_KEEP_RUNS, or 90)")
def prune_runs(_: Context, keep: str = "", dry_run: bool = False, json: bool = False) -> None:
    """Delete the records and reports of old runs on this machine that nothing refers to any more.

    What evidence, incidents, drills, rehearsals, proofs, query baselines and the dashboard name stays whatever its age.
    """
    from windlass.telling import pruned

    pruned.prune(project().root, keep, dry_run=dry_run, as_json=json)


@verb(create="make the repository where there is none", check="let restic read and check all of its data")
def offsite(
    _: Context,
    where: Scope,
    create: bool = False,
    check: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """Copy to the off-site repository what it does not have yet; each copy is read back and compared."""
    from windlass import verbs

    given = {"windlass_offsite_create": create, "windlass_offsite_check": check}
    return verbs.look(project(), where, "offsite", given, as_json=json, dry_run=dry_run)


@verb()
def backup_test(_: Context, where: Scope, dry_run: bool = False, json: bool = False) -> int:
    """Restore the newest backups into scratch databases, compare and check them, and mark them as verified.

    The policy's restore_test_host says where.  A failed test or a database without a backup is not a success.
    """
    from windlass import verbs

    return verbs.look(project(), where, "restore_test", as_json=json, dry_run=dry_run)


@verb(
    status="only say how each job ended last and when it runs next",
    remove="take the timers away",
)
def schedule(
    _: Context,
    env: str = "",
    status: bool = False,
    remove: bool = False,
    dry_run: bool = False,
    json: bool = False,
    verbose: int = 0,
) -> int:
    """Install systemd timers for backups, restore tests, retention, maintenance and checks, as the inventory says.

    The inventory's windlass_schedule says what runs when; docs/schedule.md explains it.  --dry-run shows the units.
    """
    from windlass import verbs

    where = scope(env, "", None, verbose)
    if status:
        return verbs.look(project(), where, "schedule_status", as_json=json)
    return verbs.look(project(), where, "schedule", {"schedule_remove": remove}, as_json=json, dry_run=dry_run)


@verb(
    job="which one, as `invoke schedule --status` calls it",
    died="only tell that it ended without a word; systemd calls this",
)
def run_scheduled(_: Context, env: str = "", job: str = "", died: bool = False, verbose: int = 0) -> int:
    """Run one scheduled job as its timer does: with lock, result, metrics and webhook."""
    from windlass.schedule import runner

    return runner.died(project(), env, job) if died else runner.run(project(), env, job, verbose=verbose)


@verb(
    backup="which one: latest, an id that `invoke backups` showed, before:RUN, or a path",
    into="name of the new database (default: DATABASE_restored, with --table DATABASE_restored_tables)",
    table="bring back the rows of this table only, as SCHEMA.TABLE or a pattern; may be repeated",
    swap="let the restored database take the place of the original, which is kept under another name",
    swap_standing="restore nothing; let the database that an earlier restore made take the original's place",
    undo="restore nothing; put the original that --swap set aside back into its place",
    drop="restore nothing; drop this database, which a swap kept or an earlier restore made",
)
def restore(
    _: Context,
    where: Scope,
    backup: str = "latest",
    into: str = "",
    table: Names = None,
    swap: bool = False,
    swap_standing: bool = False,
    undo: bool = False,
    drop: str = "",
    yes: bool = False,
    dry_run: bool = False,
) -> int:
    """Restore a backup beside the original, never over it; --swap exchanges the two afterwards."""
    from windlass import confirm, verbs

    if not (yes or dry_run):
        policy = "typed" if swap or swap_standing or undo or drop else "yes"
        confirm.ask(policy, where.environment, "restore", reviewable=False)
    given = {"windlass_backup_ref": backup, "windlass_restore_into": into, "windlass_swap": swap}
    given |= {"windlass_restore_tables": list(table)} if table else {}
    given |= {"windlass_swap_standing": swap_standing, "windlass_undo_swap": undo, "windlass_restore_drop": drop}
    return verbs.do(project(), where, "restore", given, dry_run=dry_run)
