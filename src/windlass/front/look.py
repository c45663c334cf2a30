"""Verbs that look, and change no database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context

from windlass.front.door import project, verb
from windlass.front.words import ATOMIC, backwards, refuse_mixed_plans

if TYPE_CHECKING:
    from windlass.verbs import Scope


@verb(rollback="plan the way back (with --steps or --to)", baseline="plan an adoption", atomic=ATOMIC)
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

    refuse_mixed_plans(rollback, baseline, steps)
    given = backwards(steps, to) if rollback else {"windlass_to": to, "windlass_atomic": atomic or ""}
    given |= {"windlass_direction": "baseline"} if baseline else {}
    return verbs.show_plan(project(), where, given, as_json=json)


@verb(verify="hold every bundle against the hashes in the chain; exit code 46 when one was changed")
def evidence(_: Context, env: str = "", verify: bool = False, json: bool = False) -> int:
    """List the evidence of what was done to an environment: plans, approvals, backups, checks, chained by hashes."""
    from windlass import verbs

    return verbs.show_evidence(project(), env, verify=verify, as_json=json)


@verb(out="folder for the page and the reports (default: .windlass/dashboard)")
def dashboard(_: Context, out: str = "") -> None:
    """Write a page over all run records: versions, changes, backups, restore tests, rehearsals, history."""
    from windlass.report import dashboard

    folder = Path(out).expanduser().resolve() if out else project().state / "dashboard"
    print(dashboard.write(project().root, folder))


@verb(strict="end with exit code 36 when a newest verified backup is older than the policy's backup_max_age")
def status(_: Context, where: Scope, strict: bool = False, json: bool = False) -> int:
    """Show where each database stands: version, pending, last run, newest backup, who works on it."""
    from windlass import verbs

    return verbs.look(project(), where, "status", {"windlass_strict": strict}, as_json=json)


@verb(scenario="migration, application or restore", write="make the page in docs/runbooks/ anew")
def runbook(_: Context, scenario: str, env: str = "", write: bool = False) -> None:
    """Print what to do for a way back, and what its play does, with an environment's own names."""
    from windlass import playbook
    from windlass.rollback import runbooks

    text = runbooks.page(project().root, scenario)
    if write:
        runbooks.path(project().root, scenario).write_text(text, encoding="utf-8")
        return
    if env:
        known = runbooks.hosts_of(playbook.inventory(project(), project().environment(env)))
        text = runbooks.here(text, env, known)
    print(text, end="")


@verb(limit="how many events of each database (default: 30)")
def history(_: Context, where: Scope, limit: int = 30, json: bool = False) -> int:
    """Show what was done to each database, when, by whom and how it ended."""
    from windlass import verbs

    return verbs.look(project(), where, "history", {"windlass_limit": limit}, as_json=json)


@verb(samples="also run the sample-data tests (they are always rolled back)")
def verify(_: Context, where: Scope, samples: bool = True, json: bool = False) -> int:
    """Run the standing checks and sample-data tests; every row that a check returns is a failure."""
    from windlass import verbs

    return verbs.look(project(), where, "verify", {"windlass_samples": samples}, as_json=json)


@verb()
def doctor(_: Context, where: Scope, json: bool = False) -> int:
    """Check connection, host keys, driver, server, rights, disk space and clock; say how to mend each."""
    from windlass import verbs

    return verbs.look(project(), where, "doctor", as_json=json)


@verb(accept="take the schema as it stands now for what later changes are held against")
def drift(_: Context, where: Scope, accept: bool = False, dry_run: bool = False, json: bool = False) -> int:
    """Show what others changed in the schema since the last run, and the SQL that undoes or adopts it.

    Ends with exit code 51 where there is drift.
    """
    from windlass import verbs

    return verbs.look(project(), where, "drift", {"windlass_accept": accept or ""}, as_json=json, dry_run=dry_run)


@verb()
def audit(_: Context, where: Scope, json: bool = False) -> int:
    """Hold the live schema against what the migrations make on a scratch database: gaps, their SQL and risk.

    Ends with exit code 52 where something is missing that the system requires.
    """
    from windlass import verbs

    return verbs.look(project(), where, "audit", as_json=json)


@verb(out="the file to write, for one database (default: schema/ENV/DATABASE.txt)")
def snapshot(_: Context, where: Scope, out: str = "", dry_run: bool = False, json: bool = False) -> int:
    """Write the schema as readable text for review in git; a second time changes nothing."""
    from windlass import verbs

    place = str(Path(out).expanduser().resolve()) if out else ""
    return verbs.look(project(), where, "snapshot", {"windlass_out": place}, as_json=json, dry_run=dry_run)
