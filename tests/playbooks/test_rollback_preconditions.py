"""A way back that could not be gone to its end is refused while the application still runs and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import psycopg
import pytest

from tests.playbooks.preconditions import (
    APPLICATION,
    RESTORE,
    Place,
    a_damaged_backup,
    a_manifest_that_says,
    asked,
    declared,
    old_clients,
)
from tests.project import Project

FIRST = "CREATE TABLE public.a (id int PRIMARY KEY);\n"
SECOND = "ALTER TABLE public.a ADD COLUMN note text;\n"


class OnPostgreSQL(Place):
    """One on PostgreSQL."""

    def __init__(self, project: Project, pg: Any, url: str) -> None:
        self.superuser_url = url
        super().__init__(project, self.ask("SELECT current_database()")[0][0], pg.url_of, str(pg.bin))

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.superuser_url, autocommit=True) as session:
            cursor = session.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def state(self) -> Any:
        columns = self.ask("SELECT column_name FROM information_schema.columns WHERE table_name = 'a'")
        databases = self.ask("SELECT datname FROM pg_database ORDER BY 1")
        return columns, databases, self.ask("SELECT count(*) FROM public.a"), self.ask("SELECT * FROM windlass.events")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, pg: Any) -> Iterator[Place]:
    """Two migrations deployed by a login of few rights, a backup of what stood before, and a row since."""
    project = Project(tmp_path_factory.mktemp("preconditions") / "project")
    project.system("tried")
    project.migration("001_table", FIRST, down="DROP TABLE public.a;\n")
    project.migration("002_note", SECOND, down="ALTER TABLE public.a DROP COLUMN note;\n")
    with pg.database() as url:
        found = OnPostgreSQL(project, pg, url)
        found.ask(f"CREATE ROLE {found.login} LOGIN CREATEDB PASSWORD 'pw'")
        found.ask(f"GRANT pg_read_all_settings TO {found.login}")  # to see where the data lies, and so the room there
        found.ask(f"ALTER DATABASE {found.name} OWNER TO {found.login}")
        found.ask(f"ALTER SCHEMA public OWNER TO {found.login}")
        found.declare()
        done = project.invoke("deploy", "--env", "here", "--yes")
        assert done.returncode == 0, done.stdout
        found.ask("INSERT INTO public.a VALUES (1, 'since')")
        yield found
        found.ask(f"ALTER DATABASE {found.name} OWNER TO CURRENT_USER")
        found.ask(f"DROP OWNED BY {found.login} CASCADE")
        found.ask(f"DROP ROLE {found.login}")


@pytest.mark.parametrize(
    ("spoilt", "way", "code", "words"),
    [
        (partial(a_manifest_that_says, bytes=10**18, data_bytes=1), APPLICATION, 27, "the backup needs about"),
        (partial(old_clients, dump="pg_dump", client="pg_restore", answer="pg_dump (PostgreSQL) 9.6.1"),
         APPLICATION, 26, "pg_dump"),
        (partial(asked, first="CREATE TABLE public.secret (id int)", afterwards="DROP TABLE public.secret"),
         APPLICATION, 26, "secret"),
        (partial(asked, first="ALTER TABLE public.a OWNER TO CURRENT_USER",
                 afterwards="ALTER TABLE public.a OWNER TO {login}"), APPLICATION, 10, "must be owner of table a"),
        (partial(declared, app_services=["windlass-nowhere.service"]), APPLICATION, 10, "windlass-nowhere.service"),
        (partial(declared, app_maintenance_off=["/opt/nowhere/page off"]), RESTORE, 10, "there is no program /opt/nowhere"),
        (partial(a_manifest_that_says, database_bytes=10**18), RESTORE, 28, "it would take about"),
        (partial(a_manifest_that_says, server_version=990001), RESTORE, 28, "the backup comes from 99"),
        (partial(a_manifest_that_says, encryption={"method": "age", "recipients": []}), RESTORE, 10, "no identity"),
        (partial(asked, first="ALTER ROLE {login} NOCREATEDB", afterwards="ALTER ROLE {login} CREATEDB"),
         RESTORE, 28, "may not create databases"),
        (partial(asked, first="ALTER DATABASE {name} OWNER TO CURRENT_USER",
                 afterwards="ALTER DATABASE {name} OWNER TO {login}"), RESTORE, 28, "belongs to"),
        (a_damaged_backup, RESTORE, 26, "is damaged"),
        (nullcontext, (*RESTORE, "--to", "003_nowhere"), 2, "there is no migration 003_nowhere"),
    ],
)  # fmt: skip
def test_nothing_is_touched_where_it_could_not_end(
    place: Place, spoilt: Callable[[Place], AbstractContextManager[Any]], way: tuple[str, ...], code: int, words: str
) -> None:
    place.refuses(spoilt, way, code, words)
