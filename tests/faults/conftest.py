"""Servers that the tests of faults may kill."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer


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
