"""A run outlives its operator: a cut link neither kills nor doubles it, and a second deploy follows the first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from testbed import Host, Testbed
from testbed.waiting import wait_until
from tests.playbooks.background import playing
from tests.project import Project

POLICY = {"confirm": "none", "backup": "never"}
LATCH = 4711
# Waits for the latch that the test holds, then leaves a row each time that it runs.
HELD = f"""\
-- windlass: lock-timeout 0
CREATE TABLE IF NOT EXISTS public.runs (at timestamptz NOT NULL);
SELECT pg_catalog.pg_advisory_xact_lock({LATCH});
INSERT INTO public.runs VALUES (now());
"""
# Whoever follows the run opens the lock, too, for moments; a look at its descriptor shows who has taken it.
KILL_WHO_HOLDS_THE_RUN_LOCK = """\
for file in /proc/[0-9]*/fd/*; do
  case "$(readlink "$file")" in */run.lock)
    pid=${file#/proc/}; pid=${pid%%/*}
    grep -qs '^lock:.* WRITE ' "/proc/$pid/fdinfo/${file##*/}" && kill -KILL "$pid" && echo "$pid";;
  esac
done
"""


@pytest.fixture
def host(testbed: Testbed) -> Iterator[Host]:
    """The first host, with an empty database `tried`."""
    db1 = testbed["db1"]
    db1.create_database("tried")
    yield db1
    db1.drop_database("tried")


@pytest.fixture
def held(project: Project, testbed: Testbed, host: Host) -> Project:
    """A project whose one migration waits for the latch."""
    project.system("tried")
    project.migration("001_held", HELD, down="DROP TABLE public.runs;\n")
    listed = [{"name": "tried", "system": "tried", "url": host.database_url("tried")}]
    project.testbed_environment("bed", testbed, {"db1": listed}, policy=POLICY)
    return project


@pytest.fixture
def latch(host: Host) -> Iterator[psycopg.Connection[tuple[int]]]:
    with psycopg.connect(host.database_url("tried", from_outside=True), autocommit=True) as session:
        session.execute("SELECT pg_advisory_lock(%s)", [LATCH])
        yield session


def waits(host: Host) -> bool:
    """Whether the migration has come to the latch, as seen from the host's console."""
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    return host.psql(waiting, "tried") == "1"


def let_go(host: Host) -> None:
    """Open the latch from the host's console, whatever the network does."""
    holders = f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = {LATCH} AND granted"
    host.psql(f"SELECT pg_terminate_backend(pid) FROM ({holders}) x", "tried")


def times_run(host: Host) -> str:
    return host.psql("SELECT count(*) FROM public.runs", "tried")


def test_a_cut_link_neither_kills_nor_doubles_a_run(held: Project, host: Host, latch: object) -> None:
    with playing(held, "deploy", "bed") as deploy:
        deploy.comes_to(lambda: waits(host), what="the migration at the latch")
        with host.cut_off():
            deploy.says("the connection is lost; work on the host goes on")
            let_go(host)
            wait_until(lambda: times_run(host) == "1", what="the end of the migration")
        assert deploy.ends() == 0, deploy.output
        assert "1/1 001_held" in deploy.output
    assert times_run(host) == "1"
    assert host.psql("SELECT count(*) FROM windlass.events WHERE event = 'applied'", "tried") == "1"
    again = held.playbook("deploy", "bed")
    assert (again.code, again.changed) == (0, 0), again.output


def test_an_operator_who_is_gone_leaves_a_run_that_a_second_deploy_finds(
    held: Project, host: Host, latch: object
) -> None:
    with playing(held, "deploy", "bed") as first:
        first.comes_to(lambda: waits(host), what="the migration at the latch")
        first.process.kill()
    with playing(held, "deploy", "bed") as second:
        second.says("is at work here since")
        second.says("following that run")
        let_go(host)
        assert second.ends() == 0, second.output
        assert "1/1 001_held" in second.output
    assert times_run(host) == "1"


def test_two_deploys_at_once_run_it_once(held: Project, host: Host, latch: object) -> None:
    with playing(held, "deploy", "bed") as first, playing(held, "deploy", "bed") as second:
        first.comes_to(lambda: waits(host), what="the migration at the latch")
        one_follows = lambda: "following that run" in first.output + second.output  # noqa: E731
        wait_until(one_follows, what="one deploy that follows the other", every=0.1)
        let_go(host)
        assert (first.ends(), second.ends()) == (0, 0), first.output + second.output
    assert times_run(host) == "1"


def test_a_killed_run_is_missed_and_the_next_deploy_does_its_work(held: Project, host: Host, latch: object) -> None:
    with playing(held, "deploy", "bed") as deploy:
        deploy.comes_to(lambda: waits(host), what="the migration at the latch")
        assert host.console(KILL_WHO_HOLDS_THE_RUN_LOCK).stdout.strip()
        assert deploy.ends() != 0
        assert "ended without a result" in deploy.output
    let_go(host)
    again = held.playbook("deploy", "bed")
    assert (again.code, again.changed) == (0, 1), again.output
    assert times_run(host) == "1"


def test_the_run_files_of_a_host_are_private(held: Project, host: Host, latch: Path) -> None:
    let_go(host)
    assert held.playbook("deploy", "bed").code == 0
    loose = host.console(
        "find /home/deploy/.local/state/windlass /var/lib/windlass -perm /077 2>/dev/null", check=False
    )
    assert loose.stdout == ""
