"""A way back on MariaDB that could not be gone to its end is refused while the application still runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

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
from windlass_engine.dialects.mysql import locks

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer

FIRST = "CREATE TABLE a (id int PRIMARY KEY, p int, FOREIGN KEY (p) REFERENCES a (id));\n"
#: Code of each kind, so that a restore and an exchange need the right to make it.
CODE = """\
CREATE VIEW seen AS SELECT id FROM a;
CREATE TRIGGER counted BEFORE INSERT ON a FOR EACH ROW SET @counted = 1;
CREATE FUNCTION one() RETURNS int RETURN 1;
CREATE EVENT hourly ON SCHEDULE EVERY 1 HOUR STARTS '2037-01-01' DO DELETE FROM a WHERE id < 0;
"""
SECOND = "ALTER TABLE a ADD COLUMN note text;\n"
DOWN = "ALTER TABLE a DROP COLUMN note;\n"


class OnMariaDB(Place):
    """One on MariaDB."""

    def __init__(self, project: Project, server: MariaDBServer, name: str) -> None:
        self.server = server
        super().__init__(project, name, server.url_of, server.client_bin)

    @property
    def beside(self) -> str:
        """The pattern of the databases that stand beside ours."""
        return f"{self.name}_%".replace("_", "\\_")

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self.server.connect(self.name) as session, session.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def state(self) -> Any:
        columns = self.ask("SELECT column_name FROM information_schema.COLUMNS WHERE table_schema = DATABASE()")
        events = self.ask("SELECT * FROM windlass_events")
        return columns, self.ask("SHOW DATABASES"), self.ask("SELECT count(*) FROM a"), events


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, mariadb: MariaDBServer) -> Iterator[OnMariaDB]:
    """Two migrations deployed by a login of few rights, a backup of what stood before the second, and a row since."""
    project = Project(tmp_path_factory.mktemp("preconditions") / "project")
    project.write("sql/tried/system.yml", "name: tried\nengine: mysql\ntitle: Tried\ndescription: For a test.\n")
    project.migration("001_table", FIRST + CODE, down="DROP TABLE a;\n", verify="")
    with mariadb.database() as url:
        found = OnMariaDB(project, mariadb, url.rpartition("/")[2])
        found.ask(f"CREATE USER {found.login} IDENTIFIED BY 'pw'")
        for granted in (found.name, found.beside, "windlass\\_scratch\\_%"):
            found.ask(f"GRANT ALL ON `{granted}`.* TO {found.login}")
        found.declare(policy={"backup": "never"})
        for name, up, down in (("001_table", FIRST + CODE, "DROP TABLE a;\n"), ("002_note", SECOND, DOWN)):
            project.migration(name, up, down=down, verify="")
            done = project.invoke("deploy", "--env", "here", "--yes")
            assert done.returncode == 0, done.stdout
            found.declare()
        found.ask("INSERT INTO a VALUES (1, NULL, 'since')")
        yield found
        found.ask(f"DROP USER {found.login}")


@contextmanager
def another_run(place: OnMariaDB) -> Iterator[None]:
    """Let somebody else hold the deployer lock."""
    with place.server.connect(place.name) as session, session.cursor() as cursor:
        cursor.execute(f"SELECT GET_LOCK({locks.name_of(place.name)}, 0)")
        yield


@contextmanager
def without(place: OnMariaDB, right: str) -> Iterator[None]:
    """Let the login lack a right on what stands beside."""
    place.ask(f"REVOKE {right} ON `{place.beside}`.* FROM {place.login}")
    yield
    place.ask(f"GRANT {right} ON `{place.beside}`.* TO {place.login}")


@contextmanager
def a_foreign_key_from(place: OnMariaDB, other: str) -> Iterator[None]:
    """Let a table of another database lead to ours."""
    with place.server.database(f"{place.name}_{other}") as _:
        place.ask(f"CREATE TABLE {place.name}_{other}.b (p int, FOREIGN KEY (p) REFERENCES {place.name}.a (id))")
        yield


@contextmanager
def another_down(place: OnMariaDB, down: str) -> Iterator[None]:
    """Let the journal keep another down script of the second migration."""
    with place.server.connect(place.name) as session, session.cursor() as cursor:
        text = "UPDATE windlass_migrations SET down_text = %s WHERE name = '002_note'"
        cursor.execute(text, (down,))
        yield
        cursor.execute(text, (DOWN,))


#: Code of somebody else, whose text a login sees that may execute it and not more.
HIDDEN = "CREATE DEFINER = root@`%` PROCEDURE {name}.hidden() SET @hidden = 1"
STRANGE = "CREATE DEFINER = root@`%` VIEW {name}.strange AS SELECT 1"


@pytest.mark.parametrize(
    ("spoilt", "way", "code", "words"),
    [
        (partial(a_manifest_that_says, bytes=10**18, data_bytes=1), APPLICATION, 27, "the backup needs about"),
        (partial(old_clients, dump="mariadb-dump", client="mariadb", answer="mariadb from 5.5.1-MariaDB"),
         APPLICATION, 26, "no client programs that fit"),
        (partial(asked, first="REVOKE EVENT ON `{name}`.* FROM {login}", afterwards="GRANT EVENT ON `{name}`.* TO {login}"),
         APPLICATION, 26, "the login lacks EVENT"),
        (partial(asked, first=HIDDEN, afterwards="DROP PROCEDURE {name}.hidden"),
         APPLICATION, 26, "may not see the text of procedure hidden"),
        (partial(another_down, down="CALL nowhere();\n"), APPLICATION, 39, "nowhere"),
        (partial(declared, app_services=["windlass-nowhere.service"]), APPLICATION, 10, "windlass-nowhere.service"),
        (partial(declared, app_maintenance_off=["/opt/nowhere/page off"]), RESTORE, 10, "there is no program /opt/nowhere"),
        (another_run, RESTORE, 18, "the deployer lock is held by"),
        (partial(a_manifest_that_says, database_bytes=10**18), RESTORE, 28, "it would take about"),
        (partial(a_manifest_that_says, server_version=109901), RESTORE, 28, "the backup comes from 10.99"),
        (partial(a_manifest_that_says, server_version=80400), RESTORE, 28, "the other of MySQL and MariaDB"),
        (partial(a_manifest_that_says, encryption={"method": "age", "recipients": []}), RESTORE, 10, "no identity"),
        (partial(without, right="DELETE"), RESTORE, 28, "the login lacks DELETE on"),
        (partial(asked, first=STRANGE, afterwards="DROP VIEW {name}.strange"), RESTORE, 28, "runs as root@%"),
        (partial(a_foreign_key_from, other="other"), RESTORE, 28, "foreign keys of other databases lead to"),
        (a_damaged_backup, RESTORE, 26, "is damaged"),
        (nullcontext, (*RESTORE, "--to", "003_nowhere"), 2, "there is no migration 003_nowhere"),
    ],
)  # fmt: skip
def test_nothing_is_touched_where_it_could_not_end(
    place: OnMariaDB,
    spoilt: Callable[[Place], AbstractContextManager[Any]],
    way: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    place.refuses(spoilt, way, code, words)
