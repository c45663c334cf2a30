"""A way back that could not be gone to its end is refused while the application still runs and nothing is changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import yaml

from tests.project import Project
from windlass_engine.keeping import manifest

FIRST = "CREATE TABLE public.a (id int PRIMARY KEY);\n"
SECOND = "ALTER TABLE public.a ADD COLUMN note text;\n"
CAREFUL = {"confirm": "typed", "scratch": "allow"}
APPLICATION = ("--application", "--steps", "1")
RESTORE = ("--restore", "latest")


class Place:
    """A database with two migrations, a backup and an application that writes down when it is sent away."""

    def __init__(self, project: Project, pg: Any, url: str) -> None:
        self.project = project
        self.superuser_url = url
        self.clients = pg.bin
        self.login = f"few_{uuid4().hex[:8]}"
        self.name = self.ask("SELECT current_database()")[0][0]
        self.url = pg.url_of(self.name, user=self.login, password="pw")
        self.story = project.root / "story"

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.superuser_url, autocommit=True) as session:
            cursor = session.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def declare(self, clients: Path | None = None, **more: Any) -> None:
        """Write the inventory: one host with the database and the application."""
        listed = [{"name": "d", "system": "tried", "url": self.url}]
        folder = self.project.local_environment("here", listed, policy=CAREFUL)
        inventory = yaml.safe_load((folder / "hosts.yml").read_text())
        app = {"app_become": False, "app_maintenance_on": [f"touch {self.story}"], **more}
        inventory["applications"] = {"hosts": {"here": None}, "vars": app}
        inventory["databases"]["hosts"]["here"]["windlass_client_bin"] = str(clients or self.clients)
        (folder / "hosts.yml").write_text(yaml.safe_dump(inventory))

    def state(self) -> Any:
        """All that a refused play must leave as it is."""
        columns = self.ask("SELECT column_name FROM information_schema.columns WHERE table_name = 'a'")
        databases = self.ask("SELECT datname FROM pg_database ORDER BY 1")
        return columns, databases, self.ask("SELECT count(*) FROM public.a"), self.ask("SELECT * FROM windlass.events")

    @property
    def backup(self) -> Path:
        """The folder of the only backup."""
        [path] = [path.parent for path in self.project.root.rglob("manifest.json")]
        return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, pg: Any) -> Iterator[Place]:
    """Two migrations deployed by a login of few rights, a backup of what stood before, and a row since."""
    project = Project(tmp_path_factory.mktemp("preconditions") / "project")
    project.system("tried")
    project.migration("001_table", FIRST, down="DROP TABLE public.a;\n")
    project.migration("002_note", SECOND, down="ALTER TABLE public.a DROP COLUMN note;\n")
    with pg.database() as url:
        found = Place(project, pg, url)
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


@contextmanager
def a_manifest_that_says(place: Place, **changes: Any) -> Iterator[None]:
    path = place.backup / manifest.NAME
    genuine, known = path.read_bytes(), manifest.load(str(path.parent))
    path.unlink()
    manifest.write(str(path.parent), {**known, **changes})
    yield
    path.write_bytes(genuine)


@contextmanager
def asked(place: Place, first: str, afterwards: str) -> Iterator[None]:
    """Spoil by one statement, mend by another; {login} and {name} stand for the login and the database."""
    names = {"login": place.login, "name": place.name}
    place.ask(first.format(**names))
    yield
    place.ask(afterwards.format(**names))


@contextmanager
def declared(place: Place, **more: Any) -> Iterator[None]:
    place.declare(**more)
    yield
    place.declare()


@contextmanager
def an_old_client(place: Place) -> Iterator[None]:
    dump = place.project.write("old/pg_dump", "#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.1'\n")
    dump.chmod(0o755)
    shutil.copy(dump, dump.with_name("pg_restore"))
    with declared(place, clients=dump.parent):
        yield


@contextmanager
def a_damaged_backup(place: Place) -> Iterator[None]:
    path = place.backup / "schema.json"
    genuine = path.read_bytes()
    path.write_text("{}")
    yield
    path.write_bytes(genuine)


@pytest.mark.parametrize(
    ("spoilt", "way", "code", "words"),
    [
        (partial(a_manifest_that_says, bytes=10**18, data_bytes=1), APPLICATION, 27, "the backup needs about"),
        (an_old_client, APPLICATION, 26, "pg_dump"),
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
    with spoilt(place):
        before = place.state()
        refused = place.project.invoke("rollback", "--env", "here", *way, "--confirm", "here")
        assert place.state() == before, refused.stdout
    assert refused.returncode == code, refused.stdout
    assert words in refused.stdout
    assert not place.story.exists(), "the application was sent away"
