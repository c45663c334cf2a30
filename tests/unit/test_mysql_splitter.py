"""Statement boundaries, lines, refusals and kinds of MySQL's and MariaDB's SQL."""

from __future__ import annotations

import pytest

from windlass_engine import dialects
from windlass_engine.dialects.mysql import tokens
from windlass_engine.dialects.mysql.splitter import split
from windlass_engine.dialects.mysql.text import identifier, literal
from windlass_engine.errors import WindlassError
from windlass_engine.project import script

MYSQL = dialects.get("mysql")


def texts(sql: str) -> list[str]:
    return [sql[item.start : item.end] for item in split(sql, "up.sql")]


def refusal(sql: str) -> WindlassError:
    with pytest.raises(WindlassError) as caught:
        split(sql, "x/up.sql")
    assert caught.value.code == "project_invalid"
    return caught.value


def test_strings_names_and_comments_hide_semicolons() -> None:
    parts = [
        "SELECT 'a;\\';b'';c'",
        'SELECT "x;\\";y"',
        "SELECT `;``;`",
        "SELECT 1 # ; '\n + 2 -- ; '\n",
        "SELECT 1 /* ; ' */",
        "SELECT 2--1",
    ]
    assert texts(";\n".join(parts)) == [part.strip() for part in parts[:3]] + ["SELECT 1 # ; '\n + 2", *parts[4:]]


def test_lines_are_those_of_the_first_token() -> None:
    assert [item.line for item in split("# one\n-- two\n\nSELECT 1;\n/* x\n*/ SELECT 2", "x")] == [4, 6]


BODIES = [
    "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END",
    "CREATE DEFINER=`a;b`@`%` PROCEDURE p(IN x int) BEGIN IF x THEN SELECT 1; ELSE SELECT 2; END IF; END",
    "CREATE OR REPLACE DEFINER = root@localhost FUNCTION f() RETURNS int DETERMINISTIC BEGIN RETURN IF(1, 2, 3); END",
    "CREATE FUNCTION f(a int) RETURNS int RETURN CASE WHEN a THEN IF(a, 1, 2) ELSE REPEAT('x', 2) END",
    "CREATE PROCEDURE p() l: LOOP LEAVE l; END LOOP",
    "CREATE PROCEDURE p() BEGIN WHILE 1 DO SELECT 1; END WHILE; REPEAT SET @a = 1; UNTIL 1 END REPEAT; FOR i IN 1..3 DO SELECT i; END FOR; END",
    "CREATE PROCEDURE p() BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; END; CASE 1 WHEN 1 THEN SELECT 1; END CASE; END",
    "CREATE PROCEDURE IF NOT EXISTS p() BEGIN DROP TABLE IF EXISTS t; SELECT 1 FOR UPDATE; END",
    "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = REPEAT('x', 3)",
    "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW IF NEW.a THEN SET NEW.b = 1; END IF",
    "CREATE EVENT e ON SCHEDULE EVERY 1 HOUR DO BEGIN DELETE FROM t; END",
    "BEGIN NOT ATOMIC IF 1 THEN SELECT 1; END IF; END",
    "IF 1 THEN SELECT 1; END IF",
]


@pytest.mark.parametrize("body", BODIES)
def test_a_body_is_one_statement_with_and_without_a_delimiter(body: str) -> None:
    assert texts(f"SELECT 0;\n{body};\nSELECT 1") == ["SELECT 0", body, "SELECT 1"]
    for mark in ("//", "$$", ";;", "|"):
        if mark not in body:
            assert texts(f"SELECT 0;\nDELIMITER {mark}\n{body}{mark}\nSELECT 1 {mark}\ndelimiter ;\nSELECT 2;") == [
                "SELECT 0", body, "SELECT 1", "SELECT 2",
            ]  # fmt: skip


def test_columns_may_be_called_begin_and_end() -> None:
    assert texts("CREATE TABLE t (begin int, end int); SELECT end FROM t; CREATE TABLE `procedure` (a int)") == [
        "CREATE TABLE t (begin int, end int)", "SELECT end FROM t", "CREATE TABLE `procedure` (a int)",
    ]  # fmt: skip


def test_a_dump_s_own_comments() -> None:
    dump = (
        "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump\n/*!40101 SET NAMES utf8mb4 */;\n"
        "/*M!100616 SET @x = 1 */;\nCREATE TABLE t (a int) /*!50100 PARTITION BY HASH (a) */;\n"
        "DELIMITER ;;\n/*!50003 CREATE*/ /*!50017 DEFINER=`r`@`%`*/ /*!50003 TRIGGER g BEFORE INSERT ON t FOR EACH ROW BEGIN SET NEW.a = 1; END */;;\nDELIMITER ;\n"
    )
    found = texts(dump)
    assert found[:3] == [
        "/*!40101 SET NAMES utf8mb4 */",
        "/*M!100616 SET @x = 1 */",
        "CREATE TABLE t (a int) /*!50100 PARTITION BY HASH (a) */",
    ]
    assert len(found) == 4 and found[3].endswith("END */")


@pytest.mark.parametrize(
    ("sql", "line", "word"),
    [
        ("SELECT 1;\nSELECT 'never", 2, "string"),
        ("SELECT `never", 1, "quoted name"),
        ("\nSELECT 1 /* never", 2, "comment"),
        ("/*! SELECT 1", 1, "executable comment"),
        ("CREATE PROCEDURE p() BEGIN SELECT 1;", 1, "no END"),
        ("DELIMITER\nSELECT 1", 1, "DELIMITER"),
        ("SELECT 1;\nCOMMIT", 2, "COMMIT"),
        ("BEGIN;", 1, "BEGIN"),
        ("start  transaction", 1, "START"),
        ("/*!40000 ROLLBACK */", 1, "ROLLBACK"),
        ("SET @@session.autocommit = 0", 1, "autocommit"),
        ("USE other", 1, "USE"),
        ("LOCK TABLES t WRITE", 1, "LOCK"),
        ("UNLOCK TABLES", 1, "UNLOCK"),
        ("FLUSH LOCAL TABLES", 1, "FLUSH"),
        ("LOAD DATA LOCAL INFILE 'x' INTO TABLE t", 1, "LOCAL"),
        ("LOAD DATA CONCURRENT LOCAL INFILE 'x' INTO TABLE t", 1, "LOCAL"),
        ("SET ROLE admin", 1, "ROLE"),
        ("source other.sql", 1, "client"),
    ],
)
def test_what_a_script_may_not_hold(sql: str, line: int, word: str) -> None:
    error = refusal(sql)
    assert error.where["line"] == line and word in error.message


def test_what_reviews_find() -> None:
    bad = [
        "CREATE USER a IDENTIFIED BY 'secret'",
        "SET PASSWORD FOR a = PASSWORD('secret')",
        "SELECT RELEASE_ALL_LOCKS()",
        "SET sql_mode = 'NO_BACKSLASH_ESCAPES'",
        "-- windlass: backfill table=t key=id batch=5\nUPDATE t SET a = 1",
    ]
    for sql in bad:
        with pytest.raises(WindlassError):
            script.load(sql.encode(), "x/up.sql", MYSQL.split, review=MYSQL.review)
    for sql in (
        "CREATE USER a IDENTIFIED VIA unix_socket",
        "GRANT SELECT ON t TO a",
        "-- windlass: backfill table=t key=id batch=5\nUPDATE t SET a = 1 WHERE true /* windlass: batch */",
    ):
        script.load(sql.encode(), "x/up.sql", MYSQL.split, review=MYSQL.review)


def test_a_directive_behind_the_header_is_not_passed_over_in_silence() -> None:
    with pytest.raises(WindlassError) as caught:
        script.load(b"# a comment\n-- windlass: lock-timeout 5s\nSELECT 1", "x/up.sql", MYSQL.split)
    assert "lock-timeout" in caught.value.message and caught.value.where["line"] == 2


COMMITTING = [
    "CREATE TABLE t (a int)",
    "create or replace view v as select 1",
    "DROP TABLE t",
    "ALTER TABLE t ADD a int",
    "TRUNCATE t",
    "RENAME TABLE a TO b",
    "GRANT SELECT ON t TO a",
    "ANALYZE TABLE t",
    "/*!50003 CREATE*/ TABLE t (a int)",
    "CALL p()",
    "EXECUTE s",
    "BEGIN NOT ATOMIC SELECT 1; END",
    "SET STATEMENT max_statement_time=1 FOR ALTER TABLE t FORCE",
    "SET PASSWORD = 'x'",
    "FLUSH PRIVILEGES",
]
STAYING = [
    "INSERT INTO t VALUES (1)",
    "SELECT 'CREATE'",
    "UPDATE t SET a = 1",
    "SET @a = 1",
    "CREATE TEMPORARY TABLE x (a int)",
    "DROP TEMPORARY TABLE x",
    "ANALYZE FORMAT=JSON SELECT 1",
    "WITH a AS (SELECT 1) SELECT * FROM a",
    "PREPARE s FROM 'x'",
    "DO 1",
    "LOAD DATA INFILE 'x' INTO TABLE t",
    "SET STATEMENT max_statement_time=1 FOR SELECT 1",
]


def test_what_ends_a_transaction() -> None:
    assert [sql for sql in COMMITTING if not tokens.commits(sql)] == []
    assert [sql for sql in STAYING if tokens.commits(sql)] == []


def test_what_only_prepares_the_session() -> None:
    assert all(map(tokens.sets_session, ["SET @a = 1", "SET NAMES utf8mb4", "PREPARE s FROM @a", "SET SESSION x = 1"]))
    assert not any(
        map(
            tokens.sets_session, ["SET GLOBAL x = 1", "SET STATEMENT a=1 FOR DELETE FROM t", "INSERT INTO t VALUES (1)"]
        )
    )


def test_constants_and_names() -> None:
    assert literal("plain-text 1") == "_utf8mb4'plain-text 1'"
    assert literal("it's") == "_utf8mb4 X'69742773'" and literal("a\\b") == "_utf8mb4 X'615c62'"
    assert literal(None) == "NULL" and literal("é\n") == "_utf8mb4 X'c3a90a'"
    assert identifier("t") == "`t`" and identifier("a`b.c") == "`a``b`.`c`" and identifier("`x.y`") != ""
