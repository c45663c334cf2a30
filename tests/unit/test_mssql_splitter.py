"""Batch boundaries, lines, refusals and kinds of T-SQL."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass_engine import dialects
from windlass_engine.dialects.lexis import Unterminated
from windlass_engine.dialects.mssql import tokens
from windlass_engine.dialects.mssql.lexer import every
from windlass_engine.dialects.mssql.splitter import split
from windlass_engine.dialects.mssql.text import identifier, literal, shown
from windlass_engine.errors import WindlassError
from windlass_engine.project import script

MSSQL = dialects.get("mssql")


def texts(sql: str) -> list[str]:
    return [sql[item.start : item.end] for item in split(sql, "up.sql")]


def refusal(sql: str) -> WindlassError:
    with pytest.raises(WindlassError) as caught:
        split(sql, "x/up.sql")
    assert caught.value.code == "project_invalid"
    return caught.value


def test_go_parts_batches_and_semicolons_do_not() -> None:
    assert texts("GO\nSELECT 1; SELECT 2;\nGO\n\ngo  -- and on\nCREATE TABLE t (a int)\n  Go /* x */\nSELECT 3") == [
        "SELECT 1; SELECT 2;", "CREATE TABLE t (a int)", "SELECT 3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "hiding", ["'a\nGO\nb''\nGO\n'", "N'\nGO\n'", "[x\nGO\n]]y]", '"x\nGO\n"', "/* a\nGO\n/* b */\nGO\n */ 1", "1 AS go", "goto_x", "-- GO\n1"]
)  # fmt: skip
def test_go_in_strings_names_and_comments_is_left_alone(hiding: str) -> None:
    assert texts(f"SELECT {hiding}\nGO\nSELECT 2") == [f"SELECT {hiding}", "SELECT 2"]


def test_go_after_an_apostrophe_in_a_comment() -> None:
    assert texts("-- it's\nSELECT 1 -- don't\nGO\nSELECT 2 /* can't */\nGO") == ["SELECT 1", "SELECT 2 /* can't */"]


def test_go_with_a_count_repeats_its_batch() -> None:
    assert texts("INSERT INTO t DEFAULT VALUES\nGO 3\nSELECT 1\nGO 1") == ["INSERT INTO t DEFAULT VALUES"] * 3 + [
        "SELECT 1"
    ]
    assert "1 to 1000" in refusal("SELECT 1\nGO 100000").message and refusal("SELECT 1\nGO 0").where["line"] == 2


def test_lines_are_those_of_the_first_token() -> None:
    assert [item.line for item in split("-- one\n\nSELECT 1\nGO\n\n/* x\n*/ SELECT 2", "x")] == [3, 7]


def test_checks_and_backfills_belong_to_their_batch() -> None:
    text = "-- check: one\nSELECT 1\nGO\n-- check: two\nDECLARE @a int = 1;\nSELECT @a\n"
    loaded = script.load(text.encode(), "verify.sql", MSSQL.split, kind="verify", review=MSSQL.review)
    assert [(item.check, item.line) for item in loaded.statements] == [("one", 2), ("two", 5)]
    fill = b"-- windlass: no-transaction\n-- windlass: backfill table=dbo.t key=id batch=5\nUPDATE t SET a = 1 WHERE 1 = 1 /* windlass: batch */\nGO\n"
    (statement,) = script.load(fill, "up.sql", MSSQL.split, kind="up", review=MSSQL.review).statements
    assert statement.backfill and statement.backfill.table == "dbo.t"


@pytest.mark.parametrize(
    ("sql", "line", "word"),
    [
        ("SELECT 1\nGO\nSELECT 'never", 3, "string"),
        ("SELECT [never", 1, "quoted name"),
        ("\nSELECT 1 /* never /* */", 2, "comment"),
        ("SELECT 1\nGO;\nSELECT 2", 2, "GO"),
        ("SELECT 1\nGO five", 2, "GO"),
        ("SELECT 1\nGO\nBEGIN TRAN\nSELECT 2", 3, "BEGIN TRAN"),
        ("SELECT 1\nCOMMIT", 2, "COMMIT"),
        ("ROLLBACK TRANSACTION", 1, "ROLLBACK"),
        ("SAVE TRANSACTION a", 1, "SAVE"),
        ("USE other\nGO\nSELECT 1", 1, "USE"),
        (":r other.sql", 1, "sqlcmd"),
        ("SELECT 1\n!!dir", 2, "sqlcmd"),
        ("SELECT '$(Name)'", 1, "variable"),
        ("SELECT 1\n-- check: late\nSELECT 2", 2, "middle of a batch"),
    ],
)
def test_what_a_script_may_not_hold(sql: str, line: int, word: str) -> None:
    error = refusal(sql)
    assert error.where["line"] == line and word in error.message


def test_a_routine_s_body_may_hold_it_all() -> None:
    body = "CREATE OR ALTER PROCEDURE p AS\nBEGIN TRAN\nUSE x\n-- check: no directive\nCOMMIT"
    assert texts(f"{body}\nGO\nALTER DATABASE x SET SINGLE_USER WITH ROLLBACK IMMEDIATE") == [
        body, "ALTER DATABASE x SET SINGLE_USER WITH ROLLBACK IMMEDIATE",
    ]  # fmt: skip


LOOSE = "-- windlass: no-transaction\n"
REFUSED = [
    "CREATE DATABASE x", "IF 1 = 1 ALTER DATABASE x SET READ_ONLY", f"{LOOSE}CREATE DATABASE x; SELECT 1",
    "CREATE LOGIN a WITH PASSWORD = 'secret'", "CREATE MASTER KEY ENCRYPTION BY PASSWORD = N'secret'",
    "ALTER LOGIN a WITH PASSWORD = 0x0200 HASHED", "SET NOEXEC ON", "SET PARSEONLY ON", "SET ANSI_NULLS, FMTONLY ON",
    "SET IMPLICIT_TRANSACTIONS ON", "SET IDENTITY_INSERT t ON\nGO\nINSERT INTO t (id) VALUES (1)",
    "EXECUTE AS USER = 'a' WITH NO REVERT", "EXEC sp_setapprole 'a', 'b'",
    f"{LOOSE}-- windlass: backfill table=t key=id batch=5\nUPDATE t SET a = 1",
    "-- windlass: backfill table=t key=id batch=5\nUPDATE t SET a = 1 WHERE 1 = 1 /* windlass: batch */",
]  # fmt: skip
ALLOWED = [
    f"{LOOSE}CREATE DATABASE x", f"{LOOSE}CREATE DATABASE x;\nGO\nSELECT 1", f"{LOOSE}ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT ON",
    "CREATE USER a WITHOUT LOGIN", "CREATE LOGIN a FROM WINDOWS", "SET QUOTED_IDENTIFIER ON\nGO\nSELECT 1",
    "SET IDENTITY_INSERT dbo.t ON;\nINSERT INTO dbo.t (id) VALUES (1);\nSET IDENTITY_INSERT dbo.t OFF",
    "EXECUTE AS USER = 'a'; SELECT 1; REVERT", "CREATE PROCEDURE p AS SET NOEXEC ON",
    "SELECT 'CREATE DATABASE x', [BACKUP] FROM t", "UPDATE t SET password_hash = 0x01",
]  # fmt: skip


def test_what_reviews_find() -> None:
    for sql in REFUSED:
        with pytest.raises(WindlassError):
            script.load(sql.encode(), "x/up.sql", MSSQL.split, review=MSSQL.review)
            pytest.fail(f"allowed: {sql}")
    for sql in ALLOWED:
        script.load(sql.encode(), "x/up.sql", MSSQL.split, review=MSSQL.review)


OUTSIDE = [
    "CREATE DATABASE x", "alter database x set recovery simple", "DROP DATABASE IF EXISTS x", "BACKUP DATABASE x TO DISK = 'y'",
    "RECONFIGURE", "EXEC sp_configure 'x', 1", "exec sys.sp_configure", "CREATE FULLTEXT INDEX ON t (a) KEY INDEX k",
    "IF 1 = 1 BEGIN CREATE FULLTEXT CATALOG c END", "CREATE INDEX i ON t (a) WITH (ONLINE = ON, RESUMABLE = ON)",
    "ALTER INDEX i ON dbo.t RESUME", "CREATE TABLE t (a int PRIMARY KEY NONCLUSTERED) WITH (MEMORY_OPTIMIZED = ON)",
    "CREATE PROCEDURE p WITH NATIVE_COMPILATION, SCHEMABINDING AS SELECT 1",
]  # fmt: skip
INSIDE = [
    "CREATE TABLE t (a int)", "DROP INDEX i ON t", "TRUNCATE TABLE t", "CREATE PROCEDURE p AS BACKUP DATABASE x TO DISK = 'y'",
    "CREATE DATABASE SCOPED CREDENTIAL c WITH IDENTITY = 'x'", "SELECT 'CREATE DATABASE x'", "GRANT CREATE DATABASE TO a",
    "CREATE FULLTEXT STOPLIST s", "UPDATE STATISTICS t", "SELECT backup, restore FROM t", "GRANT BACKUP DATABASE TO a",
    "CREATE INDEX i ON t (a) WITH (ONLINE = ON)", "sp_rename 't.a', 'b'",
]  # fmt: skip


def test_what_cannot_be_in_a_transaction() -> None:
    assert [sql for sql in OUTSIDE if not tokens.needs_no_transaction(sql)] == []
    assert [sql for sql in INSIDE if tokens.needs_no_transaction(sql)] == []


def test_one_statement_is_all_or_nothing() -> None:
    assert tokens.is_alone("CREATE DATABASE x;") and tokens.is_alone("DROP FULLTEXT CATALOG c")
    assert not tokens.is_alone("CREATE DATABASE x; SELECT 1") and not tokens.is_alone("SELECT 1")


READING = [
    "SELECT 1 FROM t", "WITH a AS (SELECT 1 AS x) SELECT x FROM a", "DECLARE @t TABLE (a int); INSERT INTO @t SELECT 1; DELETE @t; SELECT a FROM @t",
    "SELECT 1 AS a INTO #x; DROP TABLE IF EXISTS #x", "IF OBJECT_ID('t') IS NULL SELECT 'missing'", "SELECT t.[update] FROM t",
    "EXEC sys.sp_executesql N'SELECT ''it is'' FROM t'", "EXEC (N'SELECT 1')", "SELECT 'DROP TABLE t'",
    "DECLARE c CURSOR LOCAL FOR SELECT 1; OPEN c; FETCH NEXT FROM c INTO @a",
]  # fmt: skip
CHANGING = [
    ("INSERT INTO t VALUES (1)", "INSERT"), ("SELECT 1; update t set a = 1", "UPDATE"), ("DELETE TOP (1) FROM t", "DELETE"),
    ("SELECT 1 AS a INTO x", "SELECT INTO"), ("SELECT 1 AS a INTO ##x", "SELECT INTO"), ("EXEC p", "EXEC"),
    ("EXEC sp_executesql N'DELETE FROM t'", "EXEC"), ("EXECUTE AS USER = 'a'", "EXECUTE"), ("MERGE t USING s ON 1 = 1 WHEN MATCHED THEN DELETE;", "MERGE"),
    ("CREATE TABLE t (a int)", "CREATE"), ("DISABLE TRIGGER g ON t", "DISABLE TRIGGER"), ("TRUNCATE TABLE t", "TRUNCATE"), ("sp_who", "the call of a procedure"), ("[dbo].p 1", "the call of a procedure"),
]  # fmt: skip


def test_what_only_reads() -> None:
    assert [sql for sql in READING if tokens.change(sql)] == []
    assert [sql for sql, word in CHANGING if tokens.change(sql) != word] == []


def test_what_only_prepares_the_session() -> None:
    prepares = [
        "SET LANGUAGE German",
        "EXECUTE AS USER = 'a'",
        "REVERT",
        "EXEC sp_set_session_context N'a', 1",
        "SET ROWCOUNT 5; SET DATEFIRST 1",
    ]
    assert [sql for sql in prepares if not tokens.sets_session(sql)] == []
    assert not any(
        map(tokens.sets_session, ["SET ROWCOUNT 5; DELETE FROM t", "EXEC p", "UPDATE t SET a = 1", "SELECT 1"])
    )
    assert tokens.sets_role("SELECT 1; EXECUTE AS LOGIN = 'a'") and tokens.sets_role("REVERT")
    assert not tokens.sets_role("CREATE PROCEDURE p WITH EXECUTE AS OWNER AS SELECT 1")


def test_constants_and_names() -> None:
    assert literal("it's") == "N'it''s'" and literal(None) == "NULL"
    assert literal("a\\\nb") == "CAST(N'' AS nvarchar(max)) + N'a\\' + N'\nb'"
    assert identifier("dbo.t") == "[dbo].[t]" and identifier("[a.b].c]d") == "[a.b].[c]]d]"
    assert shown("dbo", "a b]") == "dbo.[a b]]]" and identifier(shown("dbo", "a.b")) == "[dbo].[a.b]"


AWKWARD = st.text(alphabet="ab'\"[]-/*GOgo \n;$()é", max_size=24)
PIECES = st.one_of(
    AWKWARD.map(lambda text: "'" + text.replace("'", "''") + "'"),
    AWKWARD.map(lambda text: "[" + text.replace("]", "]]") + "]"),
    AWKWARD.map(lambda text: '"' + text.replace('"', '""') + '"'),
    AWKWARD.map(lambda text: "/*" + text.replace("*", "x").replace("/", "x") + "*/"),
    AWKWARD.map(lambda text: "--" + text.replace("\n", " ") + "\n"),
    st.sampled_from(["SELECT", " ", "\n", "t.x", "1", ",", "g", "/* /* */ */", "N'x'", ";"]),
)  # fmt: skip


@given(st.lists(st.lists(PIECES, min_size=1, max_size=6), min_size=1, max_size=5))
@settings(max_examples=200)
def test_batches_come_back_as_they_were_written(batches: list[list[str]]) -> None:
    written = ["SELECT 0 " + " ".join(parts) + "\nEND_OF_IT" for parts in batches]
    if any(re.search(r"\$\([A-Za-z_]", text) for text in written):
        return  # a variable of sqlcmd is refused
    assert texts("\nGO\n".join(written)) == written


@given(AWKWARD)
@settings(max_examples=300)
def test_the_lexer_loses_nothing(text: str) -> None:
    try:
        found = list(every(text))
    except Unterminated:
        return
    assert "".join(text[token.start : token.end] for token in found) == text
