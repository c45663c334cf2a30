"""More tables than anybody has, on MariaDB: there and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.mariadb_backups import bring_back, make
from tests.faults.chance import FULL

MAKE = """
BEGIN NOT ATOMIC
  FOR i IN {first}..{last} DO
    EXECUTE IMMEDIATE CONCAT('CREATE TABLE t_', i, ' (id int PRIMARY KEY)');
    EXECUTE IMMEDIATE CONCAT('INSERT INTO t_', i, ' VALUES (', i, ')');
  END FOR;
END"""


@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="ten thousand tables take a while: set WINDLASS_FAULTS=full to try them")
def test_ten_thousand_tables_there_and_back(tmp_path: Path) -> None:
    pytest.importorskip("pymysql", reason="the driver is missing: pip install PyMySQL")
    from tests.servers import mariadb as module

    if not module.program("mariadbd"):
        pytest.skip("no MariaDB server: apt-get install mariadb-server")
    server = module.MariaDBServer({"innodb-file-per-table": "OFF", "innodb-buffer-pool-size": "256M"})
    server.start()
    try:
        url = server.create_database("many")
        with server.connect("many") as link, link.cursor() as cursor:
            cursor.execute(MAKE.format(first=1, last=10_000))
        made = make(url, tmp_path, jobs=4)
        assert (made["tables"], made["total_rows"]) == (10_000, 10_000)
        done = bring_back(url, made, "many_2")
        assert (done["tables"], done["total_rows"], done["differences"]) == (10_000, 10_000, [])
    finally:
        server.remove()
