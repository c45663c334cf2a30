"""What a rollback takes away, through the front door: told beforehand, kept, listed, exported, put back, purged."""

from __future__ import annotations

import csv
import json
import stat
from typing import Any

import pytest

from tests.project import Project

FREE = {"confirm": "none", "backup": "never"}


@pytest.fixture
def deployed(project: Project, database: str, pg: Any) -> Project:
    """Two migrations on one database, with rows in what the second one added."""
    project.write("inventories/here/group_vars/all/clients.yml", f"windlass_client_bin: {pg.bin}\n")
    project.system("tried")
    project.migration("001_table", "CREATE TABLE public.a (id int PRIMARY KEY);\n", down="DROP TABLE public.a;\n")
    project.migration("002_note", "ALTER TABLE public.a ADD COLUMN note text;\n",
                      down="ALTER TABLE public.a DROP COLUMN note;\n")  # fmt: skip
    project.local_environment("here", [{"name": "d", "system": "tried", "url": database}], policy=FREE)
    done = project.invoke("deploy", "--env", "here", "--yes")
    assert done.returncode == 0, done.stdout
    with pg.connect(database.rpartition("/")[2].partition("?")[0]) as opened:
        opened.execute("INSERT INTO public.a VALUES (1, 'he said \"hi\",\nand left'), (2, NULL), (3, '')")
    return project


def archives(project: Project) -> list[dict[str, Any]]:
    shown = project.invoke("archives", "--env", "here", "--json")
    assert shown.returncode == 0, shown.stdout
    data = json.loads(shown.stdout[shown.stdout.index("{\n") :])
    return list(data["hosts"]["here"]["databases"]["d"]["archives"]["entries"])


def test_the_whole_road_of_an_archive(deployed: Project) -> None:
    planned = deployed.invoke("plan", "--env", "here", "--rollback", "--steps", "1")
    assert "what undoing takes away, and goes into an archive first:" in planned.stdout
    assert "public.a  note  2 rows" in planned.stdout
    undone = deployed.invoke("rollback", "--env", "here", "--steps", "1", "--yes")
    assert undone.returncode == 0, undone.stdout
    assert "archived 2 rows of public.a (note)" in undone.stdout
    [entry] = archives(deployed)
    assert (entry["migration"], entry["rows"], entry["state"]) == ("002_note", 2, "kept")
    assert entry["name"] in deployed.invoke("archives", "--env", "here").stdout

    exported = deployed.invoke("archives", "--env", "here", "--export", entry["name"])
    assert exported.returncode == 0, exported.stdout
    path = deployed.root / ".windlass/archives" / f"{entry['name']}.csv"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open(newline="") as stream:
        assert list(csv.reader(stream)) == [["id", "note"], ["1", 'he said "hi",\nand left'], ["3", ""]]

    would = deployed.invoke("archives", "--env", "here", "--put-back", entry["name"], "--dry-run")
    assert (would.returncode, f"would put back the rows of {entry['name']}" in would.stdout) == (0, True), would.stdout
    early = deployed.playbook("put_back_archive", "here", variables={"windlass_put_back": entry["name"]})
    assert (early.code != 0, "archive_failed" in early.output) == (True, True)
    assert [item["state"] for item in archives(deployed)] == ["kept"]

    again = deployed.invoke("deploy", "--env", "here", "--yes", "--restore-archived")
    assert again.returncode == 0, again.stdout
    assert "put 2 of 2 rows back into public.a" in again.stdout
    assert [item["state"] for item in archives(deployed)] == ["put back"]

    refused = deployed.invoke("archives", "--env", "here", "--purge", entry["name"])
    assert (refused.returncode, "has to be typed" in refused.stdout) == (14, True)
    variables = {"windlass_purge": entry["name"]}
    assert deployed.playbook("purge_archive", "here", variables=variables, check=True).changed == 0
    assert deployed.playbook("purge_archive", "here", variables=variables).changed == 1
    assert [item["state"] for item in archives(deployed)] == ["purged"]
    gone = deployed.invoke("archives", "--env", "here", "--export", entry["name"])
    assert (gone.returncode, "there is no archive" in gone.stdout) == (2, True)


def test_without_an_archive_the_plan_says_that_rows_are_lost(deployed: Project) -> None:
    deployed.local_environment("here", [{**deployed_database(deployed), "policy": {"archive": "never"}}], policy=FREE)
    planned = deployed.invoke("plan", "--env", "here", "--rollback", "--steps", "1")
    assert "will be LOST: nothing is archived" in planned.stdout
    assert deployed.invoke("rollback", "--env", "here", "--steps", "1", "--yes").returncode == 0
    assert archives(deployed) == []


def deployed_database(project: Project) -> dict[str, Any]:
    import yaml

    content = yaml.safe_load((project.root / "inventories/here/hosts.yml").read_text())
    database: dict[str, Any] = content["databases"]["hosts"]["here"]["windlass_databases"][0]
    return database
