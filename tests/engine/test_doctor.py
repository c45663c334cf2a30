"""The doctor on real servers: what it finds, and that what it says to type does mend it."""

from __future__ import annotations

import os
from collections import namedtuple
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.servers.pgbouncer import Pgbouncer
from tests.servers.ports import closed_port
from tests.servers.postgresql import PostgresServer, system_bin
from windlass_engine import session
from windlass_engine.checking import doctor
from windlass_engine.checking.doctor import HOST, Places
from windlass_engine.dialects.postgresql import examination
from windlass_engine.finding import FAIL, OK, SKIPPED, WARN, Finding
from windlass_engine.model import Target

AWKWARD = "Jö \"x' %s"


@pytest.fixture
def places(tmp_path: Path, pg: PostgresServer) -> Places:
    return Places([str(tmp_path / "state")], str(tmp_path / "backups"), str(pg.bin))


def examined(url: str, places: Places, extensions: Sequence[str] = ()) -> dict[str, Finding]:
    """Return the findings about one database by name; an examination that broke off fails the test."""
    found = doctor.examine([Target("db", "salon", url)], places, {"db": extensions})["db"]
    assert "examination" not in [finding.name for finding in found], found
    return {finding.name: finding for finding in found}


class Login:
    """A login without any rights of its own, on a database that belongs to somebody else."""

    def __init__(self, server: PostgresServer, database: str, user: str) -> None:
        self.server, self.database, self.user = server, database, user
        self.run(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'pw'").format(sql.Identifier(user)))
        self.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        self.url = server.url_of(database, user=user, password="pw")

    def run(self, statement: str | sql.Composed) -> None:
        """Run a statement as superuser in the database."""
        with self.server.connect(self.database) as connection:
            connection.execute(statement)

    def drop(self) -> None:
        self.server.drop_database(self.database)
        with self.server.connect() as connection:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(self.user)))


@pytest.fixture(params=["plain", AWKWARD])
def login(request: pytest.FixtureRequest, pg: PostgresServer) -> Iterator[Login]:
    name = f"{request.param}_{os.urandom(3).hex()}"
    pg.create_database(name)
    login = Login(pg, name, f"u{name}")
    yield login
    login.drop()


def typed(mend: str) -> str:
    """Return the statement of a hint: what stands before its explanations."""
    return mend.split(";", maxsplit=1)[0].split(", or ", maxsplit=1)[0].split(" (and ", maxsplit=1)[0]


# ---------------------------------------------------------------- a server that is well, and one that is not there


def test_a_healthy_database_has_no_fault(each_pg: PostgresServer, tmp_path: Path) -> None:
    places = Places([str(tmp_path / "state")], str(tmp_path / "backups"), str(each_pg.bin))
    with each_pg.database() as url:
        found = examined(url, places)
    # The tests' servers do without durability, which the doctor rightly does not like.
    assert [f for f in found.values() if f.status != OK and f.name != "settings"] == []
    assert found["server version"].found.startswith(str(each_pg.version))
    assert found["clock of the database server"].found.startswith("agrees")


def test_looking_writes_nothing(database: str, places: Places, pg: PostgresServer) -> None:
    with pg.connect() as connection:
        name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(sql.Identifier(str(name)))
        )
    found = examined(database, places)
    assert found["writes"].status == FAIL
    assert found["journal"].found == "none yet"


def test_a_wrong_password_leaves_the_rest_out_and_stays_secret(pg: PostgresServer, places: Places) -> None:
    targets = [Target("bad", "salon", pg.url_of("postgres", password="hunter2")), Target("well", "salon", pg.url)]
    found = doctor.examine(targets, places, {})
    login, rest = found["bad"]
    assert (login.status, rest.status) == (FAIL, SKIPPED)
    assert login.found.startswith("login_refused")
    assert "hunter2" not in str(found)
    assert len(found["well"]) > 10


def test_a_server_that_is_not_there(places: Places) -> None:
    with closed_port() as port:
        found = examined(f"postgresql://me@127.0.0.1:{port}/x", places)
    assert found["login"].found.startswith("database_unreachable")
    assert found["login"].mend


# ---------------------------------------------------------------- rights: each hint is typed and mends


def test_rights_that_are_missing_are_mended_by_what_is_said(login: Login, places: Places) -> None:
    login.run("CREATE TABLE one (id int); CREATE TABLE two (id serial)")
    found = examined(login.url, places)
    expected = {
        "rights for the journal": FAIL,
        "right to create": WARN,
        "right to back up": FAIL,
        "ownership": WARN,
        "right to end sessions": WARN,
        "right to restore beside": WARN,
        "sight of other sessions": WARN,
    }
    assert {name: found[name].status for name in expected} == expected
    assert "public.one, public.two, public.two_id_seq" in found["ownership"].found
    for name in expected:
        login.run(typed(found[name].mend))
    mended = examined(login.url, places)
    assert {name: mended[name].status for name in expected} == dict.fromkeys(expected, OK)


def test_a_journal_of_somebody_else_is_mended_by_what_is_said(login: Login, places: Places) -> None:
    login.run("CREATE SCHEMA windlass")
    login.run("CREATE TABLE windlass.migrations (id int)")
    found = examined(login.url, places)
    assert (found["rights for the journal"].status, found["journal"].status) == (FAIL, FAIL)
    login.run(typed(found["rights for the journal"].mend))
    assert examined(login.url, places)["rights for the journal"].status == OK


def test_row_security_would_leave_rows_out_of_a_backup(login: Login, places: Places) -> None:
    login.run("CREATE TABLE guarded (id int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY")
    login.run(sql.SQL("GRANT SELECT ON guarded TO {}").format(sql.Identifier(login.user)))
    found = examined(login.url, places)["right to back up"]
    assert (found.status, "public.guarded" in found.found) == (FAIL, True)
    login.run(sql.SQL("ALTER ROLE {} BYPASSRLS").format(sql.Identifier(login.user)))
    assert examined(login.url, places)["right to back up"].status == OK


def test_a_read_only_login_is_mended_by_what_is_said(login: Login, places: Places) -> None:
    login.run(
        sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(sql.Identifier(login.database))
    )
    found = examined(login.url, places)["writes"]
    assert found.status == FAIL
    login.run(found.mend)
    assert examined(login.url, places)["writes"].status == OK


def test_a_search_path_that_leads_nowhere(login: Login, places: Places) -> None:
    login.run(sql.SQL("ALTER ROLE {} SET search_path = nowhere").format(sql.Identifier(login.user)))
    assert examined(login.url, places)["right to create"].status == WARN


# ---------------------------------------------------------------- what stands in the way


def test_a_standby_is_refused(places: Places) -> None:
    if system_bin() is None:
        pytest.skip("no PostgreSQL in /usr/lib/postgresql: apt-get install postgresql")
    server = PostgresServer(system_bin() or Path())
    try:
        server.start()
        server.stop()
        (server.data / "standby.signal").touch()
        server.start()
        found = examined(server.url, places)
    finally:
        server.remove()
    assert (found["writes"].status, found["writes"].found) == (FAIL, "a standby in recovery")


def test_a_transaction_pooler_is_found(pgbouncer: Pgbouncer, places: Places) -> None:
    assert examined(pgbouncer.url_of("postgres"), places)["pooler"].status == FAIL


def test_a_forgotten_transaction_is_named(database: str, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "OLD_TRANSACTION_S", 0)
    with (
        suppress(psycopg.errors.AdminShutdown),
        psycopg.connect(database, application_name="the crm") as other,
    ):
        other.execute("SELECT 1")
        found = examined(database, places)["old transactions"]
        assert found.status == WARN
        assert f"pid {other.info.backend_pid} of postgres (the crm), idle in transaction" in found.found
        with psycopg.connect(database, autocommit=True) as mender:
            mender.execute(typed(found.mend.partition(": ")[2]))
    assert examined(database, places)["old transactions"].status == OK


def test_an_invalid_index_is_mended_by_what_is_said(database: str, places: Places) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS id FROM generate_series(1, 2)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute('CREATE UNIQUE INDEX CONCURRENTLY "Odd name" ON t (id)')
        found = examined(database, places)["invalid indexes"]
        assert (found.status, found.found) == (WARN, 'public."Odd name"')
        connection.execute(typed(found.mend.partition(": ")[2].partition(", then")[0]))
    assert examined(database, places)["invalid indexes"].status == OK


def test_a_deployer_at_work_is_named(database: str, places: Places) -> None:
    with session.connect(Target("db", "salon", database), "windlass run-7 maria") as other:
        assert other.dialect.try_lock(other.link)
        found = examined(database, places)["deployer lock"]
    assert found.status == WARN
    assert "windlass run-7 maria" in found.found


@pytest.mark.parametrize(("limit", "status"), [(2, FAIL), (6, WARN), (50, OK)])
def test_few_free_connections(database: str, places: Places, limit: int, status: str) -> None:
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(sql.Identifier(str(name)), sql.Literal(limit))
        )
    found = examined(database, places)["connections"]
    assert found.status == status
    assert found.found == f"{limit - 1} of {limit} free (the database's limit)"


def test_settings_that_hurt_are_explained(database: str, places: Places) -> None:
    name = str(psycopg.conninfo.conninfo_to_dict(database)["dbname"])
    with psycopg.connect(database, autocommit=True) as connection:
        for setting in ("session_replication_role = replica", "default_transaction_isolation = 'serializable'"):
            connection.execute(sql.SQL("ALTER DATABASE {} SET " + setting).format(sql.Identifier(name)))
    found = examined(database, places)["settings"]
    assert "session_replication_role = replica: triggers" in found.found
    assert "default_transaction_isolation = serializable" in found.found


def test_bytes_without_an_encoding(pg: PostgresServer, places: Places) -> None:
    with pg.connect() as connection:
        connection.execute("CREATE DATABASE anybytes TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    try:
        assert examined(pg.url_of("anybytes"), places)["encoding"].status == WARN
    finally:
        pg.drop_database("anybytes")


def test_extensions(pg15: PostgresServer, places: Places) -> None:
    with pg15.connect() as connection:
        contrib = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'dblink'").fetchone()
    if not contrib:
        pytest.skip("the server has no contrib extensions: apt-get install postgresql-contrib")
    name = f"ext_{os.urandom(3).hex()}"
    pg15.create_database(name)
    login = Login(pg15, name, f"u{name}")
    try:
        login.run(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(*map(sql.Identifier, (name, login.user))))
        wanted = ["plpgsql", "pgcrypto", "dblink", "no'ne"]
        found = examined(login.url, places, wanted)
        statuses = [found[f"extension {extension}"].status for extension in wanted]
        assert statuses == [OK, OK, FAIL, FAIL]
        login.run(found["extension dblink"].mend.partition(": ")[2])
        assert examined(login.url, places, ["dblink"])["extension dblink"].found == "installed"
    finally:
        login.drop()


def test_client_programs_that_do_not_fit(database: str, tmp_path: Path) -> None:
    places = Places([str(tmp_path)], str(tmp_path), str(tmp_path / "nothing here"))
    found = examined(database, places)["client programs"]
    assert found.status == FAIL
    assert "postgresql-client-" in found.mend


def test_an_error_in_one_group_is_a_finding_and_the_next_goes_on(
    database: str, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "_SERVER", "SELECT no_such_column")
    found = doctor.examine([Target("db", "salon", database)], places, {})["db"]
    assert [f.status for f in found if f.name == "examination"] == [FAIL]
    assert "journal" in [f.name for f in found]


# ---------------------------------------------------------------- the host


def on_host(places: Places, targets: Sequence[Target] = ()) -> dict[str, Finding]:
    return {finding.name: finding for finding in doctor.examine(targets, places, {})[HOST]}


def test_python_and_driver_are_told() -> None:
    found = on_host(Places(["/tmp"], "/tmp"))
    assert found["python"].status == OK
    assert found["driver"].found.startswith(f"psycopg {psycopg.__version__}")


def test_an_old_driver_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psycopg, "__version__", "3.1.6.dev1")
    assert on_host(Places(["/tmp"], "/tmp"))["driver"].status == FAIL


@pytest.mark.parametrize(("mode", "status"), [(0o700, OK), (0o750, WARN), (0o707, FAIL), (0o770, FAIL)])
def test_a_state_folder_that_others_reach(tmp_path: Path, mode: int, status: str) -> None:
    tmp_path.chmod(mode)
    found = on_host(Places([str(tmp_path)], str(tmp_path)))["state folder"]
    assert found.status == status
    if status != OK:
        assert found.mend == f"chmod 0700 {tmp_path}"


def test_the_first_state_folder_that_can_be_had_is_taken(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    candidates = [str(tmp_path / "file" / "state"), str(tmp_path / "new" / "state")]
    found = on_host(Places(candidates, str(tmp_path)))["state folder"]
    assert found.found == f"{candidates[1]}, made when it is needed"
    assert not (tmp_path / "new").exists()
    assert f"{candidates[1]}/backups" in on_host(Places(candidates))["room for backups"].found
    assert on_host(Places(candidates[:1], str(tmp_path)))["state folder"].status == FAIL


def test_a_backup_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert on_host(Places([str(tmp_path)], str(tmp_path / "file" / "backups")))["room for backups"].status == FAIL


@pytest.mark.parametrize(("free", "status"), [(10**12, OK), (3_000_000, WARN), (1_000, FAIL)])
def test_room_for_backups(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: str
) -> None:
    room = namedtuple("room", "f_bavail f_frsize")
    monkeypatch.setattr(os, "statvfs", lambda path: room(free // 100, 100))
    found = on_host(Places([str(tmp_path)], str(tmp_path)), [Target("db", "salon", database)])["room for backups"]
    assert found.status == status


@pytest.mark.parametrize(("clock", "expected"), [(101.0, 0.0), (99.0, -1.0), (107.5, 5.5), (100.0, 0.0), (102.0, 0.0)])
def test_a_clock_is_apart_only_as_far_as_it_is_sure(clock: float, expected: float) -> None:
    assert doctor.apart(clock, before=100.0, after=102.0) == expected


@pytest.mark.parametrize(
    ("ahead", "status", "words"),
    [(0.0, OK, "agrees"), (-4.9, OK, "agrees"), (6.0, WARN, "6 s ahead of"), (-61.0, FAIL, "61 s behind")],
)
def test_clocks(ahead: float, status: str, words: str) -> None:
    found = doctor.clock_finding("clock", ahead)
    assert (found.status, words in found.found) == (status, True)


def test_a_program_that_backups_need_is_looked_for(tmp_path: Path) -> None:
    places = Places([str(tmp_path)], programs=("sh", "no-such-program"))
    found = {finding.name: finding for finding in doctor.examine([], places, {})[HOST]}
    assert found["sh"].status == OK
    assert (
        found["no-such-program"].status == FAIL and "apt-get install no-such-program" in found["no-such-program"].mend
    )
