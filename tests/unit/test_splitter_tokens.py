"""What kind of statement a text is: outside a transaction or in one, and which index is built online."""

from __future__ import annotations

import pytest

from windlass_engine.dialects.postgresql import session_state
from windlass_engine.dialects.postgresql.tokens import ConcurrentIndex, concurrent_index, needs_no_transaction, words

OUTSIDE = [
    "CREATE INDEX CONCURRENTLY i ON t (a)",
    "create unique index /* online */ concurrently if not exists i on t (a)",
    "DROP INDEX CONCURRENTLY IF EXISTS i",
    "REINDEX TABLE CONCURRENTLY t",
    "REINDEX (VERBOSE, CONCURRENTLY) INDEX i",
    "REINDEX (CONCURRENTLY TRUE) TABLE t",
    "REINDEX DATABASE",
    "REINDEX (VERBOSE) SYSTEM d",
    "REINDEX SCHEMA s",
    "VACUUM",
    "VACUUM (ANALYZE) t",
    "CREATE DATABASE d",
    "DROP DATABASE IF EXISTS d",
    "ALTER DATABASE d SET TABLESPACE x",
    "CREATE TABLESPACE x LOCATION '/x'",
    "DROP TABLESPACE x",
    "ALTER SYSTEM SET work_mem = '1MB'",
    "ALTER TABLE IF EXISTS ONLY s.t DETACH PARTITION s.p CONCURRENTLY",
    "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p",
    "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (create_slot = true)",
    "DROP SUBSCRIPTION s",
    "ALTER SUBSCRIPTION s REFRESH PUBLICATION",
    "ALTER SUBSCRIPTION s SET PUBLICATION p, q",
    "CLUSTER",
    "CLUSTER VERBOSE",
    "CLUSTER (VERBOSE)",
    "DISCARD ALL",
]
INSIDE = [
    "CREATE INDEX i ON t (a)",
    'CREATE INDEX "concurrently" ON t (a)',
    "DROP INDEX i, concurrently_built",
    "REINDEX TABLE t",
    "REINDEX (CONCURRENTLY FALSE) TABLE t",
    "ANALYZE t",
    "CREATE TABLE vacuum_log (a int)",
    "ALTER DATABASE d SET work_mem = '1MB'",
    "ALTER TABLE t DETACH PARTITION p",
    "ALTER TABLE t ADD COLUMN concurrently int",
    "ALTER TYPE e ADD VALUE 'x'",
    "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (create_slot = false, enabled = false)",
    "ALTER SUBSCRIPTION s SET PUBLICATION p WITH (refresh = false)",
    "ALTER SUBSCRIPTION s DISABLE",
    "CLUSTER t USING i",
    "CALL p()",
    "DO $$ BEGIN NULL; END $$",
    "DISCARD PLANS",
    "SELECT 'VACUUM'",
    "(SELECT 1)",
]


def test_words_are_capitals_and_the_rest_is_as_written() -> None:
    sql = "/* a */ create -- b\n table \"My;T\" (a text DEFAULT 'x;y', b1$ int)"
    assert words(sql, 7) == ["CREATE", "TABLE", '"My;T"', "(", "A", "TEXT", "DEFAULT"]
    assert words(sql, 100)[7:] == ["'x;y'", ",", "B1$", "INT", ")"]
    assert words("-- nothing") == []


@pytest.mark.parametrize("sql", OUTSIDE)
def test_needs_no_transaction(sql: str) -> None:
    assert needs_no_transaction(sql)


@pytest.mark.parametrize("sql", INSIDE)
def test_may_stand_in_a_transaction(sql: str) -> None:
    assert not needs_no_transaction(sql)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CREATE INDEX CONCURRENTLY Idx_A ON t (a)", ("create", None, "idx_a", '"t"')),
        ("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON ONLY s.t (a)", ("create", "s", "i", '"s"."t"')),
        ('CREATE INDEX CONCURRENTLY "I ""x"" é" ON "S.1"."T" (a)', ("create", "S.1", 'I "x" é', '"S.1"."T"')),
        ("CREATE INDEX CONCURRENTLY ON t USING gin (a)", ("create", None, None, '"t"')),
        ("CREATE INDEX CONCURRENTLY ÄRGER ON t (a)", ("create", None, "Ärger", '"t"')),
        ('CREATE INDEX CONCURRENTLY U&"d\\0061t\\+000061" ON t (a)', ("create", None, "data", '"t"')),
        (f"CREATE INDEX CONCURRENTLY {'x' * 62}é ON t (a)", ("create", None, "x" * 62, '"t"')),
        ("DROP INDEX CONCURRENTLY IF EXISTS s.I CASCADE", ("drop", "s", "i", None)),
        ("DROP INDEX CONCURRENTLY i", ("drop", None, "i", None)),
        ("REINDEX INDEX CONCURRENTLY s.i", ("reindex", "s", "i", None)),
        ("REINDEX (CONCURRENTLY) TABLE t", ("reindex", None, None, '"t"')),
        ("REINDEX SCHEMA CONCURRENTLY s", ("reindex", "s", None, None)),
        ("REINDEX DATABASE CONCURRENTLY d", ("reindex", None, None, None)),
    ],
)
def test_concurrent_index(sql: str, expected: tuple[str | None, ...]) -> None:
    assert concurrent_index(sql) == ConcurrentIndex(*expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("sql", ["CREATE INDEX i ON t (a)", "DROP INDEX i", "REINDEX TABLE t", "VACUUM", "SELECT 1"])
def test_other_statements_are_no_concurrent_index(sql: str) -> None:
    assert concurrent_index(sql) is None


def test_what_only_sets_the_session_up() -> None:
    lasting = [
        "SET search_path = app", "set session statement_timeout to 0", "/* x */ SET ROLE r", "RESET ALL",
        "SET SESSION AUTHORIZATION r", "SELECT pg_catalog.set_config('search_path', '', false)",
        "select set_config('a.b', 'c', 'f')",
    ]  # fmt: skip
    passing = [
        "SET LOCAL search_path = app", "SET TRANSACTION READ ONLY", "SET CONSTRAINTS ALL DEFERRED", "SET", "INSERT INTO set VALUES (1)",
        "SELECT set_config('a.b', 'c', true)", "SELECT set_config('a.b', f('c'), false)", "SELECT set_config('a.b', 'c', false), f()",
        "SELECT set_config('a.b', 'c', false) FROM t", "SELECT 1", "UPDATE t SET a = 1",
    ]  # fmt: skip
    assert all(map(session_state.lasts, lasting))
    assert not any(map(session_state.lasts, passing))


def test_which_of_them_take_a_role() -> None:
    roles = [
        "SET ROLE r",
        "set session role r",
        "SET SESSION AUTHORIZATION 'r'",
        "RESET ROLE",
        "SELECT set_config('role', 'r', false)",
    ]
    assert all(map(session_state.is_role, roles))
    assert not any(
        map(session_state.is_role, ["SET LOCAL ROLE r", "SET search_path = app", "RESET ALL", "CREATE ROLE r"])
    )
