"""Verbs to try Windlass with, and to measure it."""

from __future__ import annotations

from invoke.context import Context

from windlass.front.door import project, scope, verb


@verb(down="stop the demo's server", purge="with --down: take its data away too")
def demo(_: Context, down: bool = False, purge: bool = False, dry_run: bool = False) -> int:
    """Deploy `salon` to a PostgreSQL out of a wheel, through the same playbooks; nothing to set up."""
    from windlass import demo, verbs

    if down or purge:
        demo.down(project(), purge=purge, dry_run=dry_run)
        return 0
    if dry_run and not demo.running(project()):
        print(f"would start a PostgreSQL in {demo.folder(project())} and deploy {demo.SYSTEM} to it")
        return 0
    code = verbs.change(project(), scope("demo", "", None), "deploy", {}, yes=True, dry_run=dry_run)
    if code == 0 and not dry_run:
        print(demo.look_around())
    return code


@verb(action="up, down or status", hosts="up: how many hosts")
def testbed(_: Context, action: str, hosts: int = 3, dry_run: bool = False) -> int:
    """Boot real target hosts on this machine (root, systemd-nspawn) and write an inventory for them."""
    from windlass import playbook

    size = ["--hosts", str(hosts)] if action == "up" else []
    return playbook.module(project(), "testbed", [action, *size], dry_run=dry_run)


@verb(
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
    return playbook.module(project(), "tests.faults", arguments, dry_run=dry_run)


@verb()
def bench(_: Context, dry_run: bool = False) -> int:
    """Measure Windlass beside other migration tools on this machine."""
    from windlass import playbook

    return playbook.module(project(), "bench", [], dry_run=dry_run)
