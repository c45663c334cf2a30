"""Backups kept through the playbooks: catalogue, restore test, encryption, off-site copy, download, retention."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.project import Project
from tests.servers.postgresql import PostgresServer
from windlass_engine.keeping import catalogue

TABLE = "CREATE TABLE public.a (id int PRIMARY KEY);\nINSERT INTO public.a SELECT generate_series(1, 500);\n"
CHECK = "-- check: rows\nSELECT 'there are rows without an id' FROM public.a WHERE id IS NULL;\n"
POLICY = {"confirm": "none", "backup": "never", "restore_test_host": "here", "prune": "after_backup",
          "backup_max_age": "26h"}  # fmt: skip


@pytest.fixture
def kept(project: Project, database: str, pg: PostgresServer) -> Project:
    """An environment `here` with one database `d`, which has a table."""
    project.system("tried")
    project.write("sql/tried/checks/1_rows.sql", CHECK)
    project.write("inventories/here/group_vars/all/more.yml", f"windlass_client_bin: {pg.bin}\n")
    project.local_environment("here", [{"name": "d", "system": "tried", "url": database}], policy=POLICY)
    with psycopg.connect(database, autocommit=True) as session:
        session.execute(TABLE)
    return project


def vary(project: Project, **variables: Any) -> None:
    """Add variables to the environment."""
    path = project.root / "inventories/here/group_vars/all/more.yml"
    path.write_text(path.read_text() + "".join(f"{key}: {json.dumps(value)}\n" for key, value in variables.items()))


def invoked(project: Project, *words: str, code: int = 0, env: dict[str, str] | None = None) -> str:
    done = project.invoke(*words, "--env", "here", env=env)
    assert done.returncode == code, done.stdout
    return done.stdout


def entries(project: Project) -> list[dict[str, Any]]:
    return catalogue.read(str(home(project).parent), ["d"])["d"]


def listed(project: Project, code: int = 0) -> list[dict[str, Any]]:
    """The catalogue as `invoke backups --json` prints it."""
    text = invoked(project, "backups", "--json", code=code)
    record = json.loads(text[text.index("{\n") : text.rindex("}") + 1])
    found: list[dict[str, Any]] = record["hosts"]["here"]["databases"]["d"]["backups"]["entries"]
    return found


def databases(url: str) -> set[str]:
    with psycopg.connect(url, autocommit=True) as session:
        return {name for (name,) in session.execute("SELECT datname FROM pg_database").fetchall()}


def home(project: Project) -> Path:
    return project.root / ".windlass/state/backups/d"


def test_tested_shown_downloaded_and_pruned(kept: Project, database: str) -> None:
    kept.migration("001_more", "CREATE TABLE public.b (id int PRIMARY KEY);\n", down="DROP TABLE public.b;\n")
    invoked(kept, "deploy", "--yes")
    assert "there is no complete backup" in invoked(kept, "backup-test", code=37)
    for _ in range(2):
        invoked(kept, "backup")
    before = databases(database)
    assert "restored and compared on here" in invoked(kept, "backup-test")
    assert databases(database) == before, "the scratch database is gone"
    newest, *older = listed(kept)
    assert newest["state"] == "complete" and newest["verified"]["host"] == "here"
    assert newest["verified"]["duration_ms"] > 0 and newest["journal_head"] and newest["encrypted"] is False
    assert [each.get("verified") for each in older] == [None]
    shown = invoked(kept, "backups")
    assert shown.index(newest["id"]) < shown.index(older[0]["id"]) and "verified" in shown

    invoked(kept, "backups", "--download", "latest", "--to", str(kept.root / "mine"))
    place = kept.root / "mine/here/d" / newest["id"]
    assert (place / "manifest.json").exists() and (place / "manifest.json").stat().st_mode & 0o777 == 0o600

    vary(kept, windlass_retention={"last": 1})
    said = invoked(kept, "prune", "--dry-run")
    assert "1 backup would go, 1 stay" in said and "the newest, last 1 of 1, the last verified" in said
    assert len(entries(kept)) == 2
    again = kept.playbook("prune", "here", check=True)
    assert again.changed == 1 and f"-{older[0]['id']}" in again.output
    assert "1 backup deleted" in invoked(kept, "prune")
    assert [each["id"] for each in entries(kept)] == [newest["id"]]
    assert kept.playbook("prune", "here").changed == 0

    assert "verified backup" not in invoked(kept, "status", "--strict")
    marks = home(kept) / ".marks" / f"{newest['id']}.json"
    marks.rename(marks.with_suffix(".away"))
    assert "no backup has been verified" in invoked(kept, "status")
    assert "the policy wants one that is younger than 26 h" in invoked(kept, "status", "--strict", code=36)
    marks.with_suffix(".away").rename(marks)
    invoked(kept, "backup")
    assert [bool(each.get("verified")) for each in entries(kept)] == [False, True], "the last verified one stays"


def test_what_nobody_has_cannot_be_brought(kept: Project) -> None:
    absent = "20200131T000000Z-1a2b3c"
    assert f"no host has a complete backup {absent}" in invoked(kept, "backups", "--download", absent, code=26)
    assert "windlass_offsite names no repository" in invoked(kept, "backups", "--fetch", absent, code=4)


def test_a_backup_of_before_a_migration_is_not_held_against_what_comes_after_it(kept: Project) -> None:
    """Else the gate to a first deployment, which asks for a verified backup, could not be opened."""
    invoked(kept, "backup")
    kept.migration("001_more", "CREATE TABLE public.b (id int PRIMARY KEY);\n", down="DROP TABLE public.b;\n")
    kept.write("sql/tried/checks/2_more.sql", "-- check: b is empty\nSELECT id::text FROM public.b;\n")
    output = invoked(kept, "backup-test")
    assert "restored and compared on here" in output
    assert "checks and sample-data tests were left out: it is of before 001_more" in output
    (entry,) = entries(kept)
    assert entry["verified"]["host"] == "here"
    invoked(kept, "deploy", "--yes")
    invoked(kept, "backup")
    assert "left out" not in invoked(kept, "backup-test")


def test_a_backup_that_does_not_restore_is_marked_and_not_a_success(kept: Project, database: str) -> None:
    invoked(kept, "backup")
    with psycopg.connect(database, autocommit=True) as session:
        session.execute("INSERT INTO public.a VALUES (-1)")
    kept.write("sql/tried/checks/1_rows.sql", CHECK.replace("id IS NULL", "id = 7"))
    before = databases(database)
    output = invoked(kept, "backup-test", code=37)
    assert "1 of its checks failed" in output and "there are rows without an id" in output
    assert databases(database) == before
    (entry,) = entries(kept)
    assert "1 of its checks failed" in entry["failed"]["reason"] and "verified" not in entry
    dump = next(path for path in (home(kept) / entry["id"] / "dump").iterdir() if path.name != "toc.dat")
    data = bytearray(dump.read_bytes())
    data[len(data) // 2] ^= 1
    dump.write_bytes(bytes(data))
    assert "its content changed" in invoked(kept, "backup-test", code=37)
    assert databases(database) == before


def test_no_server_in_use_is_taken_without_a_word(kept: Project) -> None:
    invoked(kept, "backup")
    path = kept.root / "inventories/here/hosts.yml"
    path.write_text(re.sub(r"\n *restore_test_host: here", "", path.read_text()))
    output = invoked(kept, "backup-test", code=10)
    assert "windlass_policy.restore_test_host" in output


@pytest.mark.skipif(not shutil.which("age"), reason="age is missing: apt-get install age")
def test_an_encrypted_backup_is_restored_by_the_holder_of_the_identity_only(kept: Project, tmp_path: Path) -> None:
    key = tmp_path / "key.txt"
    made = subprocess.run(["age-keygen", "-o", str(key)], capture_output=True, text=True, check=True)
    secret = next(line for line in key.read_text().splitlines() if line.startswith("AGE-SECRET"))
    vary(kept, windlass_backup_recipients=[made.stderr.strip().rpartition(" ")[2]])
    invoked(kept, "backup")
    (entry,) = entries(kept)
    names = {path.name for path in (home(kept) / entry["id"]).rglob("*") if path.is_file()}
    assert entry["encrypted"] is True and {name[-4:] for name in names - {"manifest.json"}} == {".age"}
    assert "no identity was given" in invoked(kept, "backup-test", code=37)
    mine = {"WINDLASS_AGE_IDENTITY": str(key)}
    assert "restored and compared" in invoked(kept, "backup-test", env=mine)
    assert "stands in" in invoked(kept, "restore", "--yes", env=mine)
    left = [path for path in kept.root.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert not [path for path in left if secret.encode() in path.read_bytes()], "the identity is kept nowhere"
    os.chmod(key, 0o644)
    assert "others may read it" in invoked(kept, "restore", "--yes", env=mine, code=10)


@pytest.mark.skipif(not shutil.which("restic"), reason="restic is missing: apt-get install restic")
def test_off_site_and_back(kept: Project, tmp_path: Path) -> None:
    secret = "not to be seen by anybody"
    vary(kept, windlass_offsite={"repository": str(tmp_path / "far"), "password": secret})
    output = invoked(kept, "backup", code=35)
    assert "invoke offsite --create" in output
    (entry,) = listed(kept, code=35)
    assert entry["state"] == "complete", "the local backup stands"
    assert "made the repository" in invoked(kept, "offsite", "--create")
    (entry,) = entries(kept)
    assert entry["offsite"]["repository"] == str(tmp_path / "far") and entry["offsite"]["checked_at"]
    shutil.rmtree(home(kept) / entry["id"])
    assert [each["state"] for each in listed(kept)] == ["off-site"]
    assert f"fetched {entry['id']}" in invoked(kept, "backups", "--fetch", entry["id"])
    assert [each["state"] for each in entries(kept)] == ["complete"]
    shutil.rmtree(home(kept) / entry["id"])
    assert "is only off-site" in invoked(kept, "restore", "--backup", entry["id"], "--dry-run", code=26)
    assert "stands in" in invoked(kept, "restore", "--backup", entry["id"], "--yes")
    left = [path for path in (kept.root / ".windlass").rglob("*") if path.is_file()]
    assert not [path for path in left if secret.encode() in path.read_bytes()]


def test_databases_of_one_name_on_several_hosts_are_each_tested(kept: Project, database: str) -> None:
    """They meet on the test host, on one server: none is taken for another's, and what has no server is told."""
    path = kept.root / "inventories/here/hosts.yml"
    inventory = yaml.safe_load(path.read_text())
    here = inventory["databases"]["hosts"]["here"]
    here["windlass_policy"]["restore_test_host"] = "there"
    away = {**here, "windlass_state_dir": str(kept.root / "away"), "windlass_databases": [
        {"name": "d", "system": "tried", "url": f"{database}_two"},
        {"name": "m", "system": "tried", "url": "mysql://nobody@127.0.0.1:1/m"}]}  # fmt: skip
    inventory["databases"]["hosts"]["away"] = away
    there = {
        **{key: value for key, value in here.items() if key.startswith("ansible_")},
        "windlass_state_dir": str(kept.root / "there"),
        "windlass_restore_test_servers": [{"url": database}],
    }
    inventory["spare"] = {"hosts": {"there": there}}
    path.write_text(yaml.safe_dump(inventory))
    name = database.rpartition("/")[2].partition("?")[0]
    with psycopg.connect(database, autocommit=True) as session:
        session.execute(f'CREATE DATABASE "{name}_two"')
    try:
        with psycopg.connect(f"{database}_two", autocommit=True) as session:
            session.execute(TABLE)
            session.execute("INSERT INTO public.a VALUES (-1)")
        kept.write("sql/tried/checks/1_rows.sql", CHECK.replace("id IS NULL", "id < 0"))
        kept.invoke("backup", "--env", "here", "--database", "d")
        output = invoked(kept, "backup-test", code=37)
    finally:
        with psycopg.connect(database, autocommit=True) as session:
            session.execute(f'DROP DATABASE IF EXISTS "{name}_two" WITH (FORCE)')
    assert "here d: backup" in output and "restored and compared on there" in output
    assert "away d: FAILED" in output and "1 of its checks failed" in output and "away m: SKIPPED" in output
    assert "verified" in entries(kept)[0]
    (bad,) = catalogue.read(str(kept.root / "away/backups"), ["d"])["d"]
    assert "verified" not in bad and "1 of its checks failed" in bad["failed"]["reason"]
    assert not list((kept.root / "there/restore-tests").iterdir()), "the copies are gone there"
    assert not list((kept.root / ".windlass/transit").iterdir()), "and here"


def test_a_backup_is_tested_on_another_host(kept: Project, database: str) -> None:
    path = kept.root / "inventories/here/hosts.yml"
    inventory = yaml.safe_load(path.read_text())
    here = inventory["databases"]["hosts"]["here"]
    here["windlass_policy"]["restore_test_host"] = "there"
    there = {
        **{key: value for key, value in here.items() if key.startswith("ansible_")},
        "windlass_state_dir": str(kept.root / "there"),
        "windlass_restore_test_servers": [{"url": database}],
    }
    inventory["spare"] = {"hosts": {"there": there}}
    path.write_text(yaml.safe_dump(inventory))
    invoked(kept, "backup")
    assert "restored and compared on there" in invoked(kept, "backup-test")
    assert entries(kept)[0]["verified"]["host"] == "there"
    assert not list((kept.root / "there" / "restore-tests").glob("*/*")), "the copy is gone there"
    assert not list((kept.root / ".windlass" / "transit").glob("*/*")), "and here"
