"""What comes out of an archive is what went into it: types, names, partitions, triggers, and the shipped systems."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.project import ROOT
from tests.systems import Bench
from windlass import project
from windlass_engine.archiving import kept
from windlass_engine.model import Wire
from windlass_engine.project.view import ProjectView

TABLE = '"Odd.Schema"."It\'s a ""table"""'
AWKWARD = """
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE SCHEMA "Odd.Schema";
CREATE TABLE {TABLE} (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Mixed Case" text, felt mood, amount numeric(30, 10), at timestamptz,
  span interval, raw bytea, tags text[], doc jsonb, twice int GENERATED ALWAYS AS (id * 2) STORED, real_one float8);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN NEW."Mixed Case" := 'touched'; RETURN NEW; END $f$;
CREATE TRIGGER touches BEFORE INSERT OR UPDATE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION touch();
"""
AWKWARD_DOWN = f'DROP TABLE {TABLE};\nDROP SCHEMA "Odd.Schema";\nDROP FUNCTION touch();\nDROP TYPE mood'
ROWS = """
INSERT INTO {TABLE} (felt, amount, at, span, raw, tags, doc, real_one) VALUES
  ('glad', 12345678901234567890.0123456789, '2024-02-29 23:59:59.123456+05', '1 year 2 mons -3 days 04:05:06.7',
   '\\x00ff10', ARRAY['a,b', NULL, '"q"'], '{"a": [1, null]}', 0.1 + 0.2),
  ('sad', -1, '-infinity', '-1 microsecond', '', '{}', 'null', 'NaN')
"""
READ = """SELECT id, felt::text, amount, at::text, span::text, raw, tags, doc::text, twice, real_one::text, "Mixed Case"
FROM {TABLE} ORDER BY id"""
PARTED = """
CREATE TABLE said (at date NOT NULL, id int NOT NULL, words text, PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
CREATE TABLE said_1 PARTITION OF said FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE said_2 PARTITION OF said FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')
"""


def undo(bench: Bench, **how: object) -> Wire:
    result = bench.run(bench.plan_down(**how), allow_data_loss=True, scratch=True)
    assert result["error"] is None, result["error"]
    return result


def redo(bench: Bench, system: ProjectView) -> Wire:
    result = bench.deploy(system, restore_archived=True)
    assert result["error"] is None, result["error"]
    return result


def test_every_value_is_the_same_afterwards(bench: Bench) -> None:
    system = bench.make.system(bench.make.migration("001_odd", AWKWARD.replace("{TABLE}", TABLE), AWKWARD_DOWN))
    bench.deploy(system)
    bench.run_sql(ROWS.replace("{TABLE}", TABLE))
    before = bench.query(READ.replace("{TABLE}", TABLE))
    bench.run_sql("ALTER ROLE CURRENT_USER SET DateStyle = 'German, DMY'")
    try:
        undo(bench, steps=1)
        redo(bench, system)
    finally:
        bench.run_sql("ALTER ROLE CURRENT_USER RESET DateStyle")
    assert bench.query(READ.replace("{TABLE}", TABLE)) == before
    bench.run_sql(ROWS.replace("{TABLE}", TABLE))
    assert [row[0] for row in bench.query(READ.replace("{TABLE}", TABLE))] == [1, 2, 3, 4], (
        "numbers go on behind those that came back"
    )


def test_partitions_are_archived_once_and_with_their_parent(bench: Bench) -> None:
    system = bench.make.system(bench.make.migration("001_said", PARTED, "DROP TABLE said"))
    bench.deploy(system)
    bench.run_sql("INSERT INTO said VALUES ('2024-01-05', 1, 'a'), ('2024-02-05', 2, 'b')")
    [archive] = undo(bench, steps=1)["archived"]
    assert (archive["table"], archive["rows"]) == ("public.said", 2)
    redo(bench, system)
    assert bench.query("SELECT tableoid::regclass::text, id FROM said ORDER BY id") == [("said_1", 1), ("said_2", 2)]


def test_a_partition_alone_and_a_renamed_table(bench: Bench) -> None:
    down = "DROP TABLE said_1;\nALTER TABLE said RENAME TO told;\nALTER TABLE told RENAME COLUMN words TO text"
    bench.deploy(bench.make.system(bench.make.migration("001_said", PARTED, down)))
    bench.run_sql("INSERT INTO said VALUES ('2024-01-05', 1, 'a'), ('2024-02-05', 2, 'b')")
    assert [(item["table"], item["rows"]) for item in undo(bench, steps=1)["archived"]] == [("public.said_1", 1)]


def test_a_truncated_table_and_rows_deleted_by_a_cascade(bench: Bench) -> None:
    up = (
        "CREATE TABLE a (id int PRIMARY KEY);\nCREATE TABLE b (id int PRIMARY KEY REFERENCES a ON DELETE CASCADE);\n"
        "CREATE TABLE c (id int PRIMARY KEY, n int)"
    )
    bench.deploy(bench.make.system(bench.make.migration("001_abc", up, "DELETE FROM a WHERE id = 1;\nTRUNCATE c")))
    bench.run_sql("INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (1), (2); INSERT INTO c VALUES (1, 1), (2, 2)")
    found = {item["table"]: item["rows"] for item in undo(bench, steps=1)["archived"]}
    assert found == {"public.a": 1, "public.b": 1, "public.c": 2}
    assert bench.query("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == [(0,)]


def test_a_role_of_the_script_needs_no_right_on_the_archive(bench: Bench) -> None:
    up = "CREATE TABLE owned (id int PRIMARY KEY); CREATE ROLE windlass_test_owner; ALTER TABLE owned OWNER TO windlass_test_owner"
    down = "SET ROLE windlass_test_owner;\nDELETE FROM owned;\nRESET ROLE;\nDROP TABLE owned;\nDROP ROLE windlass_test_owner"
    bench.deploy(bench.make.system(bench.make.migration("001_owned", up.replace("; ", ";\n"), down)))
    bench.run_sql("INSERT INTO owned VALUES (1), (2)")
    kinds = {item["kind"]: item["rows"] for item in undo(bench, steps=1)["archived"]}
    assert kinds == {"table": 2}


def shipped(name: str) -> ProjectView:
    return project.load(ROOT, name, parse="all").view()


def test_messaging_loses_nothing(bench: Bench) -> None:
    system = shipped("messaging")
    bench.deploy(system)
    bench.run_sql("INSERT INTO whatsapp_messages (message_id, to_phone, from_phone, direction, status, body, sent_at, failed_reason) "
                  "SELECT 'm' || n, '12345678', '87654321', 'outgoing', 'sent', 'b', now(), 'Error 1: x - y (z)' FROM generate_series(1, 40) n")  # fmt: skip
    before = bench.query("SELECT * FROM whatsapp_messages ORDER BY id")
    undo(bench, to="001_standing_tables")
    redo(bench, system)
    assert bench.query("SELECT * FROM whatsapp_messages ORDER BY id") == before
    undo(bench, steps=5)
    redo(bench, system)
    # A table that comes back is filled first, and then the columns that were taken before it.
    assert bench.query("SELECT * FROM whatsapp_messages ORDER BY id") == before


@pytest.fixture
def maria(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """An empty database on MariaDB."""
    with request.getfixturevalue("mariadb").database() as url:
        yield Bench(url)


def test_jobs_keeps_notes_and_its_scripts_are_tried_with_them(maria: Bench) -> None:
    system = shipped("jobs")
    maria.deploy(system)
    maria.run_all(
        "INSERT INTO user_sessions (phone, contact_status) VALUES ('1', 'BLOCKED'), ('2', 'ACTIVE')",
        "INSERT INTO sync_runs (source_type, status) VALUES ('a', 'b')",
    )
    result = undo(maria, steps=1)
    kinds = {(item["table"], item["kind"]) for item in result["archived"]}
    assert {("`sync_runs`", "table"), ("`user_sessions`", "columns")} <= kinds
    redo(maria, system)
    assert maria.query("SELECT contact_status FROM user_sessions ORDER BY phone") == [("BLOCKED",), ("ACTIVE",)]
    assert maria.query("SELECT source_type, status FROM sync_runs") == [("a", "b")]


def test_an_undone_phase_of_blazz_loses_nothing(maria: Bench) -> None:
    system = shipped("blazz")
    maria.deploy(system)
    maria.run_all(
        "INSERT INTO workspaces (id, name) VALUES (1, 'w')",
        "INSERT INTO users (id, name, email) VALUES (1, 'n', 'e')",
        "INSERT INTO whatsapp_accounts (uuid, workspace_id, session_id, created_by, health_score, remote_session_path) "
        "VALUES ('u', 1, 's', 1, 40, '/x')",
        "INSERT INTO session_cleanup_logs (workspace_id, cleanup_type, reason) VALUES (1, 'manual', 'manual_request')",
    )
    before = maria.query("SELECT * FROM whatsapp_accounts")
    result = undo(maria, to="001_standing_tables")
    assert {item["migration"] for item in result["archived"]} >= {
        "003_phase_2_account_health", "004_phase_3_queue_and_cleanup_logs",
    }  # fmt: skip
    redo(maria, system)
    assert maria.query("SELECT * FROM whatsapp_accounts") == before
    assert maria.query("SELECT cleanup_type FROM session_cleanup_logs") == [("manual",)]
    assert {item["state"] for item in kept.look(maria.target)} == {"put back"}
