"""The ways back on MariaDB through the front door: restore with an application, undoing and redoing, its undoing, drills."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.engine.mariadb_backups import databases, drop_all, fetch, name_in, run
from tests.project import Project

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer

CAREFUL = {"confirm": "typed", "scratch": "allow"}
TRIGGER = "CREATE TRIGGER counted AFTER INSERT ON a FOR EACH ROW UPDATE totals SET n = n + 1;\n"
FIRST = f"CREATE TABLE a (id int PRIMARY KEY);\nCREATE TABLE totals (n int);\nINSERT INTO totals VALUES (0);\n{TRIGGER}"
ROWS = "SELECT id FROM a ORDER BY id"
COLUMNS = "SELECT column_name FROM information_schema.COLUMNS WHERE table_schema = DATABASE() AND table_name = 'a' ORDER BY ordinal_position"


class Place:
    """A project with one database and an application in front of it that writes down what is done to it."""

    def __init__(self, project: Project, server: MariaDBServer, url: str) -> None:
        self.project = project
        self.server = server
        self.url = url
        self.log = project.root / "application.log"

    def invoke(self, *words: str, code: int = 0) -> str:
        done = self.project.invoke(*words)
        assert done.returncode == code, done.stdout
        return done.stdout

    def rollback(self, *words: str, code: int = 0) -> str:
        return self.invoke("rollback", "--env", "here", *words, "--confirm", "here", code=code)

    def incident(self) -> dict[str, Any]:
        newest = sorted((self.project.root / ".windlass/incidents").glob("*"))[-1]
        data: dict[str, Any] = json.loads((newest / "incident.json").read_text())
        return data

    def beside(self) -> set[str]:
        """The databases that begin as ours does."""
        name = name_in(self.url)
        return {each for each in databases(self.server) if each.startswith(name) and each != name}


@pytest.fixture
def place(project: Project, mariadb: MariaDBServer) -> Iterator[Place]:
    """Two migrations deployed in two runs, each with a backup before it, and rows since."""
    url = mariadb.create_database()
    found = Place(project, mariadb, url)
    project.write("sql/tried/system.yml", "name: tried\nengine: mysql\ntitle: Tried\ndescription: For a test.\n")
    project.migration("001_table", FIRST, down="DROP TABLE a;\nDROP TABLE totals;\n", verify="")
    folder = project.local_environment("here", [{"name": "d", "system": "tried", "url": url}], policy=CAREFUL)
    inventory = yaml.safe_load((folder / "hosts.yml").read_text())
    words = {word: [f'/bin/sh -c "echo {word} >> {found.log}"'] for word in ("on", "off", "cache", "healthy")}
    inventory["applications"] = {
        "hosts": {"here": None},
        "vars": {
            "app_maintenance_on": words["on"], "app_maintenance_off": words["off"],
            "app_cache_commands": words["cache"], "app_health_commands": words["healthy"], "app_become": False,
        },
    }  # fmt: skip
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory))
    found.invoke("deploy", "--env", "here", "--yes")
    run(url, "INSERT INTO a VALUES (1), (2)")
    project.migration("002_note", "ALTER TABLE a ADD COLUMN note text;\n", down="ALTER TABLE a DROP COLUMN note;\n")
    found.invoke("deploy", "--env", "here", "--yes")
    run(url, "INSERT INTO a VALUES (3, 'since')")
    yield found
    drop_all(mariadb, name_in(url))


def test_a_drill_leaves_the_database_alone_and_the_play_restores_it(place: Place) -> None:
    reaching = f"CREATE TRIGGER reaching AFTER DELETE ON a FOR EACH ROW UPDATE {name_in(place.url)}.totals SET n = 0"
    run(place.url, reaching)
    place.invoke("backup", "--env", "here")
    for words in (("--steps", "1"), ("--restore", "latest")):
        place.invoke("rollback", "--env", "here", *words, "--drill")
    kept = [json.loads(path.read_text()) for path in (place.project.root / ".windlass/drills/here").glob("*/d.json")]
    assert [drill["exit_code"] for drill in kept] == [0, 0]
    assert fetch(place.url, "SELECT n FROM totals") == [(3,)]
    assert fetch(place.url, ROWS) == [(1,), (2,), (3,)] and len(fetch(place.url, COLUMNS)) == 2
    assert place.beside() == set() and not [name for name in databases(place.server) if "drill" in name]
    assert place.log.read_text().split() == ["healthy"], "a drill asks how the application is and leaves it alone"
    place.log.unlink()
    shown = place.invoke("rollback", "--env", "here")
    assert "--restore before:" in shown and shown.count("in the drill of") == 2
    a_restore_takes_the_place_and_goes_to_the_wanted_migration(place)


def a_restore_takes_the_place_and_goes_to_the_wanted_migration(place: Place) -> None:
    [(run_id,)] = fetch(place.url, "SELECT run_id FROM windlass_migrations WHERE name = '002_note'")
    shown = place.rollback("--restore", f"before:{run_id}", "--to", "002_note")
    assert "which is the point of no return" in shown
    assert fetch(place.url, "SELECT id, note FROM a ORDER BY id") == [(1, None), (2, None)]
    assert place.log.read_text().split() == ["on", "cache", "healthy", "off"]
    told = place.incident()
    [part] = told["databases"].values()
    assert (told["status"], [step["step"][:3] for step in told["steps"]][-1]) == ("done", "8/8")
    assert part["kept_as"] in place.beside() and part["restored"] != part["fresh_backup"]
    assert part["window"]["from"] < part["window"]["to"]
    assert part["rows"]["a"] == [3, 2]
    run(place.url, "DROP TRIGGER IF EXISTS reaching", "INSERT INTO a VALUES (4, 'new')")
    assert fetch(place.url, "SELECT n FROM totals") == [(3,)], "the trigger is back"
    # The newest backup holds the second migration, which --to undoes.
    place.rollback("--restore", "latest", "--to", "001_table")
    assert fetch(place.url, COLUMNS) == [("id",)] and fetch(place.url, ROWS) == [(1,), (2,)]
    place.invoke("restore", "--env", "here", "--undo", "--yes")
    assert fetch(place.url, ROWS) == [(1,), (2,), (4,)]
    assert fetch(place.url, "SELECT n FROM totals") == [(3,)]
