"""Statement boundaries, lines and refusals of the PostgreSQL splitter."""

from __future__ import annotations

import pytest

from windlass_engine.dialects.postgresql.splitter import copy_parts, split
from windlass_engine.errors import WindlassError
from windlass_engine.project.mistakes import told_by


def texts(sql: str) -> list[str]:
    return [sql[item.start : item.end] for item in split(sql, "up.sql")]


def refusal(sql: str) -> WindlassError:
    with pytest.raises(WindlassError) as caught:
        split(sql, "sql/shop/migrations/001_a/up.sql")
    assert caught.value.code == "project_invalid"
    assert caught.value.hint or len(told_by(caught.value)) > 1
    return caught.value


def test_slices_begin_at_the_first_token_and_leave_the_semicolon_out() -> None:
    sql = "-- first\n  SELECT 1 ;\n\n/* two\nlines */ SELECT\n2 -- behind\n;;\n -- nothing\nSELECT 3"
    found = split(sql, "up.sql")
    assert [sql[item.start : item.end] for item in found] == ["SELECT 1", "SELECT\n2", "SELECT 3"]
    assert [item.line for item in found] == [2, 5, 9]
    assert not any(item.copy_data or item.check or item.backfill for item in found)


def test_comments_inside_stay_and_a_block_comment_behind_belongs_to_its_statement() -> None:
    assert texts("UPDATE t SET a = 1 -- why\n WHERE b /* windlass: batch */ ; SELECT 1") == [
        "UPDATE t SET a = 1 -- why\n WHERE b /* windlass: batch */",
        "SELECT 1",
    ]


def test_a_slice_never_ends_in_a_line_comment_so_more_can_follow_on_its_line() -> None:
    assert texts("SELECT 1 -- one\n  -- two\n;SELECT 2 -- end") == ["SELECT 1", "SELECT 2"]


@pytest.mark.parametrize("sql", ["", "  \n\t", "-- only\n/* comments; */", ";;\n;"])
def test_nothing_is_no_statement(sql: str) -> None:
    assert texts(sql) == []


def test_a_no_break_space_is_a_letter_as_it_is_to_the_server() -> None:
    assert texts("SELECT a\u00a0E'x\\';") == ["SELECT a\u00a0E'x\\'"]


def test_line_ends_of_other_systems_end_comments_too() -> None:
    assert texts("SELECT 1; -- a\rSELECT 2; -- b\r\nSELECT 3") == ["SELECT 1", "SELECT 2", "SELECT 3"]


def test_copy_holds_its_data_to_the_end_mark() -> None:
    sql = "COPY t (a, b) FROM stdin; -- rows\n1\ta;b\n2\t'it\n\\N\t\\.x\n\\.\nSELECT 1;\n"
    found = split(sql, "up.sql")
    assert [item.copy_data for item in found] == [True, False]
    assert [item.line for item in found] == [1, 6]
    block = sql[found[0].start : found[0].end]
    assert block.endswith("\n\\.")
    assert copy_parts(block) == ("COPY t (a, b) FROM stdin", "1\ta;b\n2\t'it\n\\N\t\\.x\n")


def test_copy_without_rows() -> None:
    sql = "copy public.t from STDIN with (format csv, header);\n\\.\n"
    assert copy_parts(texts(sql)[0]) == ("copy public.t from STDIN with (format csv, header)", "")


@pytest.mark.parametrize(
    "sql",
    [
        "COPY t FROM '/tmp/stdin';",
        "COPY t TO stdout;",
        "COPY (SELECT a FROM stdin) TO '/tmp/x';",
        "COPY t FROM PROGRAM 'cat stdin' WHERE \"from\" = 1;",
        "CREATE TABLE copy_from_stdin (a int);",
    ],
)
def test_what_only_looks_like_copy_from_stdin_has_no_data(sql: str) -> None:
    assert [item.copy_data for item in split(sql + "\nSELECT 1;", "up.sql")] == [False, False]


def test_restrict_lines_of_pg_dump_are_passed_over() -> None:
    assert texts("\\restrict aZ09\n\nSELECT 1;\n  \\unrestrict aZ09\n") == ["SELECT 1"]


@pytest.mark.parametrize(
    ("sql", "line", "word"),
    [
        ("SELECT 1;\n\\connect other\n", 2, "\\connect"),
        ("\\set ON_ERROR_STOP on\nSELECT 1;", 1, "\\set"),
        ("SELECT 1\n  \\gset\n", 2, "\\gset"),
        ("SELECT 1; \\restrict x\n", 1, "\\restrict"),
        ("SELECT 1\n\\restrict x\n;", 2, "\\restrict"),
        ("SELECT 1;\n\n\\.\n", 3, "no COPY"),
        ("CREATE FUNCTION f() RETURNS int\nBEGIN ATOMIC SELECT 1; \\echo a\nEND;", 2, "\\echo"),
    ],
)
def test_psql_commands_are_refused_by_line(sql: str, line: int, word: str) -> None:
    error = refusal(sql)
    assert error.where == {"file": "sql/shop/migrations/001_a/up.sql", "line": line}
    assert word in error.message


@pytest.mark.parametrize(
    ("sql", "line", "word"),
    [
        ("SELECT 1;\nSELECT 'a''b;\n\n", 2, "string"),
        ("SELECT 1,\n\n E'it\\';\n\n", 3, "string"),
        ("SELECT E'a'\n 'b;\n", 1, "string"),
        ('SELECT 1;\n\nSELECT "a;\n\n', 3, "quoted name"),
        ("SELECT 1; /* a\n/* b */\n", 1, "comment"),
        ("SELECT 1;\n\n/* behind", 3, "comment"),
        ("DO\n$a$ BEGIN $$;\nEND $b$", 2, "dollar-quoted"),
        ("SELECT 1;\nCOPY t FROM stdin;\n1\n2\n\\.x\n", 2, "COPY"),
        ("COPY t FROM stdin", 1, "COPY"),
        ("SELECT 1;\nCOPY t FROM stdin; SELECT 2;\n\\.\n", 2, "behind"),
        ("SELECT 1;\nSELECT (1;\nSELECT 2;\n", 2, "parenthesis"),
        ("SELECT 1;\nCREATE FUNCTION f() RETURNS int\nBEGIN ATOMIC SELECT 1;\n", 2, "END"),
    ],
)
def test_what_never_ends_is_refused_where_it_began(sql: str, line: int, word: str) -> None:
    error = refusal(sql)
    assert error.where["line"] == line
    assert word in error.message


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN",
        "begin transaction isolation level serializable",
        "START TRANSACTION",
        "COMMIT",
        "COMMIT PREPARED 'x'",
        "END",
        "ROLLBACK TO SAVEPOINT a",
        "ABORT",
        "SAVEPOINT a",
        "RELEASE a",
        "PREPARE /* to */ TRANSACTION 'x'",
    ],
)
def test_transaction_control_is_refused_with_what_to_do(sql: str) -> None:
    error = refusal(f"SELECT 1;\n/* here */ {sql};\nSELECT 2;")
    assert error.where["line"] == 2
    assert sql.split(maxsplit=1)[0].upper() in error.message
    assert "no-transaction" in error.hint


def test_all_transaction_control_of_a_file_is_told_at_once() -> None:
    error = refusal("BEGIN;\nSELECT 1;\nCOMMIT;\n")
    assert [(item.line, item.message.split()[0]) for item in told_by(error)] == [(1, "BEGIN"), (3, "COMMIT")]
    assert "up.sql:3: COMMIT" in error.message


def test_bodies_and_prepared_statements_are_no_transaction_control() -> None:
    sql = "DO $$ BEGIN PERFORM 1; END $$; PREPARE q AS SELECT 1; CREATE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC END;"
    assert len(texts(sql)) == 3
