"""Everything awkward of MariaDB through backup, restore, swap, undo, drop and single tables, over SSH."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed import Host, Testbed
from tests.project import Project

AWKWARD = """
CREATE TABLE tried.log (id int AUTO_INCREMENT PRIMARY KEY, m text);
CREATE TABLE tried.thing (id int PRIMARY KEY, secret int INVISIBLE DEFAULT 5);
INSERT INTO tried.thing (id, secret) VALUES (1, 42);
CREATE SEQUENCE tried.numbers;
CREATE TABLE tried.numbered (id int DEFAULT NEXTVAL(tried.numbers), n int);
INSERT INTO tried.numbered (n) VALUES (1);
CREATE TABLE tried.past (id int PRIMARY KEY, n int) WITH SYSTEM VERSIONING;
INSERT INTO tried.past VALUES (1, 1), (2, 2);
UPDATE tried.past SET n = 10 WHERE id = 1;
DELETE FROM tried.past WHERE id = 2;
CREATE TRIGGER tried.reaching AFTER INSERT ON tried.thing FOR EACH ROW INSERT INTO tried.log (m) VALUES ('fired');
CREATE EVENT tried.hourly ON SCHEDULE EVERY 1 HOUR DO DELETE FROM log;
CREATE USER gone; CREATE DEFINER=gone PROCEDURE tried.by_gone() SQL SECURITY DEFINER SELECT 1
"""
#: Rows, an invisible value, history, sequence, and each kind of code.
STATE = """
SELECT COUNT(*) FROM {db}.thing; SELECT SUM(secret) FROM {db}.thing; SELECT COUNT(*) FROM {db}.past FOR SYSTEM_TIME ALL;
SELECT COUNT(*) FROM {db}.numbered; SELECT trigger_name FROM information_schema.TRIGGERS WHERE trigger_schema = '{db}';
SELECT event_name, status FROM information_schema.EVENTS WHERE event_schema = '{db}';
SELECT routine_name, definer FROM information_schema.ROUTINES WHERE routine_schema = '{db}'
"""
WHOLE = "1\n42\n3\n1\nreaching\nhourly\tENABLED\nby_gone\tgone@%"


@pytest.fixture
def host(testbed: Testbed) -> Iterator[Host]:
    """The second host, with a user whom code runs as; databases and user go at the end."""
    db2 = testbed["db2"]
    clear(db2)
    yield db2
    clear(db2)


def clear(host: Host) -> None:
    for name in host.mariadb("SHOW DATABASES LIKE 'tried%'").split():
        host.drop_mariadb_database(name)
    host.mariadb("DROP USER IF EXISTS gone")


def said(project: Project, *words: str, code: int = 0) -> str:
    done = project.invoke(words[0], "--env", "bed", *words[1:])
    assert done.returncode == code, done.stdout
    return done.stdout


def test_there_and_back(project: Project, testbed: Testbed, host: Host) -> None:
    project.write("sql/tried/system.yml", "name: tried\nengine: mysql\ntitle: Tried\ndescription: For a test.\n")
    listed = [{"name": "tried", "system": "tried", "url": host.create_mariadb_database("tried")}]
    project.testbed_environment("bed", testbed, {host.name: listed}, policy={"confirm": "none"})
    host.mariadb(AWKWARD)
    state = host.mariadb(STATE.format(db="tried"))
    assert state == WHOLE
    said(project, "backup")
    catalogued = said(project, "backups")
    assert "tried" in catalogued and "complete" in catalogued
    # A definer that has gone since would make code that fails with error 1449: nothing is begun.
    host.mariadb("DROP USER gone")
    assert "lacks the users gone@%" in said(project, "restore", "--yes", code=28).replace("\n", " ")
    host.mariadb("CREATE USER gone; DELETE FROM tried.thing; DROP TABLE tried.past; DROP PROCEDURE tried.by_gone")
    before = host.mariadb(STATE.format(db="tried").replace("SELECT COUNT(*) FROM tried.past FOR SYSTEM_TIME ALL;", ""))
    output = said(project, "restore", "--yes")
    assert "trigger reaching names the schema" in output and "waits for the swap" in output
    assert host.mariadb("SELECT SUM(secret), (SELECT COUNT(*) FROM tried_restored.past FOR SYSTEM_TIME ALL) "
                        "FROM tried_restored.thing") == "42\t3"  # fmt: skip
    assert (
        host.mariadb("SELECT status FROM information_schema.EVENTS WHERE event_schema = 'tried_restored'") == "DISABLED"
    )
    host.mariadb("INSERT INTO tried_restored.thing (id) VALUES (9); INSERT INTO tried_restored.numbered (n) VALUES (2)")
    assert host.mariadb("SELECT COUNT(*) FROM tried.log") == "0"
    host.mariadb("DELETE FROM tried_restored.thing WHERE id = 9; DELETE FROM tried_restored.numbered WHERE n = 2")
    said(project, "restore", "--swap-standing", "--yes")
    assert host.mariadb(STATE.format(db="tried")) == WHOLE
    host.mariadb("INSERT INTO tried.thing (id) VALUES (10)")
    assert host.mariadb("SELECT m FROM tried.log") == "fired"
    said(project, "restore", "--undo", "--yes")
    after = host.mariadb(STATE.format(db="tried").replace("SELECT COUNT(*) FROM tried.past FOR SYSTEM_TIME ALL;", ""))
    assert after == before
    (undone,) = host.mariadb("SHOW DATABASES LIKE 'tried\\_undone%'").split()
    said(project, "restore", "--drop", undone, "--yes")
    assert undone not in host.mariadb("SHOW DATABASES")
    said(project, "restore", "--table", "past", "--yes")
    assert host.mariadb("SELECT COUNT(*) FROM tried_restored_tables.past FOR SYSTEM_TIME ALL") == "3"
    assert host.mariadb("SELECT COUNT(*) FROM tried_restored_tables.thing") == "0"
    assert (
        host.mariadb("SELECT COUNT(*) FROM information_schema.ROUTINES WHERE routine_schema LIKE 'tried\\_r%'") == "0"
    )
    said(project, "restore", "--drop", "tried_restored_tables", "--yes")
