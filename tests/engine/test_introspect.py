from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.engine import awkward
from tests.servers.postgresql import PostgresServer
from windlass_engine import session
from windlass_engine.model import Target
from windlass_engine.schema import introspect
from windlass_engine.schema.introspect import Schema


@contextmanager
def logged_in(url: str) -> Iterator[session.Session]:
    with session.connect(Target("test", "test", url)) as one:
        yield one


def schema_of(url: str) -> Schema:
    with logged_in(url) as one:
        return introspect.snapshot(one)


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def changes(url: str, *statements: str) -> list[str]:
    before = schema_of(url)
    run(url, *statements)
    return introspect.difference(before, schema_of(url))


def test_finds_every_kind_of_object(each_pg: PostgresServer) -> None:
    with each_pg.database() as url:
        empty = schema_of(url)
        run(url, awkward.ROLE, awkward.SCHEMA)
        schema = schema_of(url)
    kinds = {kind for kind, _, _ in set(schema.objects) - set(empty.objects)}
    assert kinds == {
        "aggregate", "cast", "collation", "column", "comment", "constraint", "default privileges", "domain", "enum",
        "function", "grant", "index", "materialized view", "owner", "policy", "procedure", "publication", "range",
        "rule", "schema", "sequence", "statistics", "table", "text search configuration", "trigger", "type", "view",
    }  # fmt: skip


def test_definitions_hold_what_matters(each_pg: PostgresServer) -> None:
    with each_pg.database() as url:
        run(url, awkward.ROLE, awkward.SCHEMA)
        found = {(kind, identity): definition for kind, identity, definition in schema_of(url).objects}
    assert found["column", 'app.thing."nä""me"'] == "character varying(20) default 'a'::character varying"
    assert found["column", "app.thing.id"] == "bigint not null generated always as identity"
    assert found["column", "app.thing.twice"] == "numeric generated always as (n * (2)::numeric) stored"
    assert found["column", "app.thing.big"] == "text storage external statistics 500"
    # Constants do not depend on the session's time zone.
    assert "2025-12-31 22:00:00+00" in found["column", "app.thing.at"]
    assert found["enum", "app.mood"] == "'sad', 'meh', 'ok', 'h''appy'"
    assert found["constraint", "proven on app.thing"].endswith("NOT VALID")
    assert found["trigger", "touch on app.thing"].endswith("(disabled)")
    assert found["table", "app.event"] == "partitioned by RANGE (at)"
    assert found["table", "app.event_rest"] == "partition of app.event DEFAULT"
    assert "toast (autovacuum_enabled=off) row level security" in found["table", "app.thing"]
    assert found["sequence", "app.thing_id_seq"].endswith("identity of app.thing.id")
    assert "RETURN NEW;" in found["function", "app.touch()"]
    assert found["grant", "function app.touch() to PUBLIC"] == "none"
    assert found["grant", 'view app.seen to "reader ü"'] == "SELECT*"
    assert found["grant", 'column app.thing.n to "reader ü"'] == "UPDATE"
    assert found["owner", "table app.log"] == '"reader ü"'
    assert found["comment", "table app.thing"] == "a 'table'\non two lines"


def test_the_order_of_work_makes_no_difference(pg: PostgresServer) -> None:
    # Column order, OIDs, dropped columns and rights that were spelled out are no part of what a schema is.
    first = (
        "CREATE TABLE a (x int, y text NOT NULL DEFAULT 'q')",
        "CREATE INDEX one ON a (x)",
        "CREATE INDEX two ON a (y)",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )
    second = (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
        "CREATE TABLE a (gone int, y text, x int)",
        "CREATE INDEX two ON a (y)",
        "ALTER TABLE a DROP gone, ALTER y SET DEFAULT 'q', ALTER y SET NOT NULL",
        "CREATE INDEX one ON a (x)",
        "GRANT ALL ON a TO CURRENT_USER",
        "GRANT SELECT ON a TO PUBLIC",
        "REVOKE SELECT ON a FROM PUBLIC",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )
    with pg.database() as url_a, pg.database() as url_b:
        run(url_a, *first)
        run(url_b, *second)
        a, b = schema_of(url_a), schema_of(url_b)
    assert introspect.difference(a, b) == []
    assert introspect.fingerprint(a) == introspect.fingerprint(b)
    assert introspect.fingerprint(a).startswith("v1:")


def test_session_settings_change_nothing_and_come_back(database: str) -> None:
    run(database, awkward.ROLE, awkward.SCHEMA)
    own = "SET search_path = app, public; SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'"
    with logged_in(database) as one:
        plain = introspect.snapshot(one)
        one.run(own)
        assert introspect.snapshot(one) == plain
        assert one.query(
            "SELECT current_setting('search_path'), current_setting('TimeZone'), current_setting('DateStyle')"
        ) == [("app, public", "Asia/Tokyo", "German, DMY")]


def test_sees_an_open_transaction(database: str) -> None:
    with logged_in(database) as one:
        one.run("BEGIN; CREATE TABLE only_here (a int)")
        assert ("table", "public.only_here", "") in introspect.snapshot(one).objects
        one.run("ROLLBACK")
        assert ("table", "public.only_here", "") not in introspect.snapshot(one).objects


def test_an_error_in_a_failed_transaction_is_the_first_one(database: str) -> None:
    with logged_in(database) as one:
        one.run("BEGIN")
        with pytest.raises(session.ServerError):
            one.query("SELECT 1/0")
        with pytest.raises(session.ServerError, match="aborted"):
            introspect.snapshot(one)


def test_leaves_out_the_journal_temporary_tables_and_extension_parts(pg15: PostgresServer) -> None:
    with pg15.database() as url:
        found = changes(
            url,
            "CREATE SCHEMA windlass",
            "CREATE TABLE windlass.migrations (name text PRIMARY KEY)",
            "COMMENT ON TABLE windlass.migrations IS 'x'",
            "CREATE TEMP TABLE gone (a int)",
            "CREATE EXTENSION hstore",
            "CREATE EXTENSION tablefunc",
        )
    assert found == ["+ extension hstore", "+ extension tablefunc"]


def test_difference_lines(database: str) -> None:
    run(
        database,
        "CREATE TABLE t (a int, b text)",
        "CREATE INDEX gone ON t (b)",
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN 1;\nEND $$",
    )
    found = changes(
        database,
        "ALTER TABLE t ALTER a TYPE bigint",
        "DROP INDEX gone",
        'CREATE TABLE "Ün""der" (x int)',
        "ALTER TABLE t ADD CONSTRAINT later CHECK (a > 0) NOT VALID",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN 2;\nEND $$",
    )
    assert found == [
        '+ column public."Ün""der".x',
        "~ column public.t.a: integer -> bigint",
        "+ constraint later on public.t",
        "~ function public.f(): line 6: RETURN 1; -> RETURN 2;",
        "- index public.gone",
        '+ owner table public."Ün""der"',
        '+ table public."Ün""der"',
    ]
    assert changes(database, "ALTER TABLE t VALIDATE CONSTRAINT later") == [
        "~ constraint later on public.t: CHECK ((a > 0)) NOT VALID -> CHECK ((a > 0))"
    ]


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ("ALTER TABLE t ENABLE ROW LEVEL SECURITY", "~ table public.t: (plain) -> row level security"),
        ("ALTER TABLE t SET UNLOGGED", "~ table public.t: (plain) -> unlogged"),
        ("ALTER TABLE t REPLICA IDENTITY FULL", "~ table public.t: (plain) -> replica identity full"),
        ("ALTER TYPE mood ADD VALUE 'c' BEFORE 'b'", "~ enum public.mood: 'a', 'b' -> 'a', 'c', 'b'"),
        ("GRANT SELECT ON t TO PUBLIC", "+ grant table public.t to PUBLIC"),
        ("REVOKE DELETE ON t FROM CURRENT_USER", "+ grant table public.t to its owner"),
        ("COMMENT ON COLUMN t.a IS 'x'", "+ comment column public.t.a"),
        ("ALTER INDEX i SET (fillfactor = 50)", "~ index public.i: CREATE INDEX i ON public.t USING btree (a) -> "
         "CREATE INDEX i ON public.t USING btree (a) WITH (fillfactor='50')"),
        ("CLUSTER t USING i", "~ index public.i: CREATE INDEX i ON public.t USING btree (a) -> "
         "CREATE INDEX i ON public.t USING btree (a) (clustered)"),
        ("CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION on_ddl()", "+ event trigger e"),
    ],
)  # fmt: skip
def test_small_changes_show(database: str, statement: str, line: str) -> None:
    run(
        database,
        "CREATE TABLE t (a int)",
        "CREATE INDEX i ON t (a)",
        "CREATE TYPE mood AS ENUM ('a', 'b')",
        "CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
    )
    assert line in changes(database, statement)


def test_an_invalid_index_shows(database: str) -> None:
    run(database, "CREATE TABLE t (a int)", "INSERT INTO t VALUES (1), (1)")
    before = schema_of(database)
    with pytest.raises(psycopg.errors.UniqueViolation):
        run(database, "CREATE UNIQUE INDEX CONCURRENTLY u ON t (a)")
    left = set(schema_of(database).objects) - set(before.objects)
    assert left == {("index", "public.u", "CREATE UNIQUE INDEX u ON public.t USING btree (a) (not valid)")}


def test_no_secret_of_a_foreign_server(pg15: PostgresServer) -> None:
    with pg15.database() as url:
        run(
            url,
            "CREATE EXTENSION postgres_fdw",
            "CREATE FOREIGN DATA WRAPPER loose OPTIONS (api_key 'hidden-1', port '5')",
            "CREATE SERVER far FOREIGN DATA WRAPPER loose OPTIONS (password 'hidden-2', host 'h')",
            "CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (password 'hidden-3')",
        )
        objects = schema_of(url).objects
    assert "hidden" not in str(objects)
    assert ("foreign server", "far", "wrapper loose options (host=h, password=(secret))") in objects
    assert ("user mapping", "PUBLIC on far", "") in objects


def test_survives_the_wire(database: str) -> None:
    schema = schema_of(database)
    assert Schema.from_wire(schema.to_wire()) == schema
