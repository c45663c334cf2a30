"""From bytes to a script: encoding, checksum, header and statement directives, and what is refused with its line."""

from __future__ import annotations

import pytest

from windlass_engine import dialects
from windlass_engine.errors import WindlassError
from windlass_engine.model import Backfill, Directives, Script
from windlass_engine.project import script
from windlass_engine.project.mistakes import Mistake, told_by

POSTGRESQL = dialects.get("postgresql")
PATH = "sql/shop/migrations/001_a/up.sql"


def load(text: str | bytes, kind: str = "") -> Script:
    data = text if isinstance(text, bytes) else text.encode()
    return script.load(data, PATH, POSTGRESQL.split, kind=kind, review=POSTGRESQL.review)


def mistakes(text: str | bytes, kind: str = "") -> list[Mistake]:
    with pytest.raises(WindlassError) as caught:
        load(text, kind)
    assert caught.value.code == "project_invalid"
    found = told_by(caught.value)
    assert {mistake.file for mistake in found} == {PATH}
    return found


def only(text: str | bytes, kind: str = "") -> Mistake:
    found = mistakes(text, kind)
    assert len(found) == 1
    return found[0]


def test_a_script_keeps_path_text_and_parts() -> None:
    found = load("-- windlass: lock-timeout 5s\n-- what it does\nSELECT 1;\n\nSELECT 'ж;';\n")
    assert found.path == PATH
    assert found.directives == Directives(lock_timeout_ms=5000)
    assert [found.sql(item) for item in found.statements] == ["SELECT 1", "SELECT 'ж;'"]
    assert [item.line for item in found.statements] == [3, 5]


def test_mark_and_line_ends_change_neither_checksum_nor_statements() -> None:
    plain = load("SELECT 1;\nSELECT 'a\nb';\n")
    for data in (
        b"\xef\xbb\xbfSELECT 1;\r\nSELECT 'a\r\nb';\r\n",
        b"SELECT 1;\rSELECT 'a\rb';",
        b"SELECT 1;\nSELECT 'a\nb';\n\n\n",
    ):
        assert load(data) == plain
        assert script.checksum(data) == plain.checksum
    assert plain.text == "SELECT 1;\nSELECT 'a\nb';\n"


def test_the_checksum_carries_its_version_and_sees_every_other_change() -> None:
    # printf 'SELECT 1;\n' | sha256sum
    assert script.checksum(b"SELECT 1;\n") == ("v1:b4e0497804e46e0a0b0b8c31975b062152d551bac49c3c2e80932567b4085dcd")
    assert script.checksum(b"SELECT 1; \n") != script.checksum(b"SELECT 1;\n")
    assert script.checksum(b"\nSELECT 1;") != script.checksum(b"SELECT 1;")


def test_bytes_that_are_not_utf8_are_named_by_line_and_byte() -> None:
    found = only(b"SELECT 1;\r\n-- Stra\xdfe\nSELECT 2;")
    assert found.line == 2
    assert "byte 8" in found.message and "0xdf" in found.message
    assert "UTF-8" in found.hint


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_wide_encodings_are_named(encoding: str) -> None:
    mark = "\ufeff" if encoding.endswith("be") else ""
    found = only(f"{mark}SELECT 1;".encode(encoding))
    assert found.line == 1
    assert encoding[:6].upper() in found.message


def test_a_nul_byte_is_refused() -> None:
    assert only(b"SELECT 1;\nSELECT '\x00';").line == 2


@pytest.mark.parametrize("text", ["", "\n\n", "-- only\n/* comments /* here */ ; */\n", ";\n", "\\restrict a\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    assert "holds no statement" in only(text).message


def test_all_header_directives() -> None:
    header = """
    -- A comment may stand first.
    --windlass: no-transaction
    -- windlass: lock-timeout 0
    /* a note
    -- windlass: switched off in here
    */
    -- windlass:lock-retries 7
    -- Windlass : statement-timeout 15min
    -- windlass: requires 001 with a "blank"
    -- windlass: requires 002_ключ
    -- windlass: irreversible the old numbers are gone
    SELECT 1;
    """
    assert load(header, "up").directives == Directives(
        transactional=False,
        lock_timeout_ms=0,
        lock_retries=7,
        statement_timeout_ms=900_000,
        requires=('001 with a "blank"', "002_ключ"),
        irreversible="the old numbers are gone",
    )
    assert load("-- windlass: scratch\nSELECT 1;", "sample").directives == Directives(scratch=True)
    assert load("-- windlass: schedule daily\nSELECT 1;", "maintenance").directives == Directives(schedule="daily")


@pytest.mark.parametrize(
    ("text", "expected"), [("200ms", 200), ("5s", 5000), ("15min", 900_000), ("1h", 3_600_000), ("0", 0)]
)
def test_durations(text: str, expected: int) -> None:
    assert load(f"-- windlass: lock-timeout {text}\nSELECT 1;").directives.lock_timeout_ms == expected


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("lock-timeout", "no duration"),
        ("lock-timeout 5", "no duration"),
        ("lock-timeout 5 s", "no duration"),
        ("lock-timeout -5s", "no duration"),
        ("lock-timeout 1.5s", "no duration"),
        ("lock-timeout ٣s", "no duration"),
        ("statement-timeout 9999h", "longer"),
        ("lock-retries many", "whole number"),
        ("lock-retries", "whole number"),
        ("no-transaction please", "takes no value"),
        ("scratch 1", "takes no value"),
        ("requires", "needs"),
        ("irreversible", "needs a reason"),
        ("schedule weekly", "hourly, daily, monthly"),
        ("no-transacton", "did you mean `no-transaction`?"),
        ("Lock-Timeout 5s", "did you mean `lock-timeout`?"),
        ("xyzzy", "known are no-transaction"),
        ("", "unknown directive"),
    ],
)
def test_a_bad_directive_is_refused_by_line(line: str, word: str) -> None:
    found = only(f"-- a comment\n\n-- windlass: {line}\nSELECT 1;")
    assert found.line == 3
    assert word in found.message


def test_a_directive_that_stands_twice_is_refused() -> None:
    assert only("-- windlass: lock-timeout 5s\n-- windlass: lock-timeout 6s\nSELECT 1;").line == 2


@pytest.mark.parametrize(
    ("kind", "line", "place"),
    [
        ("verify", "no-transaction", "up.sql"),
        ("down", "irreversible x", "up.sql"),
        ("up", "scratch", "samples/"),
        ("check", "schedule daily", "maintenance/"),
        ("repeatable", "requires 001_a", "up.sql"),
    ],
)
def test_a_directive_in_the_wrong_kind_of_script_is_refused(kind: str, line: str, place: str) -> None:
    found = mistakes(f"-- windlass: {line}\n-- check: a\nSELECT 1;", kind)[0]
    assert found.line == 1
    assert place in found.message


def test_every_mistake_of_a_header_is_told() -> None:
    found = mistakes("-- windlass: lock-timeout x\n-- windlass: lock-retries y\n-- windlass: zzz\n")
    assert [mistake.line for mistake in found] == [1, 2, 3, 0]


def test_a_header_directive_behind_the_first_statement_is_refused() -> None:
    found = only("SELECT 1;\n\n-- windlass: no-transaction\nSELECT 2;")
    assert (found.line, "above the first statement" in found.message) == (3, True)


def test_directives_count_at_the_start_of_a_line_only() -> None:
    text = "SELECT 1; -- windlass: nonsense\nSELECT '\n-- windlass: nonsense\n', 2; -- check: no\nSELECT 3 /*\n-- check: no\n*/;"
    found = load(text, "up")
    assert len(found.statements) == 3
    assert not any(item.check for item in found.statements)


def test_check_names_go_to_the_next_statement() -> None:
    found = load(
        "-- check: first one\n-- it looks at a\nSELECT 1;\nSET x = 1;\n\n-- check: zweite 'é'\n\nSELECT 2;", "verify"
    )
    assert [item.check for item in found.statements] == ["first one", "", "zweite 'é'"]


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("-- check: a\nSELECT 1;\n-- check: a\nSELECT 2;", 4, "line 2"),
        ("-- check: a\nSELECT 1;\n-- check: b\n", 3, "no statement follows"),
        ("-- check:\nSELECT 1;", 1, "needs a name"),
        (f"-- check: {'x' * 201}\nSELECT 1;", 1, "200"),
        ("-- check: a\n-- check: b\nSELECT 1;", 2, "one statement"),
        ("-- check: a\nSELECT 1;\n-- windlass: nonsense\nSELECT 2;", 3, "unknown directive"),
        ("SELECT 1;", 0, "would verify nothing"),
    ],
)
def test_bad_checks_are_refused(text: str, line: int, word: str) -> None:
    found = mistakes(text, "verify")[-1]
    assert found.line == line
    assert word in found.message


def test_a_check_in_a_migration_is_refused() -> None:
    assert "verify.sql" in only("-- check: a\nSELECT 1;", "up").message


BACKFILL = "-- windlass: backfill table={} key=id batch=5000 pause=50ms\n"
UPDATE = "UPDATE t SET a = 1 WHERE a IS NULL /* windlass: batch */;\n"
LOOSE = "-- windlass: no-transaction\n"


def test_a_backfill_goes_to_the_next_statement() -> None:
    second = '-- windlass: backfill table="My S"."T ""x""" key="Key" batch=1\n'
    found = load(LOOSE + BACKFILL.format("public.t") + UPDATE + second + UPDATE, "up")
    assert [item.backfill for item in found.statements] == [
        Backfill("public.t", "id", 5000, 50),
        Backfill('"My S"."T ""x"""', '"Key"', 1, 0),
    ]


@pytest.mark.parametrize(
    ("directive", "word"),
    [
        ("backfill", "lacks table, key, batch"),
        ("backfill table=t key=id", "lacks batch"),
        ("backfill table=t key=id batch=0", "at least one"),
        ("backfill table=t key=id batch=x", "whole number"),
        ("backfill table=t key=id batch=5 pause=5", "no duration"),
        ("backfill table=t key=id batch=5 size=5", "does not know size"),
        ("backfill table=t table=u key=id batch=5", "each name once"),
        ("backfill table = t key=id batch=5", "name=value"),
    ],
)
def test_a_malformed_backfill_is_refused(directive: str, word: str) -> None:
    found = only(f"{LOOSE}-- windlass: {directive}\n{UPDATE}", "up")
    assert found.line == 2
    assert word in found.message


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("UPDATE t SET a = 1", "exactly once"),
        ("UPDATE t SET a = '/* windlass: batch */'", "exactly once"),
        ("UPDATE t SET a = 1 -- /* windlass: batch */\n WHERE a IS NULL", "exactly once"),
        ("UPDATE t SET a = 1 WHERE b /* windlass: batch */ OR c /* windlass: batch */", "exactly once"),
        ("DELETE FROM t WHERE a /* windlass: batch */", "plain UPDATE"),
    ],
)
def test_a_backfill_that_cannot_be_batched_is_refused(statement: str, word: str) -> None:
    found = only(LOOSE + BACKFILL.format("t") + statement + ";", "up")
    assert found.line == 3
    assert word in found.message


def test_a_backfill_in_a_transaction_is_refused() -> None:
    assert "no-transaction" in only(BACKFILL.format("t") + UPDATE, "up").hint


def test_what_needs_no_transaction_is_refused_in_one_with_the_directive_to_add() -> None:
    text = "SELECT 1;\nCREATE INDEX CONCURRENTLY i ON t (a);\nVACUUM t;"
    found = mistakes(text, "up")
    assert [mistake.line for mistake in found] == [2, 3]
    assert all("-- windlass: no-transaction" in mistake.hint for mistake in found)
    assert len(load(LOOSE + text, "up").statements) == 3


def test_an_online_index_needs_a_name() -> None:
    found = only(LOOSE + "CREATE INDEX CONCURRENTLY ON t (a);", "up")
    assert (found.line, "without a name" in found.message) == (2, True)


def test_discard_all_would_release_the_deployers_lock() -> None:
    assert "lock" in only(LOOSE + "DISCARD ALL;", "up").message


def test_the_head_is_read_without_parting_the_text() -> None:
    broken_body = "-- windlass: no-transaction\nSELECT 'never closed"
    found = script.head(broken_body.encode(), PATH, "up")
    assert found.statements == ()
    assert not found.directives.transactional
    with pytest.raises(WindlassError):
        script.full(found, POSTGRESQL.split)


def test_one_mistake_reads_like_a_compiler_message() -> None:
    with pytest.raises(WindlassError) as caught:
        load("SELECT 1;\nCOMMIT;")
    assert str(caught.value).startswith(f"{PATH}:2: COMMIT in a script")
    assert caught.value.exit_code == 3


def test_a_script_crosses_the_wire_unchanged() -> None:
    from windlass_engine.model import to_wire

    found = load(LOOSE + BACKFILL.format("t") + UPDATE + "COPY t FROM stdin;\n1\n\\.\n", "up")
    assert Script.from_wire(to_wire(found)) == found


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE ROLE app LOGIN PASSWORD 'hunter2'",
        "ALTER USER app WITH ENCRYPTED PASSWORD E'hunter2'",
        "CREATE USER MAPPING FOR app SERVER far OPTIONS (user 'u', password 'hunter2')",
    ],
)
def test_a_password_in_a_script_is_refused_and_not_repeated(sql: str) -> None:
    dialect = dialects.get("postgresql")
    with pytest.raises(WindlassError) as refusal:
        script.load(sql.encode(), "x/up.sql", dialect.split, review=dialect.review)
    assert refusal.value.code == "project_invalid" and "hunter2" not in str(refusal.value)
    script.load(b"ALTER ROLE app PASSWORD NULL", "x/up.sql", dialect.split, review=dialect.review)
