"""MariaDB on a real target host over SSH: the road, a failure half-way and its resuming, a cut link, the driver."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed import Host, Testbed
from testbed.host import MARIADB_DRIVER
from testbed.waiting import wait_until
from tests.playbooks.background import playing
from tests.project import Project

POLICY = {"confirm": "none", "backup": "never", "scratch": "allow"}  # procedures are tried before they undo
UP = """\
CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);
INSERT INTO a VALUES (1);
ALTER TABLE a ADD COLUMN b {type};
INSERT INTO a VALUES (2, 2);
CREATE INDEX a_b ON a (b);
"""


@pytest.fixture
def host(testbed: Testbed) -> Iterator[Host]:
    """The second host, with MariaDB up and an empty database `tried` on it."""
    db2 = testbed["db2"]
    db2.drop_mariadb_database("tried")
    yield db2
    db2.drop_mariadb_database("tried")


def environment(project: Project, testbed: Testbed, host: Host, system: str) -> None:
    listed = [{"name": "tried", "system": system, "url": host.create_mariadb_database("tried")}]
    project.testbed_environment("bed", testbed, {host.name: listed}, policy=POLICY)


def ours(project: Project, up: str) -> None:
    project.write("sql/tried/system.yml", "name: tried\nengine: mysql\ntitle: Tried\ndescription: For a test.\n")
    project.migration("001_a", up, down="DROP TABLE IF EXISTS a;\n", verify="")


def test_check_mode_then_apply_then_nothing(project: Project, testbed: Testbed, host: Host) -> None:
    project.shipped_system("jobs")
    environment(project, testbed, host, "jobs")
    shown = project.playbook("deploy", "bed", variables={"windlass_yes": True}, check=True)
    assert shown.code == 0, shown.output
    assert "CREATE TABLE IF NOT EXISTS jobs_patch_additions" in shown.output
    assert host.mariadb("SHOW TABLES FROM tried") == ""
    first = project.playbook("deploy", "bed", variables={"windlass_yes": True})
    assert first.code == 0, first.output
    assert first.changed > 0
    assert "conversation_analysis" in host.mariadb("SHOW TABLES FROM tried")
    again = project.playbook("deploy", "bed", variables={"windlass_yes": True})
    assert (again.code, again.changed) == (0, 0)
    back = project.invoke("rollback", "--env", "bed", "--steps", "1", "--yes")
    assert back.returncode == 0, back.stdout
    left = host.mariadb("SHOW TABLES FROM tried")
    assert "user_sessions" in left and "conversation_analysis" not in left
    assert project.invoke("deploy", "--env", "bed", "--yes").returncode == 0


def test_a_failure_half_way_is_told_and_resumed_after_mending(project: Project, testbed: Testbed, host: Host) -> None:
    ours(project, UP.format(type="nonsense"))
    environment(project, testbed, host, "tried")
    failed = project.invoke("deploy", "--env", "bed", "--yes")
    assert failed.returncode == 20, failed.stdout
    assert "sql/tried/migrations/001_a/up.sql:3" in failed.stdout
    assert "2 of 5 statements are permanent" in failed.stdout
    ours(project, UP.format(type="int"))
    assert "resume" in project.invoke("plan", "--env", "bed").stdout
    assert project.invoke("deploy", "--env", "bed", "--yes").returncode == 0
    assert host.mariadb("SELECT id, b FROM tried.a ORDER BY id") == "1\tNULL\n2\t2"


def test_a_cut_link_neither_kills_nor_doubles_a_run(project: Project, testbed: Testbed, host: Host) -> None:
    waits = "INSERT INTO a SELECT GET_LOCK('latch', 600) - 1"
    ours(project, f"CREATE TABLE a (id int);\n{waits};\nINSERT INTO a VALUES (2);\n")
    environment(project, testbed, host, "tried")
    host.console("systemd-run --quiet --collect mariadb -e \"SELECT GET_LOCK('latch', 0), SLEEP(600)\"")
    wait_until(lambda: host.mariadb("SELECT IS_USED_LOCK('latch')") != "NULL", what="the latch")
    with playing(project, "deploy", "bed") as deploy:
        waiting = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE info LIKE 'INSERT INTO a SELECT%'"
        deploy.comes_to(lambda: host.mariadb(waiting) == "1", what="the migration at its second statement")
        with host.cut_off():
            deploy.says("the connection is lost; work on the host goes on")
            host.mariadb("KILL " + host.mariadb("SELECT IS_USED_LOCK('latch')"))
        assert deploy.ends() == 0, deploy.output
    assert host.mariadb("SELECT id FROM tried.a ORDER BY id") == "0\n2"


def test_a_missing_driver_is_told_and_installed(project: Project, testbed: Testbed, host: Host) -> None:
    ours(project, UP.format(type="int"))
    environment(project, testbed, host, "tried")
    with host.without_driver(MARIADB_DRIVER):
        refused = project.invoke("deploy", "--env", "bed", "--yes")
        assert refused.returncode == 9, refused.stdout
        assert "prepare.yml" in refused.stdout
        prepared = project.playbook("prepare", "bed")
        assert prepared.code == 0, prepared.output
        assert prepared.changed == 1
        assert project.playbook("prepare", "bed").changed == 0
        assert project.invoke("deploy", "--env", "bed", "--yes").returncode == 0


def test_a_backup_comes_back_and_a_swap_is_undone(project: Project, testbed: Testbed, host: Host) -> None:
    ours(project, UP.format(type="int"))
    environment(project, testbed, host, "tried")
    assert project.invoke("deploy", "--env", "bed", "--yes").returncode == 0
    host.mariadb("CREATE TRIGGER tried.tr BEFORE INSERT ON tried.a FOR EACH ROW SET NEW.b = 7")
    assert project.playbook("backup", "bed").code == 0
    host.mariadb("DELETE FROM tried.a; DROP TRIGGER tried.tr")
    try:
        restored = project.invoke("restore", "--env", "bed", "--swap", "--yes")
        assert restored.returncode == 0, restored.stdout
        host.mariadb("INSERT INTO tried.a VALUES (3, 3)")
        assert host.mariadb("SELECT id, b FROM tried.a ORDER BY id") == "1\tNULL\n2\t2\n3\t7"
        undone = project.invoke("restore", "--env", "bed", "--undo", "--yes")
        assert undone.returncode == 0, undone.stdout
        assert host.mariadb("SELECT COUNT(*) FROM tried.a") == "0"
        assert host.mariadb("SHOW DATABASES LIKE 'tried\\_%'").startswith("tried_undone_")
    finally:
        for name in host.mariadb("SHOW DATABASES LIKE 'tried\\_%'").split():
            host.drop_mariadb_database(name)
