"""A rehearsal from the front door: measured on a copy, kept for its plan, and asked for by the gate."""

from __future__ import annotations

import json
import re

import psycopg
import pytest

from tests.project import Project
from tests.servers.postgresql import PostgresServer
from windlass.telling.console import duration

POLICY = {"confirm": "none", "backup": "never", "restore_test_host": "here"}
ROWS = "CREATE TABLE public.a (id int PRIMARY KEY);\nINSERT INTO public.a SELECT generate_series(1, 5000);\n"


@pytest.fixture
def stage(project: Project, database: str, pg: PostgresServer) -> Project:
    """An environment `here` with one database `d` that holds rows, and one pending migration."""
    project.system("tried")
    project.migration("001_note", "ALTER TABLE public.a ADD COLUMN note text;\n",
                      down="ALTER TABLE public.a DROP COLUMN note;\n",
                      verify="SELECT 'no note' WHERE NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'public.a'::regclass AND attname = 'note');\n")  # fmt: skip
    project.write("sql/tried/load/read.sql", "SELECT count(*) FROM public.a;\n")
    project.write("inventories/here/group_vars/all/more.yml", f"windlass_client_bin: {pg.bin}\n")
    policy = {**POLICY, "gate": {"rehearsed": "1h", "longest_run": "1h", "longest_block": "1h"}}
    project.local_environment("here", [{"name": "d", "system": "tried", "url": database}], policy=policy)
    with psycopg.connect(database, autocommit=True) as session:
        session.execute(ROWS)
    return project


def invoked(project: Project, *words: str, code: int = 0) -> str:
    done = project.invoke(*words, "--env", "here")
    assert done.returncode == code, done.stdout
    return done.stdout


def test_rehearsed_then_deployed(stage: Project) -> None:
    assert "there is no complete backup" in invoked(stage, "rehearse", code=47)
    assert "rehearsed: this plan was not rehearsed" in invoked(stage, "deploy", "--yes", code=45)
    invoked(stage, "backup")
    assert "would be rehearsed on here" in invoked(stage, "rehearse", "--dry-run")
    told = invoked(stage, "rehearse", "--load", "all", "--workers", "2")
    for words in ("on a copy of", "5000 rows", "the way back", "the plan again", "load by 2 sessions", "needs"):
        assert words in told
    (kept,) = (stage.root / ".windlass" / "rehearsals").glob("*.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert json.loads(kept.read_text())["parts"][0]["statements"][0]["migration"] == "001_note"
    assert re.search(r"rehearsed \d+ (s|min) ago: needs", invoked(stage, "plan"))
    invoked(stage, "deploy", "--yes")

    path = stage.root / "inventories/here/hosts.yml"
    path.write_text(re.sub(r"\n *restore_test_host: here", "", path.read_text()))
    assert "nothing to do" in invoked(stage, "rehearse"), "and nobody asks for a host to do it on"


def test_a_plan_that_fails_on_the_copy_touches_nothing_else(stage: Project, database: str) -> None:
    invoked(stage, "backup")
    stage.migration("002_late", "SELECT 1 / (5000 - count(*)) FROM public.a;\n", down="SELECT 1;\n")
    assert "division by zero" in invoked(stage, "rehearse", code=47)
    assert "division by zero" in invoked(stage, "plan"), "and the plan remembers"
    with psycopg.connect(database) as session:
        assert session.execute("SELECT to_regclass('windlass.migrations')").fetchone() == (None,)
        left = session.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'windlass\\_scratch\\_%'")
        assert left.fetchone() == (0,)


def test_a_long_lock_closes_the_gate_and_its_online_form_opens_it(stage: Project) -> None:
    slow = "ALTER TABLE public.a ADD COLUMN b int;\nSELECT pg_sleep(2);\n"
    stage.migration("002_slow", slow, down="ALTER TABLE public.a DROP COLUMN b;\n")
    invoked(stage, "backup")
    invoked(stage, "rehearse")
    (kept,) = (stage.root / ".windlass" / "rehearsals").glob("*.json")
    measured = json.loads(kept.read_text())["parts"][0]["longest_block"]
    assert measured["table"] == "public.a"
    # What is allowed is a little less than what was measured: no figure of this machine's speed is assumed.
    allowed = measured["longest_ms"] - 1
    path = stage.root / "inventories/here/hosts.yml"
    path.write_text(path.read_text().replace("longest_block: 1h", f"longest_block: {allowed}ms"))
    refused = invoked(stage, "deploy", "--yes", code=45)
    assert f"{duration(allowed)} are allowed for keeping others waiting" in refused
    online = "SELECT pg_sleep(0.1);\nALTER TABLE public.a ADD COLUMN b int;\n"
    stage.migration("002_slow", online, down="ALTER TABLE public.a DROP COLUMN b;\n")
    invoked(stage, "rehearse")
    deployed = invoked(stage, "deploy", "--yes")
    assert "table sizes" in deployed and "public.a" in deployed
    newest = max(stage.root.glob(".windlass/evidence/here/0*.json"))
    kept = json.loads(newest.read_text())["hosts"]["here"]["d"]
    assert kept["rehearsal"]["failed"] == "" and kept["rehearsal"]["backup"]
    assert kept["fingerprints"]["after"]


def test_known_queries_are_compared_after_the_real_deployment(project: Project, database: str) -> None:
    project.system("tried")
    rows = "INSERT INTO public.a SELECT i, i FROM generate_series(1, 20000) i;\n"
    up = f"CREATE TABLE public.a (id int PRIMARY KEY, n int);\n{rows}CREATE INDEX a_n ON public.a (n);\nANALYZE public.a;\n"
    project.migration("001_table", up, down="DROP TABLE public.a;\n")
    project.write("sql/tried/queries/by_n.sql", "SELECT id FROM public.a WHERE n = 7;\n")
    policy = {"confirm": "none", "backup": "never"}
    project.local_environment("here", [{"name": "d", "system": "tried", "url": database}], policy=policy)
    assert "end to end" not in invoked(project, "deploy", "--yes")
    project.migration("002_no_index", "DROP INDEX public.a_n;\n", down="CREATE INDEX a_n ON public.a (n);\n")
    assert "query by_n.sql: it now reads public.a from end to end" in invoked(project, "deploy", "--yes")
    newest = max(project.root.glob(".windlass/runs/*/report.html"))
    told = newest.read_text()
    assert "Known queries" in told and "it now reads public.a from end to end" in told and "Table sizes" in told
