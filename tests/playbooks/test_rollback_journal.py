"""Down scripts come from the journal: of a checkout that lost a migration, or in which it was edited since."""

from __future__ import annotations

import shutil
from typing import Any

import psycopg

from tests.project import Project

POLICY = {"confirm": "none", "backup": "never"}


def test_the_checkout_of_that_time_is_not_needed(project: Project, database: str, pg: Any) -> None:
    project.system("tried")
    for number in (1, 2, 3):
        table = f"public.t{number}"
        project.migration(f"00{number}_t", f"CREATE TABLE {table} (id int);\n", down=f"DROP TABLE {table};\n")
    project.migration("004_bad", "CREATE TABLE public.t4 (id int);\n", down="DROP TABLE public.nowhere;\n")
    project.local_environment("here", [{"name": "d", "system": "tried", "url": database}], policy=POLICY)
    assert project.invoke("deploy", "--env", "here", "--yes").returncode == 0

    failed = project.invoke("rollback", "--env", "here", "--steps", "1", "--yes")
    assert failed.returncode == 22, failed.stdout
    assert "with --down-from checkout after mending its down.sql" in failed.stdout
    project.migration("004_bad", "CREATE TABLE public.t4 (id int);\n", down="DROP TABLE public.t4;\n")
    words = ("rollback", "--env", "here", "--steps", "1", "--down-from", "checkout")
    shown = project.invoke(*words, text="no\n").stdout
    assert "-DROP TABLE public.nowhere;" in shown and "+DROP TABLE public.t4;" in shown
    assert project.invoke(*words, "--yes").returncode == 0

    shutil.rmtree(project.root / "sql/tried/migrations/003_t")
    project.migration("002_t", "SELECT 1 / 0;\n", down="SELECT 1 / 0;\n")
    undone = project.invoke("rollback", "--env", "here", "--to", "001_t", "--yes")
    assert undone.returncode == 0, undone.stdout
    with psycopg.connect(database) as session:
        tables = session.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert tables == [("t1",)]
