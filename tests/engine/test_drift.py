"""Drift: what others changed since the last run is told, with SQL that truly undoes or adopts it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.engine import test_mysql_introspect as on_mysql
from tests.systems import Bench
from windlass_engine import journal, maintain, session
from windlass_engine.errors import WindlassError
from windlass_engine.model import Options
from windlass_engine.schema import comparison, drift, introspect, memory
from windlass_engine.schema.comparison import Difference
from windlass_engine.schema.introspect import Schema

OPTIONS = Options("run", "tester", "here", "test")
SCENE = (
    "CREATE TYPE mood AS ENUM ('sad', 'ok')",
    "CREATE TABLE p (id int PRIMARY KEY)",
    "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int NOT NULL DEFAULT 1, b varchar(20), "
    "m mood, p_id int CONSTRAINT t_p REFERENCES p, n serial, CONSTRAINT positive CHECK (a > 0))",
    "CREATE INDEX t_a ON t (a)",
    "CREATE TABLE parts (id int, made date NOT NULL) PARTITION BY RANGE (made)",
    "CREATE TABLE parts_2025 PARTITION OF parts FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
    "CREATE VIEW v AS SELECT id, a FROM t",
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
    "COMMENT ON TABLE t IS 'things'",
    "CREATE POLICY mine ON p USING (id > 0)",
)
#: Changes that can be undone and adopted by SQL.
CHANGES = [
    "ALTER TABLE t ALTER b TYPE varchar(40)",
    "ALTER TABLE t ALTER a DROP NOT NULL, ALTER a SET DEFAULT 2",
    "ALTER TABLE t ALTER b SET DEFAULT 'it''s'",
    "ALTER TABLE t ADD c timestamptz NOT NULL DEFAULT now(), ADD twice int GENERATED ALWAYS AS (a * 2) STORED",
    "ALTER TABLE t DROP COLUMN b",
    "DROP INDEX t_a",
    "CREATE UNIQUE INDEX t_b ON t (lower(b)) WHERE a > 5",
    "DROP INDEX t_a; CREATE INDEX t_a ON t (a, b)",
    "ALTER TABLE t DROP CONSTRAINT positive",
    "ALTER TABLE t DROP CONSTRAINT t_p, ADD CONSTRAINT t_p FOREIGN KEY (p_id) REFERENCES p ON DELETE CASCADE",
    "ALTER TABLE t ADD CONSTRAINT one UNIQUE (a, b)",
    "CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
    "CREATE TABLE more (id serial PRIMARY KEY, t_id bigint REFERENCES t, at timestamptz DEFAULT now()); CREATE INDEX ON more (at); COMMENT ON COLUMN more.at IS 'when'",
    "DROP TABLE p CASCADE",
    "CREATE OR REPLACE VIEW v AS SELECT id, a, b FROM t",
    "DROP VIEW v",
    "CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
    "CREATE FUNCTION h(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'",
    "DROP TRIGGER g ON t",
    "ALTER TABLE t DISABLE TRIGGER g",
    "COMMENT ON TABLE t IS 'others'; COMMENT ON COLUMN t.a IS 'how many'",
    "DROP POLICY mine ON p; CREATE POLICY yours ON p FOR SELECT USING (id > 1)",
    "CREATE SEQUENCE s INCREMENT 5; CREATE DOMAIN d AS int CHECK (VALUE > 0); CREATE SCHEMA other",
    "GRANT SELECT, UPDATE ON t TO PUBLIC",
]
#: What only a person can tell apart, one way or both: a label goes, a table gets other options.
BY_HAND = [
    "ALTER TYPE mood ADD VALUE 'glad'",
    "ALTER TABLE t SET (fillfactor = 70)",
    "ALTER TABLE p ENABLE ROW LEVEL SECURITY",
]
_BY_HAND_MYSQL = (
    "((a + 1))",
    "ENGINE=Aria",
    "PARTITION",
    "EVENT",
    "GRANT",
    "TABLE parts",
    "ROW_FORMAT",
    "ALTER SEQUENCE",
)
_NOT_EXACT_MYSQL = ("SQL SECURITY INVOKER VIEW",)


def schema_of(bench: Bench) -> Schema:
    with session.connect(bench.target) as opened:
        return introspect.snapshot(opened)


def compare(bench: Bench, before: Schema, after: Schema) -> list[Difference]:
    return comparison.compare(bench.make.dialect, before, after)


def run(bench: Bench, texts: list[str | None]) -> None:
    for text in texts:
        assert text is not None
        for part in filter(None, text.split(";\n") if bench.make.engine == "mysql" else [text]):
            bench.run_sql(part)


def there_and_back(bench: Bench, change: str, parts: tuple[str, ...] = ()) -> None:
    """Undo a change by the SQL that is given, then adopt it by the SQL that is given: each must be exact."""
    before = schema_of(bench)
    for part in parts or [change]:
        bench.run_sql(part)
    after = schema_of(bench)
    found = compare(bench, before, after)
    assert found
    run(bench, [item.back for item in reversed(found)])
    assert introspect.difference(before, schema_of(bench)) == []
    run(bench, [item.forth for item in found])
    assert introspect.difference(after, schema_of(bench)) == []
    run(bench, [item.back for item in reversed(found)])
    assert introspect.difference(before, schema_of(bench)) == []


@pytest.fixture(scope="module")
def postgresql(pg) -> Iterator[Bench]:
    with pg.database() as url:
        bench = Bench(url)
        bench.run_all(*SCENE)
        yield bench


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_undone_and_adopted_exactly(postgresql: Bench, change: str) -> None:
    there_and_back(postgresql, change)


@pytest.mark.parametrize("change", BY_HAND)
def test_what_no_sql_can_undo_is_said(pg, change: str) -> None:
    with pg.database() as url:
        bench = Bench(url)
        bench.run_all(*SCENE)
        before = schema_of(bench)
        bench.run_sql(change)
        [found] = compare(bench, before, schema_of(bench))
        assert found.back is None and found.what == "changed"


_MADE = "CREATE TABLE more (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, uuid char(36) UNIQUE NOT NULL, facts json, t_id int, at timestamp NULL, KEY k (t_id, uuid(5)), CONSTRAINT m FOREIGN KEY (t_id) REFERENCES t (id) ON DELETE CASCADE)"
_MADE_BY_MYSQL = "CREATE TABLE more (id int PRIMARY KEY, a varchar(20) DEFAULT 'it''s', n varchar(9) DEFAULT '0123', b varchar(50) DEFAULT (concat('x''y\\\\', uuid())), c datetime(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), d bit(3) DEFAULT b'101', e binary(2) DEFAULT 'ab', f int AS (length(concat(a, 'q''r'))) STORED, g json DEFAULT (json_array('u')), h date DEFAULT '2020-01-01', i decimal(5,2) DEFAULT 1.5, j enum('a', 'b') DEFAULT 'a', l char(36) DEFAULT (uuid()) INVISIBLE, CHECK (a <> 'x''z'))"
_EXACT = [c for c in on_mysql.CHANGES if not any(word in c for word in (*_BY_HAND_MYSQL, *_NOT_EXACT_MYSQL))]
_EXACT_ON_MYSQL = [c for c in on_mysql.MYSQL_CHANGES if not any(word in c for word in _BY_HAND_MYSQL)]


@pytest.fixture(scope="module")
def places(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Bench]]:
    """Gives the one database on a make's server that all changes are tried on."""
    found: dict[str, Bench] = {}
    with ExitStack() as stack:

        def place(server: str) -> Bench:
            if server not in found:
                found[server] = stack.enter_context(on_mysql.standing_on(request, server))
                found[server].run_sql(
                    "ALTER TABLE t ADD facts json NULL, ADD told text NULL, ADD at timestamp NULL DEFAULT NULL"
                )
            return found[server]

        yield place


@pytest.mark.parametrize(
    ("server", "change"),
    on_mysql.on_each([*_EXACT, "ALTER TABLE t DROP COLUMN facts", _MADE], [*_EXACT_ON_MYSQL, _MADE_BY_MYSQL]),
)
def test_on_mysql_and_mariadb_too(places: Callable[[str], Bench], server: str, change: str) -> None:
    there_and_back(places(server), change, on_mysql.words(server, [change]))


#: On SQL Server.
_SCENE_MSSQL = (
    "CREATE TABLE dbo.o (id int NOT NULL CONSTRAINT o_key PRIMARY KEY)",
    "CREATE TABLE dbo.t (id int NOT NULL CONSTRAINT t_key PRIMARY KEY, a int NULL, name nvarchar(50) NULL)",
    "CREATE INDEX by_a ON dbo.t (a)",
    "CREATE VIEW dbo.v AS SELECT id FROM dbo.t",
)
_CHANGES_MSSQL = [
    "ALTER TABLE dbo.t ADD b nvarchar(20) NOT NULL CONSTRAINT t_b DEFAULT N'x'",
    "ALTER TABLE dbo.t ADD c decimal(10, 2) NULL",
    "ALTER TABLE dbo.t ALTER COLUMN name nvarchar(60) NOT NULL",
    "ALTER TABLE dbo.t ADD CONSTRAINT t_a CHECK (a > 0)",
    "ALTER TABLE dbo.t ADD CONSTRAINT t_o FOREIGN KEY (a) REFERENCES dbo.o (id) ON DELETE CASCADE",
    "CREATE UNIQUE INDEX by_name ON dbo.t (name, a DESC) INCLUDE (id) WHERE name IS NOT NULL",
    "DROP INDEX by_a ON dbo.t",
    "CREATE TABLE dbo.u (id int IDENTITY(1, 1) NOT NULL CONSTRAINT u_key PRIMARY KEY, at datetime2(3) NULL)",
    "ALTER VIEW dbo.v AS SELECT id, a FROM dbo.t",
    "CREATE PROCEDURE dbo.p AS SELECT 'it''s' AS a",
    "CREATE SEQUENCE dbo.s AS bigint START WITH 5 INCREMENT BY 2",
]


@pytest.fixture(scope="module")
def sql_server(mssql) -> Iterator[Bench]:
    with mssql.database() as url:
        bench = Bench(url)
        bench.run_all(*_SCENE_MSSQL)
        yield bench


@pytest.mark.parametrize("change", _CHANGES_MSSQL)
def test_on_sql_server_too(sql_server: Bench, change: str) -> None:
    there_and_back(sql_server, change)


# ------------------------------------------------------------ what is kept, and when


@pytest.fixture(params=["pg", "mariadb", "mssql"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with request.getfixturevalue(request.param).database() as url:
        yield Bench(url)


def deployed(bench: Bench) -> None:
    make = bench.make
    first = make.migration("001", "CREATE TABLE a (id int PRIMARY KEY, b int);", "DROP TABLE a;")
    done = bench.deploy(make.system(first))
    assert (done["error"], done["fingerprint"]) == (None, bench.fingerprint())


def told(bench: Bench) -> list[tuple[str, str, str]]:
    found = drift.read(bench.target)
    assert found["unknown"] == ""
    return [(item["what"], item["kind"], item["table"].rpartition(".")[2]) for item in found["changes"]]


def test_nothing_is_known_before_the_first_run(bench: Bench) -> None:
    found = drift.read(bench.target)
    assert (found["unknown"], found["new"]) == ("no run has kept the schema yet; the next one does", True)
    with pytest.raises(WindlassError, match="nothing was ever deployed"):
        drift.accept(bench.target, OPTIONS)


def test_a_run_keeps_the_schema_and_what_others_change_is_drift(bench: Bench) -> None:
    deployed(bench)
    assert told(bench) == []
    bench.run_all("ALTER TABLE a ADD c int", "ALTER TABLE a DROP COLUMN b")
    assert told(bench) == [("missing", "column", "a"), ("added", "column", "a")]
    found = drift.read(bench.target)
    assert found["known"]["run_id"] == "run" and found["known"]["who"] == "tester"
    run(bench, [item["undo"] for item in reversed(found["changes"])])
    assert told(bench) == []


def test_a_run_that_fails_keeps_what_stands_then(bench: Bench) -> None:
    deployed(bench)
    make = bench.make
    first = make.migration("001", "CREATE TABLE a (id int PRIMARY KEY, b int);", "DROP TABLE a;")
    broken = make.migration(
        "002", "-- windlass: no-transaction\nCREATE TABLE z (id int);\nSELECT nothing;", "DROP TABLE z;"
    )
    assert bench.deploy(make.system(first, broken))["error"]
    assert told(bench) == []


def test_a_run_that_was_cut_off_leaves_nothing_to_compare_with(bench: Bench) -> None:
    deployed(bench)
    bench.run_sql(f"UPDATE {bench.make.dialect.schema_table} SET head = 'another'")
    assert drift.read(bench.target)["unknown"] == "a run after run ended without keeping the schema"


def test_a_journal_of_before_gets_its_table(bench: Bench) -> None:
    deployed(bench)
    bench.run_sql(f"DROP TABLE {bench.make.dialect.schema_table}")
    make = bench.make
    first = make.migration("001", "CREATE TABLE a (id int PRIMARY KEY, b int);", "DROP TABLE a;")
    second = make.migration("002", "CREATE TABLE z (id int);", "DROP TABLE z;")
    assert bench.deploy(make.system(first, second))["error"] is None
    assert told(bench) == []


def test_drift_is_accepted_by_word(bench: Bench) -> None:
    deployed(bench)
    bench.run_sql("CREATE TABLE other (id int)")
    tried = drift.accept(bench.target, replace(OPTIONS, check_mode=True))
    assert tried["changes"] and told(bench)
    assert drift.accept(bench.target, OPTIONS)["changes"] == tried["changes"]
    assert told(bench) == []
    assert drift.accept(bench.target, OPTIONS)["changes"] == []
    with session.connect(bench.target) as opened:
        events = [event["event"] for event in journal.read_events(opened)]
    assert events.count("drift_accepted") == 1


def test_maintenance_keeps_its_own_changes_and_leaves_drift(bench: Bench) -> None:
    deployed(bench)
    bench.run_sql("CREATE TABLE theirs (id int)")
    job = maintain.Job("partitions", bench.make.read("CREATE TABLE ours (id int);", "maintenance/partitions.sql"))
    assert maintain.run(bench.target, [job], OPTIONS)["status"] == "done"
    assert {table for _, _, table in told(bench)} == {"theirs"}


def test_nobody_deploys_between_maintenances_look_and_its_keeping(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a deployment kept in between would be taken back, and nobody could tell drift until the next one."""
    deployed(bench)
    genuine, could = memory.recall, []

    def recall(own: session.Session) -> memory.Memory | None:
        found = genuine(own)
        with session.connect(bench.target) as deployer:
            could.append(deployer.dialect.try_lock(deployer.link))
        return found

    job = maintain.Job("partitions", bench.make.read("CREATE TABLE ours (id int);", "maintenance/partitions.sql"))
    monkeypatch.setattr(memory, "recall", recall)
    assert maintain.run(bench.target, [job], OPTIONS)["status"] == "done"
    assert could == [True, False], "before the jobs, and between look and keeping"
