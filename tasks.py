"""Windlass: verbs for databases that must not be lost.  `invoke --list` shows them, `invoke --help VERB` explains."""

from __future__ import annotations

import functools
import inspect
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task, task

sys.path.insert(0, str(Path(__file__).parent / "src"))

from windlass.settings import Settings
from windlass.telling import manual
from windlass_engine.errors import WindlassError

if TYPE_CHECKING:
    from windlass.verbs import Scope

Names = list[str] | None
#: What a verb's ``where`` is typed as: the environment, hosts and databases that it is about.
SCOPE = {
    name: inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=kind)
    for name, default, kind in (("env", "", str), ("host", "", str), ("database", None, Names), ("verbose", 0, int))
}
SETTINGS = Settings(Path(__file__).resolve().parent)
CONTENTS: dict[str, list[str]] = {}
ATOMIC = "all pending migrations in one transaction"
SETTLE = "of an interrupted statement that the catalogue cannot judge: done (it took effect) or again (run it again)"
DOWN_FROM = "checkout: undo with this checkout's down.sql, mended since, not with the ones that the journal keeps"
BREAK_GLASS = "in an emergency: the reason, in a sentence, for passing a gate that is closed; it is recorded"
HELP = {
    "env": "environment: a folder of inventories/ (default: $WINDLASS_ENV)",
    "host": "only these hosts: names with commas, groups or patterns of the inventory (default: all)",
    "database": "only this database; may be given several times (default: all)",
    "to": "up to and with this migration (default: all)",
    "steps": "how many migrations back",
    "allow_data_loss": "let down scripts drop what holds rows; make a backup first",
    "plan": "run exactly the plan with this digest, as `invoke plan` showed it; anything else is refused",
    "yes": "do not ask",
    "dry_run": "change nothing; show the SQL and what would be done",
    "json": "print data instead of a table; messages go to stderr",
    "verbose": "say more of what Ansible does; repeat for more (--verbose --verbose)",
}


def verb(group: str, **help: str) -> Callable[[Callable[..., int | None]], Any]:
    """Make a task of a group: shared help texts, typed refusals as exit codes, invoke's own --dry as --dry-run."""

    def decorate(body: Callable[..., int | None]) -> Any:
        scoped = "where" in body.__annotations__

        @functools.wraps(body)
        def guarded(context: Context, **given: Any) -> None:
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(errors="replace")  # a name that the terminal cannot show is no reason to fail
            if "dry_run" in given and context.config.run.dry:
                given["dry_run"] = True
            try:
                if scoped:
                    given["where"] = scope(*(given.pop(name) for name in SCOPE))
                code = body(context, **given)
            except WindlassError as error:
                raise Exit(str(error), code=error.exit_code) from None
            except OSError as error:
                refusal = unusable_file(error)
                raise Exit(str(refusal), code=refusal.exit_code) from None
            if code:
                raise Exit(code=code)

        guarded.__signature__ = signature = with_scope(inspect.signature(body))  # type: ignore[attr-defined]
        names = [name for name in signature.parameters if name != "_"]
        CONTENTS.setdefault(group, []).append(body.__name__.replace("_", "-"))
        texts = {name: help.get(name) or HELP[name] for name in names}
        options: dict[str, Any] = {"iterable": [name for name in ("database", "table") if name in names]}
        options |= {"incrementable": ["verbose"]} if "verbose" in names else {}
        return task(help=texts, auto_shortflags=False, **options)(guarded)

    return decorate


def with_scope(signature: inspect.Signature) -> inspect.Signature:
    """Return a verb's signature as it is typed: the options that name databases in place of ``where``."""
    parameters = dict(signature.parameters)
    if parameters.pop("where", None):
        verbose = SCOPE["verbose"]
        known = {"_": parameters.pop("_"), **SCOPE, **parameters}
        known["verbose"] = known.pop("verbose", verbose)  # the last one, as in every list of options
        parameters = known
    return signature.replace(parameters=list(parameters.values()))


def unusable_file(error: OSError) -> WindlassError:
    """Return the refusal for a file that cannot be read or written here.  Raises the error again if it names none."""
    if not error.filename:
        raise error
    hint = "run records and new scripts are written into the project's folder, which must be yours to write"
    return WindlassError("preflight_failed", f"{error.filename}: {error.strerror}", hint=hint)


def scope(env: str, host: str, database: Names, verbose: int = 0) -> Any:
    """Return which databases are meant; refuses what does not exist."""
    from windlass import verbs

    return verbs.scope(SETTINGS, env, host, database or (), verbose)


def one(names: tuple[str, ...]) -> str | None:
    """Return the only name, or None.  Raises ``usage`` for several."""
    if len(names) > 1:
        raise WindlassError("usage", "a tunnel leads to one database", hint="give --database once")
    return names[0] if names else None


def settled(word: str) -> dict[str, Any]:
    """Return the operator's word on an interrupted statement as a variable.  Raises ``usage`` for another word."""
    if word not in ("", "done", "again"):
        raise WindlassError("usage", f"--settle {word}: no such word", hint="--settle done, or --settle again")
    return {"windlass_settle": word}


def downs_from(word: str) -> dict[str, Any]:
    """Return whose down scripts are to be used as a variable.  Raises ``usage`` for another word."""
    if word not in ("", "journal", "checkout"):
        raise WindlassError("usage", f"--down-from {word}: no such word", hint="--down-from checkout, or leave it out")
    return {"windlass_down_from": word}


def backwards(steps: int, to: str) -> dict[str, Any]:
    """Return the variables of a way back.  Raises ``usage`` unless exactly one end is given."""
    if bool(steps) == bool(to):
        raise WindlassError("usage", "how far back?", hint="give either --steps N or --to NAME (which stays)")
    return {"windlass_direction": "down", "windlass_steps": steps or "", "windlass_to": to}


def refuse_without_a_way(*ways: bool) -> None:
    """Refuse words that need one that says how far.  Raises ``usage``."""
    if any(ways):
        hint = "give --steps N, --to NAME (which stays), or --restore latest"
        raise WindlassError("usage", "how far back?", hint=hint)


CHANGE, LOOK, KEEP = "Change a database", "Look, without changing anything", "Keep and bring back data"
WRITE, TRY = "Write migrations, reach a database", "Try and measure"


@verb(
    CHANGE,
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
    return verbs.change(SETTINGS, where, "deploy", given, **how)


@verb(
    CHANGE,
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
        return verbs.look(SETTINGS, where, "rollback_options")
    if restore:
        given: dict[str, Any] = {"windlass_backup_ref": restore, "windlass_to": to}
    else:
        given = backwards(steps, to) | settled(settle) | downs_from(down_from)
    given |= {"windlass_allow_data_loss": allow_data_loss or "", "windlass_archive": archive}
    given |= {"windlass_keep_evidence": keep_evidence or ""}
    way = verbs.Way("restore" if restore else "application" if application else "migration", confirm, drill)
    return verbs.go_back(SETTINGS, where, given, way, plan=plan, yes=yes, dry_run=dry_run)


@verb(CHANGE, to="mark up to and with this migration (default: all)")
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
    return verbs.change(SETTINGS, where, "baseline", given, plan=plan, yes=yes, dry_run=dry_run)


@verb(CHANGE, job="only this one, by its file's name", schedule="only those of a schedule: hourly, daily or monthly")
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

    given = {"windlass_job": job, "windlass_period": schedule}
    return verbs.look(SETTINGS, where, "maintain", given, as_json=json, dry_run=dry_run)


@verb(LOOK, rollback="plan the way back (with --steps or --to)", baseline="plan an adoption", atomic=ATOMIC)
def plan(
    _: Context,
    where: Scope,
    to: str = "",
    rollback: bool = False,
    steps: int = 0,
    baseline: bool = False,
    atomic: bool = False,
    json: bool = False,
) -> int:
    """Show what would run on each database, in order and why, with a digest to run exactly that."""
    from windlass import verbs

    given = backwards(steps, to) if rollback else {"windlass_to": to, "windlass_atomic": atomic or ""}
    given |= {"windlass_direction": "baseline"} if baseline else {}
    return verbs.show_plan(SETTINGS, where, given, as_json=json)


@verb(
    CHANGE,
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
    return verbs.approve(SETTINGS, scope(env, host, database, verbose), given, plan, key)


@verb(LOOK, verify="hold every bundle against the hashes in the chain; exit code 46 when one was changed")
def evidence(_: Context, env: str = "", verify: bool = False, json: bool = False) -> int:
    """List the evidence of what was done to an environment: plans, approvals, backups, checks, chained by hashes."""
    from windlass import verbs

    return verbs.show_evidence(SETTINGS, env, verify=verify, as_json=json)


@verb(LOOK, out="folder for the page and the reports (default: .windlass/dashboard)")
def dashboard(_: Context, out: str = "") -> None:
    """Write a page over all run records: versions, changes, backups, restore tests, rehearsals, history."""
    from windlass.report import dashboard

    folder = Path(out).expanduser().resolve() if out else SETTINGS.state / "dashboard"
    print(dashboard.write(SETTINGS.root, folder))


@verb(LOOK, strict="end with exit code 36 when a newest verified backup is older than the policy's backup_max_age")
def status(_: Context, where: Scope, strict: bool = False, json: bool = False) -> int:
    """Show where each database stands: version, pending, last run, newest backup, who works on it."""
    from windlass import verbs

    return verbs.look(SETTINGS, where, "status", {"windlass_strict": strict}, as_json=json)


@verb(LOOK, scenario="migration, application or restore", write="make the page in docs/runbooks/ anew")
def runbook(_: Context, scenario: str, env: str = "", write: bool = False) -> None:
    """Print what to do for a way back, and what its play does, with an environment's own names."""
    from windlass import playbook
    from windlass.rollback import runbooks

    text = runbooks.page(SETTINGS.root, scenario)
    if write:
        runbooks.path(SETTINGS.root, scenario).write_text(text, encoding="utf-8")
        return
    if env:
        known = runbooks.hosts_of(playbook.inventory(SETTINGS, SETTINGS.environment(env)))
        text = runbooks.here(text, env, known)
    print(text, end="")


@verb(LOOK, limit="how many events of each database (default: 30)")
def history(_: Context, where: Scope, limit: int = 30, json: bool = False) -> int:
    """Show what was done to each database, when, by whom and how it ended."""
    from windlass import verbs

    return verbs.look(SETTINGS, where, "history", {"windlass_limit": limit}, as_json=json)


@verb(LOOK, samples="also run the sample-data tests (they are always rolled back)")
def verify(_: Context, where: Scope, samples: bool = True, json: bool = False) -> int:
    """Run the standing checks and sample-data tests; every row that a check returns is a failure."""
    from windlass import verbs

    return verbs.look(SETTINGS, where, "verify", {"windlass_samples": samples}, as_json=json)


@verb(LOOK)
def doctor(_: Context, where: Scope, json: bool = False) -> int:
    """Check connection, host keys, driver, server, rights, disk space and clock; say how to mend each."""
    from windlass import verbs

    return verbs.look(SETTINGS, where, "doctor", as_json=json)


@verb(LOOK, accept="take the schema as it stands now for what later changes are held against")
def drift(_: Context, where: Scope, accept: bool = False, dry_run: bool = False, json: bool = False) -> int:
    """Show what others changed in the schema since the last run, and the SQL that undoes or adopts it.

    Ends with exit code 51 where there is drift.
    """
    from windlass import verbs

    return verbs.look(SETTINGS, where, "drift", {"windlass_accept": accept or ""}, as_json=json, dry_run=dry_run)


@verb(LOOK)
def audit(_: Context, where: Scope, json: bool = False) -> int:
    """Hold the live schema against what the migrations make on a scratch database: gaps, their SQL and risk.

    Ends with exit code 52 where something is missing that the system requires.
    """
    from windlass import verbs

    return verbs.look(SETTINGS, where, "audit", as_json=json)


@verb(LOOK, out="the file to write, for one database (default: schema/ENV/DATABASE.txt)")
def snapshot(_: Context, where: Scope, out: str = "", dry_run: bool = False, json: bool = False) -> int:
    """Write the schema as readable text for review in git; a second time changes nothing."""
    from windlass import verbs

    place = str(Path(out).expanduser().resolve()) if out else ""
    return verbs.look(SETTINGS, where, "snapshot", {"windlass_out": place}, as_json=json, dry_run=dry_run)


@verb(KEEP)
def backup(_: Context, where: Scope, dry_run: bool = False) -> int:
    """Back up databases; a backup appears whole and checked, or not at all."""
    from windlass import verbs

    return verbs.do(SETTINGS, where, "backup", dry_run=dry_run)


@verb(
    KEEP,
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
        return verbs.look(SETTINGS, where, "download", given, as_json=json, dry_run=dry_run)
    if fetch:
        return verbs.look(SETTINGS, where, "offsite", {"windlass_fetch": fetch}, as_json=json, dry_run=dry_run)
    return verbs.look(SETTINGS, where, "backups", as_json=json)


@verb(
    KEEP,
    export="write this archive as a CSV file on this machine",
    to="with --export: the folder for it (default: .windlass/archives)",
    purge="delete the rows of this archive for good; its name has to be typed again",
)
def archives(
    _: Context,
    where: Scope,
    export: str = "",
    to: str = "",
    purge: str = "",
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """List what rollbacks took away and keep in the database; export or purge one archive."""
    from windlass import confirm, verbs

    if purge:
        if not dry_run:
            confirm.type_again(purge, "the archive's name", f"delete the rows of {purge} for good")
        return verbs.do(SETTINGS, where, "purge_archive", {"windlass_purge": purge}, dry_run=dry_run)
    place = str(Path(to).expanduser().resolve()) if to else ""
    given = {"windlass_export": export, "windlass_export_to": place}
    return verbs.look(SETTINGS, where, "archives", given, as_json=json, dry_run=dry_run)


@verb(KEEP)
def prune(_: Context, where: Scope, dry_run: bool = False, json: bool = False) -> int:
    """Delete the backups that no rule of windlass_retention keeps; --dry-run says what, and why the others stay."""
    from windlass import verbs

    return verbs.look(SETTINGS, where, "prune", as_json=json, dry_run=dry_run)


@verb(KEEP, create="make the repository where there is none", check="let restic read and check all of its data")
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
    return verbs.look(SETTINGS, where, "offsite", given, as_json=json, dry_run=dry_run)


@verb(KEEP)
def backup_test(_: Context, where: Scope, dry_run: bool = False, json: bool = False) -> int:
    """Restore the newest backups into scratch databases, compare and check them, and mark them as verified.

    The policy's restore_test_host says where.  A failed test or a database without a backup is not a success.
    """
    from windlass import verbs

    return verbs.look(SETTINGS, where, "restore_test", as_json=json, dry_run=dry_run)


@verb(
    KEEP,
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
        return verbs.look(SETTINGS, where, "schedule_status", as_json=json)
    return verbs.look(SETTINGS, where, "schedule", {"schedule_remove": remove}, as_json=json, dry_run=dry_run)


@verb(
    KEEP,
    job="which one, as `invoke schedule --status` calls it",
    died="only tell that it ended without a word; systemd calls this",
)
def run_scheduled(_: Context, env: str = "", job: str = "", died: bool = False, verbose: int = 0) -> int:
    """Run one scheduled job as its timer does: with lock, result, metrics and webhook."""
    from windlass.schedule import runner

    environment = SETTINGS.environment(env)
    return runner.died(SETTINGS, environment, job) if died else runner.run(SETTINGS, environment, job, verbose=verbose)


@verb(
    KEEP,
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
    return verbs.do(SETTINGS, where, "restore", given, dry_run=dry_run)


@verb(
    WRITE,
    system="prove this system on the first server of its engine (default: each database's own)",
    migration="prove only this migration; those before it just run",
)
def prove(
    _: Context,
    env: str = "demo",
    system: str = "",
    migration: str = "",
    host: str = "",
    database: Names = None,
    dry_run: bool = False,
    json: bool = False,
    verbose: int = 0,
) -> int:
    """Prove on a scratch database that migrations can be repeated, undone, and verified.

    Each goes up, up again, down, down again and up, and schema and row counts are compared.  The environment's policy
    has to allow scratch databases; the demo's does.
    """
    from windlass import verbs

    where = scope(env, host, database, verbose)
    given = {"windlass_system": system, "windlass_migration": migration}
    return verbs.prove(SETTINGS, where, given, as_json=json, dry_run=dry_run)


@verb(
    WRITE,
    to="rehearse up to and with this migration (default: all)",
    load="run a script of sql/SYSTEM/load meanwhile, by its name, or all of them",
    workers="with --load: how many sessions make it",
)
def rehearse(
    _: Context,
    where: Scope,
    to: str = "",
    load: str = "",
    workers: int = 4,
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """Run what is pending on a copy of the real data, back, and again; measure time, locks, growth and load.

    The copy comes out of the newest backup and stands in a scratch database on the host that the policy's
    restore_test_host names.  The result is kept for the plan's digest: plan and gate know of it.
    """
    from windlass import verbs

    given = {"windlass_to": to, "windlass_load": load, "windlass_load_workers": workers}
    return verbs.look(SETTINGS, where, "rehearse", given, as_json=json, dry_run=dry_run)


@verb(
    WRITE,
    system="a folder below sql/ (default: all of them)",
    migration="only this migration",
    format="text, json, or sarif for editors and code hosts",
    strict="warnings fail, too",
)
def lint(_: Context, system: str = "", migration: str = "", format: str = "text", strict: bool = False) -> int:
    """Look for what is risky in migrations: long locks, bulk changes, silent drops; squawk's findings too.

    What is meant so is allowed in the script's header, with a reason: -- windlass: allow RULE REASON
    """
    from windlass import verbs

    return verbs.lint(SETTINGS, system, migration, format, strict=strict)


@verb(WRITE, system="a folder below sql/", title="a few words, such as add_invoice_number")
def new(_: Context, system: str, title: str, dry_run: bool = False) -> None:
    """Start a migration: its folder with up, down and verify scripts that say what belongs into them."""
    from windlass import scaffold

    scaffold.create(SETTINGS, system, title, dry_run=dry_run)


@verb(WRITE, port="local port (default: a free one)")
def tunnel(_: Context, env: str = "", host: str = "", database: Names = None, port: int = 0) -> None:
    """Open a local port to a database through SSH, with the host key checked, until Ctrl-C."""
    from windlass import tunnel

    where = scope(env, host, database)
    with tunnel.open(
        where.environment, host or None, one(where.databases), port, root=SETTINGS.root, on_error=print
    ) as opened:
        print(*opened.lines(), sep="\n", flush=True)
        opened.serve()


@verb(TRY, down="stop the demo's server", purge="with --down: take its data away too")
def demo(_: Context, down: bool = False, purge: bool = False, dry_run: bool = False) -> int:
    """Deploy `salon` to a PostgreSQL out of a wheel, through the same playbooks; nothing to set up."""
    from windlass import demo, verbs

    if down or purge:
        demo.down(SETTINGS, purge=purge, dry_run=dry_run)
        return 0
    if dry_run and not demo.running(SETTINGS):
        print(f"would start a PostgreSQL in {demo.folder(SETTINGS)} and deploy {demo.SYSTEM} to it")
        return 0
    code = verbs.change(SETTINGS, scope("demo", "", None), "deploy", {}, yes=True, dry_run=dry_run)
    if code == 0 and not dry_run:
        print(demo.look_around())
    return code


@verb(TRY, action="up, down or status", hosts="up: how many hosts")
def testbed(_: Context, action: str, hosts: int = 3, dry_run: bool = False) -> int:
    """Boot real target hosts on this machine (root, systemd-nspawn) and write an inventory for them."""
    from windlass import playbook

    size = ["--hosts", str(hosts)] if action == "up" else []
    return playbook.module(SETTINGS, "testbed", [action, *size], dry_run=dry_run)


@verb(
    TRY,
    full="everything, an hour or so, and write docs/reliability.md (default: a sample)",
    seed="choose the same faults and moments again",
    only="a part of them, as pytest's -k takes it",
    results="keep the tries in this file, and go on where a run with it was broken off",
)
def faults(
    _: Context, full: bool = False, seed: int = 0, only: str = "", results: str = "", dry_run: bool = False
) -> int:
    """Break things in mid-deploy and mid-rollback on real target hosts, and see that one more command mends them.

    The whole table in docs/reliability.md is written anew by --full without --only.
    """
    from windlass import playbook

    arguments = [*(["--full"] if full else []), *(["--save"] if full and not only else [])]
    arguments += [*(["--seed", str(seed)] if seed else []), *(["--only", only] if only else [])]
    arguments += ["--results", results] if results else []
    return playbook.module(SETTINGS, "tests.faults", arguments, dry_run=dry_run)


@verb(TRY)
def bench(_: Context, dry_run: bool = False) -> int:
    """Measure Windlass beside other migration tools on this machine."""
    from windlass import playbook

    return playbook.module(SETTINGS, "bench", [], dry_run=dry_run)


ns = Collection(*(item for item in list(globals().values()) if isinstance(item, Task)))
manual.install(CONTENTS)
