"""Each thing that a schema is made of shows in the fingerprint, one at a time; what is no part of it does not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from tests.systems import Bench

SCENE = (
    "CREATE TABLE p (id int PRIMARY KEY) ENGINE=InnoDB",
    "CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, a int NOT NULL DEFAULT 1, b varchar(20), c enum('x', 'y'), "
    "g int AS (a + 1) VIRTUAL, p_id int, KEY t_a (a), CONSTRAINT t_p FOREIGN KEY (p_id) REFERENCES p (id), "
    "CONSTRAINT positive CHECK (a > 0)) ENGINE=InnoDB COMMENT='things'",
    "CREATE TABLE parts (id int, made date NOT NULL) PARTITION BY RANGE (YEAR(made)) "
    "(PARTITION p0 VALUES LESS THAN (2025), PARTITION p1 VALUES LESS THAN (2026))",
    "CREATE VIEW v AS SELECT id, a FROM t",
    "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.b = 'x'",
    "CREATE PROCEDURE pr(IN n int) COMMENT 'first' SELECT n",
    "CREATE FUNCTION f() RETURNS int DETERMINISTIC RETURN 1",
    "CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DO DELETE FROM t",
    "CREATE SEQUENCE s START WITH 5",
)
#: What one make alone has is left out on the other; MariaDB alone makes code anew in one statement.
_MARIADB_ALONE = re.compile(r"SEQUENCE|NEXTVAL|Aria|IGNORED")
_ANEW = re.compile(r"CREATE OR REPLACE (DEFINER=\w+ )?(TRIGGER|PROCEDURE|FUNCTION) (\w+)")
CHANGES = [
    "ALTER TABLE t MODIFY a bigint NOT NULL DEFAULT 1",
    "ALTER TABLE t MODIFY a int NULL DEFAULT 1",
    "ALTER TABLE t MODIFY a int NOT NULL DEFAULT 2",
    "ALTER TABLE t MODIFY a int NOT NULL DEFAULT 1 COMMENT 'how many'",
    "ALTER TABLE t MODIFY b varchar(20) CHARACTER SET latin1",
    "ALTER TABLE t MODIFY b varchar(20) COLLATE utf8mb4_bin",
    "ALTER TABLE t MODIFY c enum('x', 'y', 'z')",
    "ALTER TABLE t MODIFY id int",
    "ALTER TABLE t DROP COLUMN g, ADD COLUMN g int AS (a + 2) VIRTUAL",
    "ALTER TABLE t DROP COLUMN g, ADD COLUMN g int AS (a + 1) STORED",
    "ALTER TABLE t DROP INDEX t_a, ADD UNIQUE INDEX t_a (a)",
    "ALTER TABLE t DROP INDEX t_a, ADD INDEX t_a (a, b)",
    "ALTER TABLE t DROP INDEX t_a, ADD INDEX t_a (a) COMMENT 'quick'",
    "ALTER TABLE t ADD INDEX t_b (b(5))",
    "ALTER TABLE t DROP CONSTRAINT positive",
    "ALTER TABLE t DROP FOREIGN KEY t_p, ADD CONSTRAINT t_p2 FOREIGN KEY (p_id) REFERENCES p (id) ON DELETE CASCADE",
    "ALTER TABLE t COMMENT='others'",
    "ALTER TABLE p ROW_FORMAT=COMPRESSED",
    "ALTER TABLE parts ENGINE=Aria",
    "ALTER TABLE parts ADD PARTITION (PARTITION p2 VALUES LESS THAN (2027))",
    "CREATE OR REPLACE VIEW v AS SELECT id FROM t",
    "CREATE OR REPLACE SQL SECURITY INVOKER VIEW v AS SELECT id, a FROM t",
    "CREATE OR REPLACE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.b = 'y'",
    "CREATE OR REPLACE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW SET NEW.b = 'x'",
    "CREATE OR REPLACE PROCEDURE pr(IN n int) COMMENT 'first' SELECT n + 1",
    "CREATE OR REPLACE PROCEDURE pr(IN n bigint) COMMENT 'first' SELECT n",
    "ALTER PROCEDURE pr COMMENT 'second'",
    "CREATE OR REPLACE FUNCTION f() RETURNS int DETERMINISTIC SQL SECURITY INVOKER RETURN 1",
    "ALTER EVENT e DISABLE",
    "ALTER EVENT e ON SCHEDULE EVERY 2 DAY STARTS '2030-01-01 00:00:00'",
    "ALTER SEQUENCE s MAXVALUE 100",
    "GRANT SELECT ON t TO reader",
    "GRANT UPDATE (b) ON t TO reader",
    "ALTER TABLE t ALTER INDEX t_a IGNORED",
    "DROP TABLE parts",
    "CREATE TABLE more (id int)",
]
MYSQL_CHANGES = [
    "ALTER TABLE t ALTER INDEX t_a INVISIBLE",
    "ALTER TABLE t ALTER COLUMN b SET INVISIBLE",
    "ALTER TABLE t ALTER CHECK positive NOT ENFORCED",
    "ALTER TABLE t DROP INDEX t_a, ADD INDEX t_a ((a + 1))",
    "ALTER TABLE t DROP INDEX t_a, ADD INDEX t_a (a DESC)",
    "ALTER TABLE t MODIFY b varchar(20) COLLATE utf8mb4_0900_as_cs",
    "ALTER TABLE t MODIFY b varchar(50) DEFAULT (UUID())",
    "ALTER TABLE t ADD COLUMN j json DEFAULT (JSON_ARRAY())",
    "ALTER TABLE t ADD COLUMN moment timestamp(3) NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)",
    "ALTER TABLE t ADD INDEX t_b (b) USING BTREE COMMENT 'new'",
]
NO_CHANGES = [
    "INSERT INTO t (a) VALUES (5), (6)",  # the counter goes on
    "ALTER TABLE t MODIFY b varchar(20) AFTER id",
    "DO NEXTVAL(s)",
    "ANALYZE TABLE t",
    "ALTER TABLE t FORCE",
]


def words(server: str, statements: Iterable[str]) -> tuple[str, ...]:
    """The statements as a make of server knows them."""
    if server == "mariadb":
        return tuple(statements)
    return tuple(
        each
        for statement in statements
        if not _MARIADB_ALONE.search(statement)
        for each in (*_ANEW.sub(r"DROP \2 \3\nCREATE \1\2 \3", statement).split("\n"),)
    )


def on_each(changes: Iterable[str], more: Iterable[str] = ()) -> list[tuple[str, str]]:
    """(server, change) of both makes, as far as each knows them."""
    listed = list(changes)
    known = [("mysql", change) for change in (*listed, *more) if not _MARIADB_ALONE.search(change)]
    return [("mariadb", change) for change in listed] + known


@contextmanager
def standing_on(request: pytest.FixtureRequest, server: str) -> Iterator[Bench]:
    """A database with one of each thing."""
    with request.getfixturevalue(server).database() as url:
        bench = Bench(url)
        bench.run_sql("CREATE USER IF NOT EXISTS reader IDENTIFIED BY 'not-used-1'")
        bench.run_all(*words(server, SCENE))
        yield bench


@pytest.mark.parametrize(("server", "change"), on_each(CHANGES, MYSQL_CHANGES))
def test_a_change_shows(request: pytest.FixtureRequest, server: str, change: str) -> None:
    with standing_on(request, server) as standing:
        before = standing.fingerprint()
        standing.run_all(*words(server, [change]))
        assert standing.fingerprint() != before


@pytest.mark.parametrize(("server", "change"), on_each(NO_CHANGES))
def test_what_is_no_part_of_the_schema_does_not_show(request: pytest.FixtureRequest, server: str, change: str) -> None:
    with standing_on(request, server) as standing:
        before = standing.fingerprint()
        standing.run_sql(change)
        assert standing.fingerprint() == before


@pytest.mark.parametrize("server", ["mariadb", "mysql"])
def test_a_definer_and_a_sql_mode_show(request: pytest.FixtureRequest, server: str) -> None:
    anew = words(server, ["CREATE OR REPLACE DEFINER=reader PROCEDURE pr(IN n int) COMMENT 'first' SELECT n"])
    with standing_on(request, server) as standing:
        before = standing.fingerprint()
        standing.run_all(*anew)
        other = standing.fingerprint()
        assert other != before
        standing.run_all("SET sql_mode = 'ANSI_QUOTES'", *anew)
        assert standing.fingerprint() != other
