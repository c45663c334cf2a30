"""What is SQL Server's alone: batches, settings, TRY … CATCH, the lock, encryption."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest

from tests.systems import Bench, take_lock
from windlass_engine import session
from windlass_engine.errors import WindlassError
from windlass_engine.model import Target, Wire


@pytest.fixture
def bench(mssql) -> Iterator[Bench]:
    with mssql.database() as url:
        yield Bench(url)


def deployed(bench: Bench, up: str) -> Wire:
    return bench.deploy(bench.make.system(bench.make.migration("001_it", up)))


def count(bench: Bench, table: str = "dbo.t") -> int:
    return int(bench.query(f"SELECT COUNT(*) FROM {table}")[0][0])


def test_go_repeats_a_batch_and_is_left_alone_in_strings_and_comments(bench: Bench) -> None:
    up = (
        "GO\nCREATE TABLE dbo.t (id int IDENTITY(1, 1) NOT NULL, note varchar(40) NOT NULL);\nGO\n"
        "INSERT INTO dbo.t (note) VALUES ('a\nGO\nb'); /* it's\nGO\n*/\nGO 5\n"
        "CREATE PROCEDURE dbo.p AS SELECT 1 AS a;\nGO"
    )
    assert deployed(bench, up)["error"] is None
    assert bench.query("SELECT COUNT(*), MIN(LEN(note)) FROM dbo.t") == [(5, 6)]


def test_a_failure_in_any_batch_undoes_all_and_is_told_with_its_line(bench: Bench) -> None:
    up = "CREATE TABLE dbo.t (id int NOT NULL);\nGO\n\nINSERT INTO dbo.t VALUES (1);\nGO\n\n-- why\nSELECT\n  id\nFROM dbo.nowhere;\n"
    error = deployed(bench, up)["error"]
    assert error["where"]["file"].endswith("001_it/up.sql") and error["where"]["line"] in (8, 10)
    assert "nowhere" in error["message"]
    with pytest.raises(session.ServerError):
        count(bench)


def test_a_setting_reaches_not_even_the_next_batch(bench: Bench) -> None:
    up = (
        "CREATE TABLE dbo.t (id int NOT NULL);\nINSERT INTO dbo.t VALUES (1), (2), (3);\nGO\n"
        "SET ROWCOUNT 1; SET XACT_ABORT OFF; SET QUOTED_IDENTIFIER OFF; SET NOCOUNT ON; SET DATEFIRST 3;\nGO\n"
        "SELECT id INTO dbo.seen FROM dbo.t;\n"
        'SELECT "id" INTO dbo.quoted FROM dbo.t;\n'
        "SELECT @@DATEFIRST AS first INTO dbo.first;\n"
    )
    assert deployed(bench, up)["error"] is None
    assert count(bench, "dbo.seen") == count(bench, "dbo.quoted") == 3
    assert bench.query("SELECT first FROM dbo.first") == [(7,)]


def test_what_catch_swallows_is_never_half_of_a_migration(bench: Bench) -> None:
    up = (
        "CREATE TABLE dbo.t (id int NOT NULL CONSTRAINT t_key PRIMARY KEY);\nGO\n"
        "BEGIN TRY INSERT INTO dbo.t VALUES (1); INSERT INTO dbo.t VALUES (1); END TRY\n"
        "BEGIN CATCH SELECT ERROR_MESSAGE() AS hidden; END CATCH;\nGO\nINSERT INTO dbo.t VALUES (2);\n"
    )
    error = deployed(bench, up)["error"]
    if error is None:  # the server kept the transaction: then all of the script stands
        assert count(bench) >= 1 and bench.states() == {"001_it": "applied"}
    else:
        assert bench.states() == {}
        with pytest.raises(session.ServerError):
            count(bench)


def test_the_lock_belongs_to_the_session(bench: Bench) -> None:
    with session.connect(bench.target) as one, session.connect(bench.target) as two:
        assert one.dialect.try_lock(one.link)
        one.run([*one.dialect.begin(0, 0), "ROLLBACK"])
        assert not two.dialect.try_lock(two.link), "no transaction ends it"
        one.link.close()
        take_lock(two)  # the session does


def test_a_certificate_that_nobody_vouches_for_is_refused_unless_the_url_says_so(bench: Bench) -> None:
    parts = urlsplit(bench.target.url)
    options = dict(parse_qsl(parts.query))
    if options.get("trust_server_certificate") != "yes":
        pytest.skip("the server's certificate is one that this host trusts")
    del options["trust_server_certificate"]
    strict = urlunsplit(parts._replace(query=urlencode(options)))
    with pytest.raises(WindlassError) as refused, session.connect(Target("strict", "test", strict)):
        pass
    assert refused.value.code == "database_unreachable" and "trust_server_certificate" in refused.value.hint
    assert str(parts.password) not in str(refused.value)
