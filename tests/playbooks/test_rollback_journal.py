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
    assert tables(database) == ["t1"]


def test_a_checkout_that_cannot_be_read_holds_up_neither_status_nor_a_way_back(project: Project, database: str) -> None:
    project.system("tried")
    for number in (1, 2):
        table = f"public.t{number}"
        project.migration(f"00{number}_t", f"CREATE TABLE {table} (id int);\n", down=f"DROP TABLE {table};\n")
    project.local_environment("here", [{"name": "d", "system": "tried", "url": database}], policy=POLICY)
    assert project.invoke("deploy", "--env", "here", "--yes").returncode == 0

    project.migration("003_template", "-- nothing yet\n", down="-- nothing yet\n")
    refused = project.invoke("deploy", "--env", "here", "--yes")
    assert refused.returncode == 3, refused.stdout
    shown = project.invoke("status", "--env", "here")
    assert shown.returncode == 3 and "003_template/up.sql: holds no statement" in shown.stdout
    assert "002_t" in shown.stdout and "UNREACHABLE" not in shown.stdout
    undone = project.invoke("rollback", "--env", "here", "--steps", "1", "--yes")
    assert undone.returncode == 0, undone.stdout
    assert "2 mistakes in the project: not needed, the journal keeps the down scripts" in undone.stdout
    assert tables(database) == ["t1"]

    shutil.rmtree(project.root / "sql/tried")
    assert "there is no such system" in project.invoke("rollback", "--env", "here", "--steps", "1", "--yes").stdout
    assert tables(database) == []


def tables(database: str) -> list[str]:
    """Return the names of the tables that stand."""
    with psycopg.connect(database) as session:
        found = session.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
    return [name for (name,) in found]
