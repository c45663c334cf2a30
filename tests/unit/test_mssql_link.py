"""What travels to a SQL Server, and what is made of its answers: with a driver that only writes down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlglot

from tests.systems import Maker
from windlass_engine import dialects
from windlass_engine.dialects.link import ServerError
from windlass_engine.dialects.mssql import (
    address,
    catalogue,
    catalogue_rare,
    examination,
    facts,
    failures,
    gauge,
    locks,
    losses,
    measures,
    odbc,
    probing,
    weighing,
)
from windlass_engine.dialects.mssql.driver import SQLServerLink, version_number
from windlass_engine.dialects.mssql.own import Own
from windlass_engine.dialects.mssql.session_state import FIXED
from windlass_engine.errors import WindlassError
from windlass_engine.model import Archive, Loss, Options, Plan, Script, Step, Target

pyodbc = pytest.importorskip("pyodbc", reason="the driver is missing: pip install pyodbc", exc_type=ImportError)
MSSQL = dialects.get("mssql")


class Cursor:
    """A cursor whose every batch affects one row, unless the connection has an error for it."""

    description = None
    rowcount = 1
    messages: tuple[tuple[str, str], ...] = ()

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, batch: str) -> None:
        self._connection.sent.append(batch)
        for word, error in self._connection.errors.items():
            if word in batch:
                raise error

    def nextset(self) -> bool:
        return False

    def close(self) -> None:
        pass


class Connection:
    """A connection that writes down what it is given."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.errors: dict[str, Exception] = {}
        self.timeout = 0

    def cursor(self) -> Cursor:
        return Cursor(self)

    def add_output_converter(self, *_: Any) -> None:
        pass


@pytest.fixture
def wire() -> Iterator[tuple[SQLServerLink, Connection]]:
    connection = Connection()
    link = SQLServerLink(connection)
    yield link, connection
    link.close()


def test_own_statements_are_joined_and_each_batch_of_a_script_is_alone(wire: tuple[SQLServerLink, Connection]) -> None:
    link, connection = wire
    begin = MSSQL.begin(200, 1500)
    counts = link.run([*begin, "CREATE VIEW a AS SELECT 1 AS x", Own("INSERT 1"), Own("INSERT 2"), "COMMIT"])
    opening, batch, closing = connection.sent
    assert counts == [1, 1, 1, 0, 0]
    assert opening.startswith(FIXED) and "SET LOCK_TIMEOUT 200" in opening and opening.endswith("BEGIN TRANSACTION")
    assert batch == "CREATE VIEW a AS SELECT 1 AS x"
    assert closing.startswith(FIXED) and "@@TRANCOUNT <> 1" in closing and closing.endswith("INSERT 2\n;\nCOMMIT")
    assert connection.timeout == 2


def test_a_batch_does_not_grow_without_end(wire: tuple[SQLServerLink, Connection]) -> None:
    link, connection = wire
    assert len(link.run([*MSSQL.begin(0, 0), *(Own(f"INSERT {n}") for n in range(130)), "COMMIT"])) == 132
    assert len(connection.sent) == 3 and sum(batch.count("INSERT") for batch in connection.sent) == 130


def test_the_settings_are_fixed_before_each_batch(wire: tuple[SQLServerLink, Connection]) -> None:
    link, connection = wire
    for text in ("SET XACT_ABORT OFF", "CREATE VIEW b AS SELECT 1 AS x"):
        link.run(text)
    before, first, between, second = connection.sent
    assert (first, second) == ("SET XACT_ABORT OFF", "CREATE VIEW b AS SELECT 1 AS x")
    assert before == between and before.startswith(FIXED) and "@@TRANCOUNT <> 0" in before


def test_a_rollback_harms_nobody_where_the_server_was_first(wire: tuple[SQLServerLink, Connection]) -> None:
    link, connection = wire
    connection.errors = {
        "FAIL": pyodbc.Error("42000", "[42000] [Microsoft][ODBC][SQL Server]no (50000) (SQLExecDirectW)")
    }
    with pytest.raises(ServerError) as caught:
        link.run([*MSSQL.begin(0, 0), "FAIL", Own("INSERT"), "COMMIT"])
    assert (caught.value.results, caught.value.number, caught.value.message) == (1, 50000, "no")
    link.run("ROLLBACK")
    assert connection.sent[-1] == "IF @@TRANCOUNT > 0 ROLLBACK"
    link.run("SELECT 1")
    assert "@@TRANCOUNT <> 0" in connection.sent[-2]


def test_a_session_that_the_server_ends_is_lost_whatever_it_says_last(wire: tuple[SQLServerLink, Connection]) -> None:
    link, connection = wire
    connection.errors = {"RAISERROR": error("[42000] [Microsoft][ODBC][SQL Server]bye (50000) (SQLExecDirectW)")}
    with pytest.raises(ServerError) as caught:
        link.run("RAISERROR")
    assert not caught.value.lost
    connection.errors["SELECT 1"] = error("[08S01] [Microsoft][ODBC]Communication link failure (0) (SQLExecDirectW)")
    with pytest.raises(ServerError) as caught:
        link.run("RAISERROR")
    assert (caught.value.lost, caught.value.message) == (True, "bye")


@pytest.mark.parametrize(
    ("sql", "again"),
    [
        ("SELECT name FROM windlass.migrations", True),
        ("WITH a AS (SELECT 1 AS x) SELECT x FROM a", True),
        ("SELECT 1 AS x INTO a", False),
        ("EXEC sys.sp_getapplock N'x'", False),
        ("DELETE FROM a OUTPUT deleted.x", False),
    ],
)
def test_a_query_whose_failure_has_no_words_is_asked_once_more(
    wire: tuple[SQLServerLink, Connection], sql: str, again: bool
) -> None:
    link, connection = wire
    connection.errors = {sql: pyodbc.Error("HY000", "The driver did not supply an error!")}
    with pytest.raises(ServerError, match="did not supply"):
        link.query(sql)
    assert connection.sent.count(sql) == (2 if again else 1)
    link.run(MSSQL.begin(0, 0))
    with pytest.raises(ServerError):
        link.query(sql)
    assert connection.sent.count(sql) == (3 if again else 2), "in a transaction nothing is tried again"


def test_a_read_only_transaction_lets_no_change_through(wire: tuple[SQLServerLink, Connection]) -> None:
    link, connection = wire
    link.run(MSSQL.begin(0, 0, read_only=True))
    with pytest.raises(ServerError, match=r"read-only.*DELETE"):
        link.run("DELETE FROM t")
    assert not any("DELETE" in batch for batch in connection.sent)
    link.run("ROLLBACK")
    link.run("DELETE FROM t")


def error(*records: str) -> Exception:
    raised: Exception = pyodbc.Error(records[0][1:6], "; ".join(records))
    return raised


def test_an_error_is_taken_apart() -> None:
    told = failures.server_error(
        error(
            "[42S02] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Invalid object name 'dbo.nowhere'. (208) (SQLExecDirectW)",
            "[42000] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Statement(s) could not be prepared. (8180)",
        ),
        "INSERT INTO\n  [nowhere] VALUES ('nowhere')",
        ["step 1"],
    )
    assert (told.message, told.state, told.number) == ("Invalid object name 'dbo.nowhere'.", "42S02", 208)
    assert told.position == len("INSERT INTO\n  ") + 1 and told.detail == "printed before: step 1" and not told.lost


def test_an_error_behind_an_echo_and_with_brackets_in_it() -> None:
    told = failures.server_error(
        error(
            "[42000] [Microsoft][ODBC][SQL Server]Could not create constraint or index. See previous errors. (1750) (SQLExecDirectW)",
            "[42000] [Microsoft][ODBC][SQL Server]Column [a] (x); is no key (1776)",
        ),
        "",
    )
    assert (told.number, told.message) == (1776, "Column [a] (x); is no key")


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        (
            "[08S01] [Microsoft][ODBC Driver 18 for SQL Server]TCP Provider: Error code 0x68 (104) (SQLExecDirectW)",
            True,
        ),
        ("[HY000] [Microsoft][ODBC][SQL Server]the session is in the kill state. (596) (SQLExecDirectW)", True),
        ("[42000] [Microsoft][ODBC][SQL Server]Lock request time out period exceeded. (1222) (SQLExecDirectW)", False),
    ],
)
def test_a_lost_connection_is_told_apart(text: str, lost: bool) -> None:
    told = failures.server_error(error(text), "SELECT 1")
    assert told.lost is lost and MSSQL.is_lock_failure(told) is not lost
    assert failures.server_error(pyodbc.ProgrammingError("Attempt to use a closed connection."), "SELECT 1").lost


def string(url: str, password: str = "") -> str:
    return address.microsoft(address.of_target(Target("t", "t", url, password)), "/x/lib.so", "windlass")


def test_a_connection_is_encrypted_and_the_server_verified_unless_the_url_says_otherwise() -> None:
    told = string("mssql://deploy@db1/shop", "p}w;d")
    assert "SERVER={tcp:db1,1433}" in told and "DATABASE={shop}" in told and "PWD={p}}w;d}" in told
    assert "Encrypt={yes};TrustServerCertificate={no}" in told and "ConnectRetryCount={0}" in told
    assert "TrustServerCertificate={yes}" in string("sqlserver://a@h:99/d?trust_server_certificate=yes")
    assert "SERVER={tcp:h\\two}" in string("mssql://a@h/d?instance=two") and "Encrypt={strict}" in string(
        "mssql://a@h/d?encrypt=strict"
    )
    assert "Trusted_Connection={yes}" in string("mssql://h/d") and "PWD" not in string("mssql://h/d")


@pytest.mark.parametrize(
    "url",
    [
        "mssql://a:s3cret@h",
        "mssql://a:s3cret@h:x/d",
        "mssql://a:s3cret@h/d?nonsense=1",
        "mssql://a:s3cret@h/d?encrypt=maybe",
        "mssql://a:s3cret@h/d?trust_server_certificate=1",
    ],
)
def test_a_url_that_cannot_be_used_is_not_repeated(url: str) -> None:
    with pytest.raises(WindlassError) as caught:
        string(url)
    assert caught.value.code == "inventory_invalid" and "s3cret" not in str(caught.value.to_wire())


def test_freetds_is_used_only_where_nobody_has_to_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(odbc, "find", lambda _: odbc.Driver("/x/libtdsodbc.so", "FreeTDS", True))
    with pytest.raises(WindlassError) as caught:
        MSSQL.connect(Target("t", "t", "mssql://a@127.0.0.1:1/d"), "windlass", 1)
    assert caught.value.code == "driver_missing" and "trust_server_certificate=yes" in caught.value.hint
    at = address.of_target(Target("t", "t", "mssql://a@127.0.0.1:1/d?trust_server_certificate=yes"))
    assert "PORT={1}" in address.freetds(at, "x", "windlass") and "Encryption={require}" in address.freetds(
        at, "x", "windlass"
    )


def test_no_driver_at_all_is_told_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(odbc, "find", lambda _: None)
    with pytest.raises(WindlassError) as caught:
        MSSQL.connect(Target("t", "t", "mssql://a@127.0.0.1:1/d"), "windlass", 1)
    assert caught.value.code == "driver_missing" and "prepare.yml" in caught.value.hint
    assert MSSQL.driver().status == "fail"


def test_versions() -> None:
    assert [version_number(text) for text in ("16.0.4135.4", "10.50.6000.34", "13.0.4001.0")] == [
        160000,
        105000,
        130000,
    ]


def test_a_module_reads_the_same_however_it_was_made() -> None:
    body = "dbo.p AS SELECT 1"
    made = {
        catalogue.created(f"-- why\n{head} PROCEDURE {body}\n")
        for head in ("CREATE", "ALTER", "create or  alter", "CREATE  ")
    }
    assert made == {f"-- why\nCREATE PROCEDURE {body}"}


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (("nvarchar", 100, 0, 0), "nvarchar(50)"),
        (("varchar", -1, 0, 0), "varchar(max)"),
        (("decimal", 9, 18, 2), "decimal(18,2)"),
        (("datetime2", 8, 27, 7), "datetime2(7)"),
        (("int", 4, 10, 0), "int"),
        (("float", 4, 24, 0), "float(24)"),
    ],
)
def test_types_are_written_as_people_do(column: tuple[str, int, int, int], text: str) -> None:
    assert catalogue.type_text(*column) == text


TABLES = {
    1: losses._Table("[dbo].[Person]", "Person", ()), 2: losses._Table("[dbo].[town]", "town", ()),
}  # fmt: skip


def down(text: str) -> Script:
    return Maker("mssql").read(text, "down.sql")


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("DELETE FROM dbo.person WHERE id = 1", {1}),
        ("UPDATE p SET a = 1 FROM [Person] p JOIN town ON 1 = 1", {1, 2}),
        ("DECLARE @s nvarchar(99) = N'TRUNCATE TABLE ' + N'[dbo].[town]'; EXEC sys.sp_executesql @s", {2}),
        ("ALTER TABLE person DROP COLUMN a", set()),
        ("ALTER TABLE person ADD FOREIGN KEY (a) REFERENCES town ON DELETE CASCADE", set()),
        ("UPDATE STATISTICS person", set()),
        ("CREATE OR ALTER PROCEDURE p AS DELETE FROM person", set()),
        ("EXEC sp_rename 'person.a', 'b'", set()),
        ("sys.sp_rename 'person.a', 'b'", set()),
    ],
)
def test_what_a_down_script_may_change(text: str, changed: set[int]) -> None:
    assert losses._changed(down(text), TABLES) == changed


def test_a_call_does_not_tell_what_it_changes() -> None:
    for call in ("EXEC dbo.clean_up", "EXECUTE @r = [clean_up] 1", "dbo.clean_up 1"):
        with pytest.raises(ServerError, match="clean_up"):
            losses._changed(down(call), TABLES)


@pytest.mark.parametrize(
    ("kind", "identity", "definition", "table"),
    [
        ("column", "dbo.[a.b].c", "int", "dbo.[a.b]"),
        ("constraint", "dbo.t.(check ([a]>(1.5)))", "check", "dbo.t"),
        ("trigger", "dbo.g", "on dbo.t disabled\nCREATE TRIGGER", "dbo.t"),
        ("view", "dbo.v", "CREATE VIEW", ""),
    ],
)
def test_objects_belong_to_tables(kind: str, identity: str, definition: str, table: str) -> None:
    assert MSSQL.table_of((kind, identity), {(kind, identity): definition}) == table


class Catalogue:
    """A link whose catalogue has what is named."""

    def __init__(self, *there: str) -> None:
        self.there = there

    def query(self, sql: str) -> list[tuple[int]]:
        return [(1,)] if any(name in sql for name in self.there) else []


@pytest.mark.parametrize(
    ("sql", "there", "took_effect"),
    [
        ("CREATE DATABASE [x y]", ["N'x y'"], True),
        ("CREATE DATABASE x", [], False),
        ("DROP DATABASE IF EXISTS x", [], True),
        ("ALTER DATABASE CURRENT SET RECOVERY SIMPLE", [], False),
        ("ALTER DATABASE x MODIFY NAME = y", [], None),
        ("CREATE FULLTEXT CATALOG c", ["fulltext_catalogs"], True),
        ("CREATE FULLTEXT INDEX ON dbo.t (a) KEY INDEX k", [], False),
        ("DROP FULLTEXT INDEX ON dbo.t", ["fulltext_indexes"], False),
        ("CREATE INDEX i ON dbo.t (a) WITH (ONLINE = ON, RESUMABLE = ON)", ["sys.indexes"], True),
        ("CREATE INDEX i ON dbo.t (a) WITH (ONLINE = ON, RESUMABLE = ON)", ["index_resumable_operations"], None),
        ("CREATE TABLE t (a int PRIMARY KEY NONCLUSTERED) WITH (MEMORY_OPTIMIZED = ON)", ["OBJECT_ID(N'[t]')"], True),
        ("BACKUP DATABASE x TO DISK = 'y'", [], False),
        ("EXEC sys.sp_configure 'x', 1", [], False),
        ("IF 1 = 1 CREATE DATABASE x", ["N'x'"], None),
        ("CREATE DATABASE x; CREATE DATABASE y", ["N'x'"], None),
    ],
)
def test_an_interrupted_statement_is_judged_by_the_catalogue(
    sql: str, there: list[str], took_effect: bool | None
) -> None:
    assert MSSQL.settle(Catalogue(*there), sql) is took_effect  # type: ignore[arg-type]


def own_sql() -> Iterator[str]:
    """Everything that Windlass says to a SQL Server by itself, as far as it is not made on the spot."""
    make = Maker("mssql")
    migration = make.migration(
        "001_it's", "CREATE TABLE t (a int)\nGO\nSELECT 'x\\\n'", "DROP TABLE t", "-- check: a\nSELECT 1"
    )
    plan = Plan("h", "d", "s", "up", "")
    options = Options("run", "me", "here")
    step = Step("apply", "migration", migration.name, "new", migration.up, down=migration.down, verify=migration.verify)
    journal = MSSQL.journal
    # Arguments by name, which CREATE SCHEMA and the table's comment need, are more than the parser knows.
    yield from (sql for sql in journal.create() if "EXEC" not in sql)
    yield from journal.applied(plan, step, options)
    yield from journal.reverted(plan, step, options)
    yield from journal.opened(plan, step, options)
    yield from (journal.read(["a"]), journal.events(5), journal.last_events("applied"), journal.read_position(step, 1))
    yield from (
        journal.statement_started(step, 1, "d"),
        journal.statement_done(step, 1, "d", 3),
        journal.position(step, 1, "k", 2),
    )
    yield from MSSQL.begin(200, 0)
    yield MSSQL.last_of_batch("[t]", "[id]", "WHERE [id] > N'1'", 10)
    loss = Loss("columns", "[dbo].[t]", ("a", "b"), ("id", "no"), True)
    archive = Archive("x_1", "run", "001", "columns", loss.table, loss.columns, loss.keys, "kept")
    archives = MSSQL.archives
    yield from (*archives.catch_up(archive, loss)[1:], *archives.counted("x"), *archives.finish("001", "run"))
    yield from (archives.listing("state = N'kept'"), archives.size("x"), archives.highest("x"))
    for module in (catalogue, catalogue_rare, examination, facts, gauge, locks, losses, measures, probing, weighing):
        for name, value in vars(module).items():
            if name.startswith("_") and isinstance(value, str) and value.strip().startswith(("SELECT", "IF")):
                named = value.replace("{name}", "N'x'").replace("{table}", "N'[t]'").replace("{column}", "N'a'")
                yield named.replace("{pid:d}", "55").replace("{names}", "SELECT N't' AS name, OBJECT_ID(N't') AS id")


def test_what_windlass_says_is_t_sql() -> None:
    said = list(own_sql())
    assert len(said) > 45
    for sql in said:
        for statement in sqlglot.parse(sql, read="tsql", error_level=sqlglot.ErrorLevel.RAISE):
            assert statement is None or statement.sql(dialect="tsql")


def test_own_statements_stand_in_one_batch() -> None:
    """A variable may be declared once a batch, so what is joined must not declare it twice."""
    joined = "\n;\n".join([*MSSQL.begin(0, 0), *MSSQL.journal.create(), *MSSQL.own_session()])
    declared = [line.split()[1] for line in joined.split("DECLARE ")[1:] for line in [f"DECLARE {line}"]]
    assert len(declared) == len(set(declared)) == 1
