"""Verbs for whoever writes migrations, or has to reach a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.context import Context

from windlass.front.door import Names, project, scope, verb
from windlass.front.words import one

if TYPE_CHECKING:
    from windlass.verbs import Scope


@verb(
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
    return verbs.prove(project(), where, given, as_json=json, dry_run=dry_run)


@verb(
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
    return verbs.look(project(), where, "rehearse", given, as_json=json, dry_run=dry_run)


@verb(
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

    return verbs.lint(project(), system, migration, format, strict=strict)


@verb(system="a folder below sql/", title="a few words, such as add_invoice_number")
def new(_: Context, system: str, title: str, dry_run: bool = False) -> None:
    """Start a migration: its folder with up, down and verify scripts that say what belongs into them."""
    from windlass import scaffold

    scaffold.create(project(), system, title, dry_run=dry_run)


@verb(port="local port (default: a free one)")
def tunnel(_: Context, env: str = "", host: str = "", database: Names = None, port: int = 0) -> None:
    """Open a local port to a database through SSH, with the host key checked, until Ctrl-C."""
    from windlass import tunnel, verbs

    where = scope(env, host, database)
    verbs.wake(project(), where)
    with tunnel.open(
        where.environment, host or None, one(where.databases), port, root=project().root, on_error=print
    ) as opened:
        print(*opened.lines(), sep="\n", flush=True)
        opened.serve()
