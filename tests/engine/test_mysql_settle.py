"""The server's catalogue tells of each kind of statement whether it took effect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.systems import Bench
from windlass_engine import session

if TYPE_CHECKING:
    from tests.servers.mysqld import Mysqld

SCENE = (
    "CREATE TABLE t (id int PRIMARY KEY, a int, b varchar(20), c enum('x', 'y'), KEY t_a (a), KEY t_gone (a, b))",
    "CREATE TABLE child (id int, t_id int, u int, CONSTRAINT fk_old FOREIGN KEY (t_id) REFERENCES t (id))",
    "CREATE TABLE old1 (id int)",
    "CREATE TABLE old2 (id int)",
    "CREATE TABLE swap_new (id int)",
    "CREATE TABLE swap (id int)",
    "CREATE PROCEDURE p_old() SELECT 1",
    "CREATE FUNCTION f_old() RETURNS int DETERMINISTIC RETURN 1",
    "CREATE TRIGGER g_old BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
    "CREATE EVENT e_old ON SCHEDULE EVERY 1 DAY DO SELECT 1",
    "CREATE VIEW v_old AS SELECT 1 AS x",
)
#: Each is judged before (run it again) and after (it took effect).
ON_BOTH = [
    "CREATE TABLE n (id int)",
    "CREATE TABLE IF NOT EXISTS `größe ``x` (id int)",
    "CREATE TABLE n AS SELECT 1 AS x",
    "DROP TABLE old1",
    "DROP TABLE IF EXISTS old1, old2",
    "ALTER TABLE t ADD COLUMN n int",
    "ALTER TABLE t ADD n int AFTER id, ADD (m int, o decimal(10, 2)), ALGORITHM=INPLACE, LOCK=NONE",
    "ALTER TABLE t DROP COLUMN b",
    "ALTER TABLE t MODIFY b varchar(40) NOT NULL DEFAULT 'x'",
    "ALTER TABLE t MODIFY COLUMN c enum('x', 'y', 'z') NULL",
    "ALTER TABLE t CHANGE b bb varchar(20)",
    "ALTER TABLE t CHANGE COLUMN b b varchar(21)",
    "ALTER TABLE t ALTER COLUMN a SET DEFAULT 5",
    "ALTER TABLE t COMMENT='new'",
    "ALTER TABLE t ADD INDEX t_n (b(5), a)",
    "ALTER TABLE t ADD UNIQUE KEY t_u (b)",
    "ALTER TABLE t DROP INDEX t_gone",
    "ALTER TABLE t RENAME INDEX t_a TO t_b",
    "ALTER TABLE t RENAME COLUMN a TO z",
    "ALTER TABLE child ADD CONSTRAINT fk_new FOREIGN KEY (u) REFERENCES t (id) ON DELETE CASCADE",
    "ALTER TABLE child ADD CONSTRAINT positive CHECK (id > 0)",
    "ALTER TABLE child DROP FOREIGN KEY fk_old",
    "ALTER TABLE child ADD PRIMARY KEY (id)",
    "ALTER TABLE old1 RENAME TO new1",
    "CREATE INDEX t_n ON t (a, b)",
    "DROP INDEX t_gone ON t",
    "RENAME TABLE old1 TO new1, old2 TO new2",
    "RENAME TABLE swap TO swap_old, swap_new TO swap",
    "CREATE PROCEDURE p() BEGIN SELECT 1; END",
    "CREATE DEFINER=CURRENT_USER FUNCTION f() RETURNS int DETERMINISTIC RETURN 1",
    "CREATE TRIGGER g AFTER INSERT ON t FOR EACH ROW SET @x = 1",
    "CREATE EVENT e ON SCHEDULE EVERY 1 HOUR DO SELECT 1",
    "CREATE ALGORITHM=MERGE SQL SECURITY INVOKER VIEW v AS SELECT 1 AS x",
    "DROP PROCEDURE p_old",
    "DROP FUNCTION IF EXISTS f_old",
    "DROP TRIGGER g_old",
    "DROP EVENT e_old",
    "DROP VIEW v_old",
]
ON_MARIADB = [
    "ALTER TABLE t ADD n int AFTER id, ADD COLUMN IF NOT EXISTS a int, ADD (m int, o decimal(10, 2)), ALGORITHM=INPLACE, LOCK=NONE",
    "ALTER TABLE t DROP COLUMN IF EXISTS b, ADD INDEX t_n (a, c)",
    "ALTER TABLE t DROP KEY IF EXISTS t_gone",
    "ALTER TABLE child DROP CONSTRAINT IF EXISTS fk_old",
    "CREATE UNIQUE INDEX IF NOT EXISTS t_u USING BTREE ON t (b)",
    "DROP INDEX IF EXISTS t_gone ON t",
    "CREATE SEQUENCE s",
    "SET STATEMENT max_statement_time=5 FOR ALTER TABLE t ADD COLUMN n int",
]
ON_MYSQL = [
    "ALTER TABLE t ADD COLUMN n int INVISIBLE, ALGORITHM=INSTANT",
    "ALTER TABLE t ALTER INDEX t_a INVISIBLE",
    "ALTER TABLE t ADD INDEX t_f ((a + 1))",
    "CREATE INDEX t_f ON t ((a + 1), b)",
    "ALTER TABLE child ADD CONSTRAINT positive CHECK (id > 0) NOT ENFORCED",
    "ALTER TABLE old1 ADD COLUMN j json DEFAULT (JSON_OBJECT())",
    "ALTER TABLE old1 ADD COLUMN g int GENERATED ALWAYS AS (id + 1) STORED",
    "CREATE PROCEDURE IF NOT EXISTS p() SELECT 1",
    "CREATE TABLE n (id int) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci",
]
EVERY = [("mariadb", sql) for sql in (*ON_BOTH, *ON_MARIADB)] + [("mysql", sql) for sql in (*ON_BOTH, *ON_MYSQL)]
AGAIN = [
    "CREATE OR REPLACE VIEW v_old AS SELECT 2 AS x",
    "ANALYZE TABLE t",
    "ALTER TABLE t FORCE",
    "GRANT SELECT ON *.* TO root",
]
NOBODY_KNOWS = [
    "ALTER TABLE child ADD CONSTRAINT CHECK (id > 0)",
    "CALL p_old()",
    "EXECUTE s",
    "BEGIN NOT ATOMIC SELECT 1; END",
    "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES old1 (id)",
]


@contextmanager
def opened_on(server: Mysqld) -> Iterator[session.Session]:
    with server.database() as url:
        bench = Bench(url)
        bench.run_all(*SCENE)
        with session.connect(bench.target) as found:
            yield found


@pytest.fixture
def opened(mysqld: Mysqld) -> Iterator[session.Session]:
    with opened_on(mysqld) as found:
        yield found


@pytest.mark.parametrize(("server", "sql"), EVERY)
def test_before_and_after(request: pytest.FixtureRequest, server: str, sql: str) -> None:
    with opened_on(request.getfixturevalue(server)) as opened:
        settle = opened.dialect.settle
        assert settle(opened.link, sql) is False
        opened.run(sql)
        assert settle(opened.link, sql) is True
        left = opened.query("SELECT COUNT(*) FROM information_schema.TABLES WHERE table_name LIKE 'windlass_probe%'")
        assert left == [(0,)]


def test_what_may_be_run_again(opened: session.Session) -> None:
    assert [opened.dialect.settle(opened.link, sql) for sql in AGAIN] == [False] * len(AGAIN)


def test_what_nobody_can_tell(opened: session.Session) -> None:
    assert [opened.dialect.settle(opened.link, sql) for sql in NOBODY_KNOWS] == [None] * len(NOBODY_KNOWS)


def test_an_index_with_other_columns_is_not_the_one_asked_for(opened: session.Session) -> None:
    assert opened.dialect.settle(opened.link, "CREATE INDEX t_a ON t (a, b)") is False
    assert opened.dialect.settle(opened.link, "ALTER TABLE t ADD UNIQUE INDEX t_a (a)") is False


def test_a_table_that_was_emptied(opened: session.Session) -> None:
    opened.run(["INSERT INTO old1 VALUES (1)"])
    assert opened.dialect.settle(opened.link, "TRUNCATE TABLE old1") is None
    opened.run("TRUNCATE TABLE old1")
    assert opened.dialect.settle(opened.link, "TRUNCATE TABLE old1") is True
