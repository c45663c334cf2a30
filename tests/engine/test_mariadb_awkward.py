"""Everything awkward that a MariaDB table can be comes back to the last bit, through a backup, a restore and a swap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.mariadb_backups import bring_back, drop_all, fetch, make, name_in, run, silent, target_of
from windlass_engine.backups import restore
from windlass_engine.dialects.mysql import dumping

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer

TABLES = (
    "CREATE TABLE hidden (id int PRIMARY KEY, secret int INVISIBLE DEFAULT 7, made int AS (secret * 2) PERSISTENT INVISIBLE)",
    "CREATE TABLE texts (id int PRIMARY KEY, t longtext, l varchar(9) CHARACTER SET latin1, b varbinary(99), FULLTEXT (t))",
    "CREATE TABLE kinds (e enum('a''b', 'ü', '') NOT NULL, s set('x', 'y'), y year, f float, d double, n decimal(65, 30), "
    "t time(6), ts timestamp(6) NULL, bits bit(64), i inet6, u uuid DEFAULT '123e4567-e89b-12d3-a456-426655440000')",
    "CREATE TABLE shapes (id int PRIMARY KEY, g geometry NOT NULL, SPATIAL INDEX (g)) ENGINE=InnoDB",
    "CREATE TABLE hashes (id bigint unsigned AUTO_INCREMENT, k varchar(20) NOT NULL, PRIMARY KEY (id, k)) AUTO_INCREMENT = 18446744073709551000 "
    "PARTITION BY LIST COLUMNS (k) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 "
    "(PARTITION a VALUES IN ('a'), PARTITION rest DEFAULT)",
    "CREATE TABLE long_unique (id int, t text UNIQUE, KEY down (id DESC))",
    "CREATE TABLE spans (id int, since date, until date, PERIOD FOR valid (since, until), UNIQUE (id, valid WITHOUT OVERLAPS))",
    "CREATE TABLE squeezed (id int PRIMARY KEY, t text COMPRESSED) ROW_FORMAT = COMPRESSED KEY_BLOCK_SIZE = 4 COMMENT = 'two\nlines'",
    "CREATE TABLE `dot.ted` (`a.b` int, `INSERT INTO ``c`` VALUES` int) ENGINE = Aria",
    "CREATE TABLE circle_a (id int PRIMARY KEY, b int)",
    "CREATE TABLE circle_b (id int PRIMARY KEY, a int, FOREIGN KEY (a) REFERENCES circle_a (id))",
    "ALTER TABLE circle_a ADD FOREIGN KEY (b) REFERENCES circle_b (id)",
    "CREATE TABLE past (id int PRIMARY KEY, n int) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME (PARTITION h HISTORY, PARTITION c CURRENT)",
    "CREATE SEQUENCE down_to INCREMENT BY -5 MINVALUE -100 MAXVALUE 0 CYCLE NOCACHE",
)  # fmt: skip
EVIL = "INSERT INTO `c` VALUES (1);\n-- x\r\n/*!50000 DROP */ \\' \" \0 \x1a \U0001f600 é"
ROWS = (
    "INSERT INTO hidden (id, secret) VALUES (1, 5), (2, NULL)",
    "INSERT INTO texts VALUES (1, {evil}, 'é', X'00ff0a0d5c271a'), (2, REPEAT('ü\\n', 300000), '', ''), (3, NULL, NULL, NULL)",
    "SET sql_mode = ''",
    "INSERT INTO kinds VALUES ('ü', 'x,y', 2155, 1e-38, 1.7976931348623157e308, -0.000000000000000000000000000001, "
    "'-838:59:59.999999', '2038-01-19 03:14:07.999999', ~0, '::ffff:1.2.3.4', UUID())",
    "INSERT INTO kinds (e, y, ts) VALUES ('nothing of these', 0, '0000-00-00')",
    "SET sql_mode = DEFAULT",
    "INSERT INTO shapes VALUES (1, ST_GeomFromText('POLYGON((0 0, 1 0, 1 1, 0 0))', 4326))",
    "INSERT INTO hashes (k) VALUES ('a'), ('b'), ('')",
    "INSERT INTO long_unique VALUES (1, REPEAT('x', 5000)), (2, NULL), (3, NULL)",
    "INSERT INTO spans VALUES (1, '2024-01-01', '2024-02-01'), (1, '2024-02-01', '9999-12-31')",
    "INSERT INTO squeezed VALUES (1, REPEAT('z', 60000))",
    "INSERT INTO `dot.ted` VALUES (1, 2)",
    "SET foreign_key_checks = 0",
    "INSERT INTO circle_a VALUES (1, 1)",
    "INSERT INTO circle_b VALUES (1, 1)",
    "SET foreign_key_checks = 1",
    "INSERT INTO past VALUES (1, 1), (2, 2)",
    "UPDATE past SET n = 9 WHERE id = 1",
    "DELETE FROM past WHERE id = 2",
    "DO NEXTVAL(down_to)",
)
COLUMNS = "SELECT table_name, column_name FROM information_schema.COLUMNS WHERE table_schema = DATABASE() AND table_name <> 'windlass_aside' ORDER BY 1, ordinal_position"


@pytest.fixture
def url(mariadb: MariaDBServer) -> Iterator[str]:
    """The tables with their rows; those whose names begin as its own go with it."""
    made = mariadb.create_database()
    evil = "CONVERT(X'" + EVIL.encode().hex() + "' USING utf8mb4)"
    run(made, *TABLES, *(row.replace("{evil}", evil) for row in ROWS))
    yield made
    drop_all(mariadb, name_in(made))


def everything(url: str) -> dict[str, Any]:
    """Each table's definition, and each column's bytes, also of hidden columns and of the past."""
    named: dict[str, list[str]] = {}
    for table, column in fetch(url, COLUMNS):
        named.setdefault(table, []).append(f"HEX(`{column.replace('`', '``')}`)")
    found: dict[str, Any] = {}
    for table, columns in named.items():
        past = " FOR SYSTEM_TIME ALL" if table == "past" else ""
        rows = fetch(url, f"SELECT {', '.join(columns)} FROM `{table}`{past}")
        found[table] = (fetch(url, f"SHOW CREATE TABLE `{table}`")[0][1], sorted(rows, key=str))
    return found


def plain(found: dict[str, Any]) -> dict[str, Any]:
    """The same without the checksums of Aria."""
    return {table: (text.replace("PAGE_CHECKSUM=1", ""), rows) for table, (text, rows) in found.items()}


@pytest.mark.parametrize("parts", [1, 3])
def test_every_bit_comes_back(
    mariadb: MariaDBServer, url: str, tmp_path: Path, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dumping, "_WORTH_A_PART", 1 << 30 if parts == 1 else 1)
    before = everything(url)
    assert before["hidden"][1] == [("1", "5", "A"), ("2", None, None)] and len(before["past"][1]) == 3
    made = make(url, tmp_path, jobs=3)
    side = f"{name_in(url)}_side"
    done = bring_back(url, made, side)
    # The server shows Aria's checksums only in what was made from its own words.
    assert [note.partition(": ")[0] for note in done["differences"]] == ["~ table dot.ted"]
    assert plain(everything(mariadb.url_of(side))) == plain(before)
    run(url, "DROP TABLE texts", "UPDATE hidden SET secret = 0")
    restore.swap(target_of(url), side, silent)
    assert plain(everything(url)) == plain(before)
