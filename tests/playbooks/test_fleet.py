"""Many hosts in one run: batches with a canary, hosts that fail in their own way, and what is left untouched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed import Host, Testbed
from testbed.waiting import wait_until
from tests.playbooks.background import playing
from tests.project import Play, Project

FREE = {"confirm": "none", "backup": "never"}


@pytest.fixture
def fleet(project: Project, testbed: Testbed) -> Iterator[Project]:
    """Three hosts with an empty database `tried` each, and a project of one migration."""
    for host in testbed:
        host.create_database("tried")
    project.system("tried")
    project.migration("001_table", "CREATE TABLE public.a (id int);\n", down="DROP TABLE public.a;\n")
    environment(project, testbed)
    yield project
    for host in testbed:
        host.console("runuser -u postgres -- dropdb --if-exists --force tried")


def environment(project: Project, bed: Testbed, **policy: object) -> None:
    listed = {host.name: [entry(host)] for host in bed}
    project.testbed_environment("bed", bed, listed, policy={**FREE, **policy})


def entry(host: Host) -> dict[str, str]:
    return {"name": "tried", "system": "tried", "url": host.database_url("tried")}


def has(host: Host, relation: str = "public.a") -> bool:
    return host.psql(f"SELECT to_regclass('{relation}') IS NOT NULL", "tried") == "t"


def journalled(host: Host) -> list[str]:
    """Return the migrations that the journal has as applied; without a journal there are none."""
    if not has(host, "windlass.migrations"):
        return []
    return host.psql("SELECT name FROM windlass.migrations WHERE state = 'applied' ORDER BY 1", "tried").split()


def failed(play: Play, code: str) -> str:
    assert play.code != 0, play.output
    assert f'"code": "{code}"' in play.output, play.output
    return play.output


def test_the_road_over_ssh(fleet: Project, testbed: Testbed) -> None:
    preview = fleet.playbook("deploy", "bed", check=True)
    assert (preview.code, preview.changed) == (0, 3), preview.output
    assert "CREATE TABLE public.a (id int)" in preview.output
    assert not any(has(host) for host in testbed)
    first = fleet.playbook("deploy", "bed")
    assert (first.code, first.changed) == (0, 3), first.output
    assert all(has(host) for host in testbed)
    again = fleet.playbook("deploy", "bed")
    assert (again.code, again.changed) == (0, 0), again.output
    back = fleet.playbook("rollback", "bed", variables={"windlass_steps": 1})
    assert (back.code, back.changed) == (0, 3), back.output
    assert not any(has(host) for host in testbed)


def test_a_failing_canary_leaves_the_rest_untouched(fleet: Project, testbed: Testbed) -> None:
    testbed["db1"].psql("CREATE TABLE public.a (id int)", "tried")  # the canary's migration meets a table that stands
    output = failed(fleet.playbook("deploy", "bed"), "migration_failed")
    assert "db1" in output
    for name in ("db2", "db3"):
        assert not has(testbed[name])
        assert not has(testbed[name], "windlass.migrations")


def test_a_host_that_fails_in_a_later_batch_stops_those_behind_it(fleet: Project, testbed: Testbed) -> None:
    environment(fleet, testbed, serial=[1, 1, 1])
    testbed["db2"].psql("CREATE TABLE public.a (id int)", "tried")
    failed(fleet.playbook("deploy", "bed"), "migration_failed")
    assert has(testbed["db1"]) and not has(testbed["db3"])


def test_in_one_batch_the_sound_hosts_finish_and_only_the_failed_one_goes_back(
    fleet: Project, testbed: Testbed
) -> None:
    environment(fleet, testbed, serial="100%", on_failure="rollback")
    fleet.migration("002_more", "CREATE TABLE public.b (id int);\n", down="DROP TABLE public.b;\n")
    testbed["db2"].psql("CREATE TABLE public.b (id int)", "tried")
    output = failed(fleet.playbook("deploy", "bed"), "migration_failed")
    assert "undone again: 001_table" in output
    assert not has(testbed["db2"]) and has(testbed["db2"], "public.b")
    for name in ("db1", "db3"):
        assert has(testbed[name]) and has(testbed[name], "public.b")


def test_the_canary_is_the_first_host_with_work(fleet: Project, testbed: Testbed) -> None:
    assert fleet.playbook("deploy", "bed", "--limit", "db1").code == 0
    testbed["db2"].psql("CREATE TABLE public.a (id int)", "tried")
    failed(fleet.playbook("deploy", "bed"), "migration_failed")
    assert not has(testbed["db3"])


def test_one_unreachable_host_stops_the_run_before_anything(fleet: Project, testbed: Testbed) -> None:
    fleet.write("inventories/bed/host_vars/db3.yml", "ansible_ssh_timeout: 5\n")
    with testbed["db3"].cut_off():
        play = fleet.playbook("deploy", "bed")
    assert play.code != 0
    assert play.hosts["db3"]["unreachable"] == 1, play.output
    assert not any(has(host) for host in testbed)


def test_a_changed_host_key_is_refused(fleet: Project, testbed: Testbed) -> None:
    # a connection that an earlier test left open was checked when it began
    fleet.write(
        "inventories/bed/group_vars/all/fresh.yml", "ansible_ssh_args: -o ControlMaster=no -o ControlPath=none\n"
    )
    with testbed["db2"].other_host_key(), playing(fleet, "deploy", "bed") as deploy:
        assert deploy.ends() != 0
        assert "the host's SSH key is not the one on record" in deploy.output
    assert not any(has(host) for host in testbed)


def test_a_host_without_the_driver_is_told_how_and_prepare_installs_it(fleet: Project, testbed: Testbed) -> None:
    with testbed["db2"].without_driver():
        output = failed(fleet.playbook("deploy", "bed"), "driver_missing")
        assert "playbooks/prepare.yml" in output
        assert not any(has(host) for host in testbed)
        prepared = fleet.playbook("prepare", "bed")
        assert (prepared.code, prepared.hosts["db2"]["changed"]) == (0, 1), prepared.output
        assert prepared.hosts["db1"]["changed"] == 0
        assert fleet.playbook("prepare", "bed").changed == 0
        assert fleet.playbook("deploy", "bed").code == 0


def test_without_room_for_the_backup_nothing_begins(fleet: Project, testbed: Testbed) -> None:
    environment(fleet, testbed, backup="required")
    testbed["db1"].console("mkdir -p /mnt/small && mount -t tmpfs -o size=4m,uid=deploy tmpfs /mnt/small")
    try:
        small = {"windlass_backup_dir": "/mnt/small/backups"}
        output = failed(fleet.playbook("deploy", "bed", variables=small), "space_missing")
        assert "windlass_backup_dir" in output
        assert not any(has(host) for host in testbed)
    finally:
        testbed["db1"].console("umount /mnt/small")


def test_a_database_is_reached_by_url_from_a_runner_host(fleet: Project, testbed: Testbed) -> None:
    """The runner logs in to nothing on the database's host: it has the driver and the URL, no more."""
    url = testbed["db1"].database_url("tried", from_outside=True)
    listed = {"db2": [{"name": "tried", "system": "tried", "url": url}]}
    fleet.testbed_environment("runner", testbed, listed, policy=FREE)
    play = fleet.playbook("deploy", "runner")
    assert (play.code, play.changed) == (0, 1), play.output
    assert has(testbed["db1"]) and not has(testbed["db2"])


def test_several_databases_of_a_host_go_one_after_the_other(fleet: Project, testbed: Testbed) -> None:
    db1 = testbed["db1"]
    db1.create_database("second")
    try:
        second = {"name": "second", "system": "tried", "url": db1.database_url("second")}
        fleet.testbed_environment("two", testbed, {"db1": [entry(db1), second]}, policy=FREE)
        play = fleet.playbook("deploy", "two")
        assert (play.code, play.changed) == (0, 1), play.output
        assert has(db1) and db1.psql("SELECT to_regclass('public.a') IS NOT NULL", "second") == "t"
        assert fleet.playbook("deploy", "two").changed == 0
    finally:
        db1.drop_database("second")


def test_a_host_that_goes_down_in_mid_run_is_waited_for_and_its_run_missed(fleet: Project, testbed: Testbed) -> None:
    """The power goes while a migration waits for a lock; the host comes back, the run does not.

    The migration in front of it may go with the power, as commits within a run are answered early: then its journal
    row goes with it.
    """
    db1 = testbed["db1"]
    held = "-- windlass: lock-timeout 0\nSELECT pg_advisory_xact_lock(7);\nCREATE TABLE public.late (id int);\n"
    fleet.migration("002_held", held, down="DROP TABLE public.late;\n")
    db1.psql("CREATE TABLE public.gate (id int)", "tried")
    hold = "BEGIN; SELECT pg_advisory_xact_lock(7); SELECT pg_sleep(600);"
    db1.console(f"systemd-run --quiet runuser -u postgres -- psql -d tried -c '{hold}'")
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND"
    wait_until(lambda: db1.psql(f"{locks} granted", "tried") == "1", what="the lock")
    waiting = f"{locks} NOT granted"
    with playing(fleet, "deploy", "bed", "--limit", "db1") as deploy:
        deploy.comes_to(lambda: db1.psql(waiting, "tried") == "1", what="the migration at the lock")
        db1.kill()
        deploy.says("the connection is lost; work on the host goes on")
        db1.boot()
        assert deploy.ends() != 0
        assert "ended without a result" in deploy.output
    assert not has(db1, "public.late")
    assert journalled(db1) == (["001_table"] if has(db1) else [])
    again = fleet.playbook("deploy", "bed", "--limit", "db1")
    assert (again.code, again.changed) == (0, 1), again.output
    assert has(db1) and has(db1, "public.late")
    assert journalled(db1) == ["001_table", "002_held"]
