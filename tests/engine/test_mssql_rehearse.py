"""Rehearsals on SQL Server: forth, back and forth again on a copy, under load, with known queries.

The copy is made by the SQL that made the original: servers that speak the protocol need not be able to BACKUP.  How a
backup becomes a copy there is tried in tests/unit/test_mssql_restore.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.mssql import SQLServer
from tests.systems import Bench, Maker
from windlass.telling import rehearsed as told
from windlass_engine import scratch
from windlass_engine.backups import restore
from windlass_engine.dialects import for_url
from windlass_engine.dialects.mssql.text import quoted
from windlass_engine.model import Options, Plan, Target
from windlass_engine.rehearsal import load as loading
from windlass_engine.rehearsal import rehearse

ROWS = 4096
MSSQL = Maker("mssql")
TABLE = (
    "CREATE TABLE dbo.bookings (id int NOT NULL PRIMARY KEY, note nvarchar(200) NULL)",
    "INSERT INTO dbo.bookings VALUES (1, REPLICATE(N'x', 40))",
    *(f"INSERT INTO dbo.bookings SELECT id + {2**n}, note FROM dbo.bookings" for n in range(12)),
)
UP = "ALTER TABLE dbo.bookings ADD paid bit NULL;\nGO\nUPDATE dbo.bookings SET paid = 0;\n"
WORK = "DECLARE @n int = 0;\nWHILE @n < 300000 SET @n = @n + 1;\n"
DOWN = "ALTER TABLE dbo.bookings DROP COLUMN paid;\n"


@pytest.fixture(autouse=True)
def _in_place_of_a_restore(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the copy by the same SQL, and let the load run alone for less long."""

    def beside(server: Target, path: str, name: str, *_: Any) -> dict[str, Any]:
        url = for_url(server.url).url_of_database(server.url, name)
        Bench(server.url).run_sql(f"CREATE DATABASE {quoted(name)}")
        Bench(url).run_all(*TABLE)
        return {"backup": path, "total_rows": ROWS, "duration_ms": 1}

    monkeypatch.setattr(restore, "beside", beside)
    monkeypatch.setattr(loading, "ALONE_S", 0.5)


@pytest.fixture
def original(mssql: SQLServer) -> Iterator[Bench]:
    with mssql.database() as url:
        bench = Bench(url)
        bench.run_all(*TABLE)
        yield bench


def rehearsed(original: Bench, up: str, down: str, **more: Any) -> dict[str, Any]:
    plan: Plan = original.plan(MSSQL.system(MSSQL.migration("001_change", up, down)))
    asked = rehearse.Rehearsal("the same SQL", plan, **more)
    found = rehearse.run(original.target, asked, Options("run", "tester", "here"), lambda _: None)
    left = original.query(f"SELECT name FROM sys.databases WHERE LEFT(name, 17) = '{scratch.PREFIX}'")
    assert left == [], "the scratch database goes"
    return found


def test_forth_back_and_forth_again(original: Bench) -> None:
    checks = [
        MSSQL.read("-- check: all known\nSELECT CAST(id AS varchar(9)) FROM dbo.bookings WHERE paid IS NULL;", "c.sql")
    ]
    queries = [MSSQL.read("SELECT COUNT(*) FROM dbo.bookings WHERE id < 50;", "sql/test/queries/first.sql")]
    found = rehearsed(original, UP, DOWN, checks=checks, queries=queries)
    assert found["failed"] == ""
    assert [part["what"] for part in found["parts"]] == ["the plan", "the way back", "the plan again"]
    _, updated = found["parts"][0]["statements"]
    assert (updated["line"], updated["rows"]) == (3, ROWS)
    assert [check["name"] for check in found["checks"] if not check["failures"]] == ["all known"]
    assert [query["name"] for query in found["queries"]] == ["first.sql"]
    columns = "SELECT name FROM sys.columns WHERE object_id = OBJECT_ID('dbo.bookings')"
    assert {str(name) for (name,) in original.query(columns)} == {"id", "note"}, "the original is as it was"


def test_the_load_is_measured_and_what_the_server_tells_of_locks_is_told(original: Bench) -> None:
    slow = f"ALTER TABLE dbo.bookings ADD paid bit NULL;\nGO\n{WORK}"
    load = [MSSQL.read("SELECT COUNT(*) FROM dbo.bookings WHERE id < 50;", "sql/test/load/reads.sql")]
    found = rehearsed(original, slow, DOWN, load=load, workers=2)
    part, felt = found["parts"][0], found["load"]
    assert (found["failed"], felt["errors"]) == ("", [])
    assert felt["during"]["calls"] > 0 and felt["alone"]["calls"] > 0
    assert [statement["line"] for statement in part["statements"]] == [1, 3]
    if part["locks"] is None:
        assert "VIEW SERVER STATE" in part["lock_note"] and felt["waits"] is None
        assert any("not known" in text for text, _ in told.lines("here d", found))
    else:
        assert (part["longest_block"]["table"], part["longest_block"]["blocks"]) == ("dbo.bookings", "reads and writes")
        assert "001_change, line 1" in {wait["whom"] for wait in felt["waits"]}


@pytest.mark.parametrize(
    ("up", "down", "words"),
    [
        ("ALTER TABLE dbo.nowhere ADD a int NULL;\n", "SELECT 1 AS x;\n", "the plan fails"),
        ("CREATE TABLE dbo.b (id int);\n", "DROP TABLE dbo.nowhere;\n", "the way back fails"),
        ("CREATE TABLE dbo.b (id int);\n", "SELECT 1 AS x;\n", "the way back does not lead to the schema of before"),
    ],
)
def test_what_would_go_wrong_is_said(original: Bench, up: str, down: str, words: str) -> None:
    assert words in rehearsed(original, up, down)["failed"]
