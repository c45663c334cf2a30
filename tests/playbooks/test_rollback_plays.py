"""The ways back through the front door, on an embedded PostgreSQL: advice, each play, its incident record, its drill."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.project import Project

CAREFUL = {"confirm": "typed", "scratch": "allow"}
FIRST = "CREATE TABLE public.a (id int PRIMARY KEY);\n"
SECOND = "ALTER TABLE public.a ADD COLUMN note text;\n"
LOOK = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY ordinal_position"


class Place:
    """A project with one database, and a way to ask it."""

    def __init__(self, project: Project, url: str) -> None:
        self.project = project
        self.url = url

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as session:
            cursor = session.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def invoke(self, *words: str) -> str:
        done = self.project.invoke(*words)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def refused(self, code: int, *words: str) -> str:
        done = self.project.invoke(*words)
        assert done.returncode == code, done.stdout
        return done.stdout

    def with_an_application(self) -> Path:
        """Declare an application whose maintenance page is a file; return its path."""
        path, story = self.project.root / "inventories/here/hosts.yml", self.project.root / "story"
        inventory = yaml.safe_load(path.read_text())
        app = {"app_maintenance_on": [f"touch {story}"], "app_health_commands": ["true", "false"], "app_become": False}
        inventory["applications"] = {"hosts": {"here": None}, "vars": app}
        path.write_text(yaml.safe_dump(inventory))
        return story

    def incidents(self) -> list[Path]:
        return sorted((self.project.root / ".windlass/incidents").glob("*"))

    def incident(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.incidents()[-1] / "incident.json").read_text())
        return data


@pytest.fixture
def place(project: Project, database: str, pg: Any) -> Place:
    """Two migrations deployed in two runs, each with a backup before it, and rows since."""
    project.write("inventories/here/group_vars/all/clients.yml", f"windlass_client_bin: {pg.bin}\n")
    project.system("tried")
    verify = "SELECT 'missing' WHERE to_regclass('public.a') IS NULL;\n"
    project.migration("001_table", FIRST, down="DROP TABLE public.a;\n", verify=verify)
    project.local_environment("here", [{"name": "d", "system": "tried", "url": database}], policy=CAREFUL)
    found = Place(project, database)
    found.invoke("deploy", "--env", "here", "--yes")
    found.ask("INSERT INTO public.a VALUES (1), (2)")
    project.migration("002_note", SECOND, down="ALTER TABLE public.a DROP COLUMN note;\n")
    found.invoke("deploy", "--env", "here", "--yes")
    found.ask("INSERT INTO public.a VALUES (3, 'since')")
    return found


def test_advice_names_what_each_way_loses_and_recommends_one(place: Place) -> None:
    shown = place.invoke("rollback", "--env", "here")
    assert "applied 002_note" in shown
    assert "1 row of public.a (note), archived first" in shown
    assert "by the counts +1 in public.a" in shown
    assert shown.count("never drilled") == 2
    assert "not possible: the inventory has no group applications" in shown
    answer = shown[shown.index("here d, at 002_note") :].splitlines()
    assert answer[0].endswith("undo what the last run applied")
    assert answer[1].strip() == "invoke rollback --env here --steps 1"
    assert "1. migration: undo what the last run applied (recommended)" in shown
    assert len(shown.splitlines()) <= 30, "it is more than one screen"
    assert "--restore before:" in shown
    assert "there is no backup 'nope'" in place.refused(26, "rollback", "--env", "here", "--restore", "nope")
    shown = place.refused(14, "rollback", "--env", "here", "--restore", "latest")
    assert "as you asked for; this loses all that was written" in shown and "give --confirm here" in shown
    assert not place.incidents()
    undoing_keeps_evidence_and_writes_an_incident(place)


def undoing_keeps_evidence_and_writes_an_incident(place: Place) -> None:
    assert "environment's name" in place.refused(14, "rollback", "--env", "here", "--steps", "1", "--yes")
    assert "how far back?" in place.refused(2, "rollback", "--env", "here", "--application")
    shown = place.refused(2, "rollback", "--env", "here", "--application", "--steps", "1", "--confirm", "here")
    assert "group applications" in shown
    assert [row[0] for row in place.ask(LOOK)] == ["id", "note"]
    shown = place.invoke("rollback", "--env", "here", "--steps", "1", "--confirm", "here", "--keep-evidence")
    assert "the point of no return" in shown
    assert [row[0] for row in place.ask(LOOK)] == ["id"]
    told = place.incident()
    [part] = told["databases"].values()
    assert (told["status"], told["scenario"], part["undone"]) == ("done", "migration", ["002_note"])
    assert [kept["rows"] for kept in part["archived"]] == [1]
    assert part["before"]["fingerprint"] != part["after"]["fingerprint"]
    assert part["before"]["log_position"]
    ids = {part["backup"], part["evidence_backup"], part["fresh_backup"]}
    assert len(ids) == 3 and "" not in ids
    assert [step["step"][:3] for step in told["steps"]] == ["1/6", "2/6", "3/6", "4/6", "5/6", "6/6"]
    assert any("--restore-archived" in line for line in told["next"])
    folder = place.incidents()[-1]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert "here.d.open.json" in {path.name for path in folder.iterdir()}
    page = (folder / "incident.md").read_text()
    typed = "invoke rollback --env here --steps 1 --confirm here --keep-evidence"
    assert told["command"] == typed and f"`{typed}`, exit 0" in page
    assert told["digest"] and told["who"] and told["origin"] and told["duration_ms"] > 0
    assert "archived: 1 rows of public.a" in page and "## Next" in page and "## Timeline" in page
    assert all(f"{step['step']} (" in page for step in told["steps"])


def test_a_restore_takes_the_place_and_redoes_what_is_wanted(place: Place) -> None:
    run_id = place.ask("SELECT run_id FROM windlass.migrations WHERE name = '002_note'")[0][0]
    words = ("rollback", "--env", "here", "--restore", f"before:{run_id}")
    assert "environment's name" in place.refused(14, *words, "--confirm", "elsewhere")
    shown = place.invoke(*words, "--to", "002_note", "--confirm", "here")
    assert "which is the point of no return" in shown
    assert place.ask("SELECT id, note FROM public.a ORDER BY id") == [(1, None), (2, None)]
    told = place.incident()
    [part] = told["databases"].values()
    assert part["kept_as"] and part["restored"]
    assert part["window"]["from"] < part["window"]["to"]
    assert part["rows"]["public.a"] == [3, 2]
    assert part["fresh_backup"] != part["restored"]
    page = (place.incidents()[-1] / "incident.md").read_text()
    assert f"- LOST: what was written from {part['window']['from']} to {part['window']['to']}" in page
    assert "- rows of public.a: 3 -> 2" in page and f"is kept as {part['kept_as']}" in page
    place.invoke("restore", "--env", "here", "--undo", "--yes")
    assert place.ask("SELECT count(*) FROM public.a") == [(3,)]


def test_a_drill_runs_the_very_same_play_and_leaves_the_database_alone(place: Place) -> None:
    story = place.with_an_application()
    place.invoke("backup", "--env", "here")
    place.invoke("rollback", "--env", "here", "--application", "--steps", "1", "--drill")
    latest = place.project.root / ".windlass/drills/here/application/d.json"
    kept = json.loads(latest.read_text())
    assert (kept["exit_code"], [step["step"][:3] for step in kept["steps"]][:2]) == (0, ["1/8", "2/8"])
    looked_at = {item["what"]: item["found"] for item in kept["applications"]["here"]}
    assert looked_at == {f"touch {story}": "/usr/bin/touch", "true": "it succeeds", "false": "it ends with 1"}
    place.invoke("rollback", "--env", "here", "--restore", "latest", "--drill")
    assert place.ask("SELECT count(*) FROM public.a") == [(3,)]
    assert [row[0] for row in place.ask(LOOK)] == ["id", "note"]
    assert place.ask("SELECT datname FROM pg_database WHERE datname LIKE 'windlass_drill%'") == []
    assert not place.incidents()
    assert not story.exists(), "the application was sent away"
    assert place.invoke("rollback", "--env", "here").count("in the drill of") == 2


def test_what_must_not_start_is_refused(place: Place) -> None:
    nothing_starts_while_somebody_is_at_work(place)
    place.project.migration("003_gone", "-- windlass: irreversible the old form is gone\nDELETE FROM public.a;\n")
    place.invoke("deploy", "--env", "here", "--yes")
    shown = place.invoke("rollback", "--env", "here")
    assert "IRREVERSIBLE: the old form is gone" in shown
    assert "here d, at 003_gone: bring a backup back in place of the database" in shown
    place.refused(23, "rollback", "--env", "here", "--steps", "1", "--confirm", "here")


def nothing_starts_while_somebody_is_at_work(place: Place) -> None:
    from windlass_engine import session
    from windlass_engine.model import Target

    with session.connect(Target("d", "tried", place.url), "windlass 4711 alice") as other:
        assert other.dialect.try_lock(other.link)
        shown = place.refused(18, "rollback", "--env", "here", "--restore", "latest", "--confirm", "here")
    assert "alice" in shown
    assert place.ask("SELECT count(*) FROM public.a") == [(3,)]
