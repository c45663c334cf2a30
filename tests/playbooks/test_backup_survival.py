"""Backups and restores outlive the link and the operator, and can be come back to."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from testbed import Host, Testbed
from tests.playbooks.background import playing
from tests.project import Project

POLICY = {"confirm": "none"}
BACKUPS = "/home/deploy/.local/state/windlass/backups/tried"
#: Where programs lie that wait, before they write a dump, until somebody lets them go.
SLOW = "/opt/slow"
PATIENT_DUMP = f"""#!/bin/sh
case "$*" in *--file=*) touch {SLOW}/begun; while [ ! -e {SLOW}/go ]; do sleep 0.05; done;; esac
exec /usr/lib/postgresql/*/bin/pg_dump "$@"
"""
#: Rows of this table wait, wherever they are written, until there is a database called gate.
GATED = """
CREATE FUNCTION public.is_open(n int) RETURNS bool LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    WHILE NOT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = 'gate') LOOP
        PERFORM pg_catalog.pg_sleep(0.05);
    END LOOP;
    RETURN true;
END $$;
CREATE TABLE public.held (n int CHECK (public.is_open(n)));
INSERT INTO public.held VALUES (1), (2);
"""


@pytest.fixture
def host(testbed: Testbed) -> Iterator[Host]:
    """The first host, with a database `tried` whose restore waits for the gate."""
    db1 = testbed["db1"]
    db1.create_database("tried")
    db1.create_database("gate")
    with psycopg.connect(db1.database_url("tried", from_outside=True), autocommit=True) as session:
        session.execute(GATED)
    db1.drop_database("gate")
    yield db1
    db1.console(f"rm -rf {BACKUPS}")
    for name in ("tried_restored", "tried", "gate"):
        db1.drop_database(name)


@pytest.fixture
def kept(project: Project, testbed: Testbed, host: Host) -> Project:
    """A project with that database."""
    project.system("tried")
    listed = [{"name": "tried", "system": "tried", "url": host.database_url("tried")}]
    project.testbed_environment("bed", testbed, {"db1": listed}, policy=POLICY)
    return project


def backups(host: Host) -> list[str]:
    return host.console(f"ls {BACKUPS} 2>/dev/null", check=False).stdout.split()


def begun(host: Host) -> bool:
    return host.console(f"test -e {SLOW}/begun", check=False).returncode == 0


def waits(host: Host, query: str) -> bool:
    return (
        host.psql(f"SELECT count(*) FROM pg_stat_activity WHERE query ~* '{query}' AND pid <> pg_backend_pid()") != "0"
    )


def test_a_backup_whose_operator_is_gone_is_come_back_to(kept: Project, host: Host) -> None:
    host.console(f"install -d -m 777 {SLOW} && ln -sf /usr/lib/postgresql/*/bin/pg_restore {SLOW}/pg_restore")
    host.console(f"cat > {SLOW}/pg_dump && chmod 755 {SLOW}/pg_dump", text=PATIENT_DUMP)
    slow = {"windlass_client_bin": SLOW}
    try:
        with playing(kept, "backup", "bed", variables=slow) as first:
            first.comes_to(lambda: begun(host), what="the backup to begin")
            first.process.kill()
        with playing(kept, "backup", "bed", variables=slow) as second:
            second.says("is at work here since")
            with host.cut_off():
                second.says("the connection is lost; work on the host goes on")
            host.console(f"touch {SLOW}/go")
            assert second.ends() == 0, second.output
            assert "backup " in second.output
    finally:
        host.console(f"rm -rf {SLOW}")
    assert len(backups(host)) == 1


def test_a_restore_goes_on_without_link_and_operator(kept: Project, host: Host) -> None:
    assert kept.playbook("backup", "bed").code == 0
    with playing(kept, "restore", "bed") as first:
        first.comes_to(lambda: waits(host, "^COPY public.held"), what="the restore at the gate")
        first.process.kill()
    with playing(kept, "restore", "bed") as second:
        second.says("following that run")
        with host.cut_off():
            second.says("the connection is lost; work on the host goes on")
            host.console("su postgres -c 'createdb gate'")
        assert second.ends() == 0, second.output
        assert "restored into tried_restored" in second.output
    assert host.psql("SELECT count(*) FROM public.held", "tried_restored") == "2"
    third = kept.playbook("restore", "bed")
    assert third.code != 0 and "a database of that name already" in third.output
