"""Rehearsals on MySQL, which tells its table locks and what goes into temporary files."""

from __future__ import annotations

from pathlib import Path

from tests.engine import mariadb_backups as backups
from tests.servers.mysql import MySQLServer
from tests.systems import Bench, Maker
from windlass.telling import rehearsed as told
from windlass_engine.model import Options
from windlass_engine.rehearsal import rehearse

ROWS = 40_000
MYSQL = Maker("mysql")
UP = (
    "ALTER TABLE bookings ADD COLUMN paid int, ALGORITHM=COPY, LOCK=SHARED;\n"
    "ALTER TABLE bookings ADD INDEX by_note (note), ALGORITHM=INPLACE, LOCK=NONE;\n"
)
DOWN = "ALTER TABLE bookings DROP INDEX by_note;\nALTER TABLE bookings DROP COLUMN paid;\n"


def test_locks_and_temporary_space_are_told_by_the_server(mysql: MySQLServer, tmp_path: Path) -> None:
    with mysql.database() as url:
        Bench(url).run_all(
            "CREATE TABLE bookings (id int PRIMARY KEY, note varchar(200))",
            f"SET SESSION cte_max_recursion_depth = {ROWS}",
            f"INSERT INTO bookings WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) "
            "SELECT i, CONCAT(SHA2(i, 512), i) FROM n",
        )
        plan = Bench(url).plan(MYSQL.system(MYSQL.migration("001_change", UP, DOWN)))
        made = backups.make(url, tmp_path, client_bin=mysql.client_bin)
        asked = rehearse.Rehearsal(made["path"], plan, client_bin=mysql.client_bin)
        found = rehearse.run(backups.target_of(url), asked, Options("run", "tester", "here"), lambda _: None)
    assert found["failed"] == ""
    part = found["parts"][0]
    assert {lock["table"] for lock in part["locks"]} == {"bookings"}, "not the copy, for which nobody can wait"
    assert part["longest_block"]["blocks"] in ("writes", "reads and writes") and part["lock_note"] == ""
    copied, indexed = part["statements"]
    assert copied["temporary_bytes"] is not None and indexed["temporary_bytes"] > 1_000_000, "the index is sorted there"
    assert part["temporary_bytes"] >= indexed["temporary_bytes"]
    assert part["growth_note"] == "" and copied["growth"] is not None
    [grown] = indexed["growth"]
    assert grown["table"] == "bookings" and grown["indexes"] > 1_000_000
    shown = "\n".join(text for text, _ in told.lines("here d", found))
    assert "TEMPORARY" in shown and " temporary\n" in shown
