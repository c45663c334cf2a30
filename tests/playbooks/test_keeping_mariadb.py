"""A backup of MariaDB kept through the playbooks: copied off-site, tested, listed, downloaded, pruned, brought back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.engine.mariadb_backups import databases, drop_all, fetch, name_in, run
from tests.playbooks.test_keeping import entries, home, invoked, listed, vary
from tests.project import Project

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer

POLICY = {"confirm": "none", "backup": "never", "restore_test_host": "here", "backup_max_age": "26h"}
CHECK = "-- check: rows\nSELECT 'there are rows without a name' FROM a WHERE name IS NULL;\n"


@pytest.fixture
def url(mariadb: MariaDBServer) -> Iterator[str]:
    """A database with a table; those whose names begin as its own go with it."""
    made = mariadb.create_database()
    run(made, "CREATE TABLE a (id int PRIMARY KEY, name text)", "INSERT INTO a SELECT seq, 'ü' FROM seq_1_to_500")
    yield made
    drop_all(mariadb, name_in(made))


@pytest.mark.skipif(not shutil.which("restic"), reason="restic is missing: apt-get install restic")
def test_tested_copied_downloaded_pruned_and_back(project: Project, mariadb: MariaDBServer, url: str) -> None:
    project.write("sql/tried/system.yml", "name: tried\nengine: mysql\ntitle: Tried\ndescription: For a test.\n")
    project.write("sql/tried/checks/1_rows.sql", CHECK)
    project.write("inventories/here/group_vars/all/more.yml", "")
    project.local_environment("here", [{"name": "d", "system": "tried", "url": url}], policy=POLICY)
    offsite = {"repository": str(project.root / "far"), "password": "not to be seen"}
    vary(project, windlass_offsite=offsite, windlass_retention={"last": 1})
    invoked(project, "offsite", "--create")
    for _ in range(2):
        invoked(project, "backup")
    before = databases(mariadb)
    assert "restored and compared on here" in invoked(project, "backup-test")
    assert databases(mariadb) == before, "the scratch database is gone"
    newest, older = listed(project)
    assert newest["verified"]["host"] == "here" and newest["offsite"]["repository"] == offsite["repository"]
    assert "verified backup" not in invoked(project, "status", "--strict")
    invoked(project, "backups", "--download", "latest", "--to", str(project.root / "mine"))
    assert (project.root / "mine/here/d" / newest["id"] / "manifest.json").stat().st_mode & 0o777 == 0o600
    assert "1 backup would go, 1 stay" in invoked(project, "prune", "--dry-run") and len(entries(project)) == 2
    assert "1 backup deleted" in invoked(project, "prune") and older["id"] not in json.dumps(entries(project))

    shutil.rmtree(home(project) / newest["id"])
    run(url, "DELETE FROM a WHERE id < 400")
    shown = invoked(project, "restore", "--backup", newest["id"], "--table", "a", "--yes")
    assert "stands in" in shown and "not be seen" not in shown
    [side] = databases(mariadb) - before
    assert fetch(mariadb.url_of(side), "SELECT COUNT(*) FROM a") == [(500,)]
    run(url, "UPDATE a SET name = NULL WHERE id = 400")
    invoked(project, "backup")
    assert "there are rows without a name" in invoked(project, "backup-test", code=37)
