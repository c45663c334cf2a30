"""How a SQL Server will do a schema change: by edition, and by the column that stands."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.risk import Assessment, Pending
from windlass_engine import dialects
from windlass_engine.dialects.mssql import changes, weighing
from windlass_engine.dialects.mssql.changes import Change
from windlass_engine.model import to_wire

ENTERPRISE, STANDARD = 3, 2
ROWS = 4_000_000
#: Columns of dbo.t: name, type, bytes, precision, scale, may be empty.
COLUMNS = [
    ("name", "nvarchar", 100, 0, 0, 1), ("code", "char", 10, 0, 0, 0), ("total", "int", 4, 10, 0, 1),
    ("price", "decimal", 9, 18, 0, 0), ("blob", "varbinary", 8, 0, 0, 1),
]  # fmt: skip


class Server:
    """A server of an edition, with one table."""

    def __init__(self, edition: int = ENTERPRISE, holders: tuple[str, ...] = ()) -> None:
        self.edition, self.holders = edition, holders

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        if "EngineEdition" in sql:
            return [(self.edition,)]
        if "N'index '" in sql:
            return [(name,) for name in self.holders]
        if "is_nullable" in sql:
            return [("dbo.t", *column) for column in COLUMNS]
        return [("dbo.t", ROWS, 400_000_000)] if "total_pages" in sql else []


def ways(sql: str, edition: int = ENTERPRISE, holders: tuple[str, ...] = ()) -> list[str]:
    [found] = weighing.weigh(Server(edition, holders), [sql])  # type: ignore[arg-type]
    return [fact.way or fact.note for fact in found]


@pytest.mark.parametrize(
    ("column", "way"),
    [
        ("name nvarchar(60) NULL", weighing.CATALOGUE),
        ("name nvarchar(50)", weighing.CATALOGUE),
        ("name nvarchar(20) NULL", weighing.READS),
        ("name nvarchar(60) NOT NULL", weighing.READS),
        ("name nvarchar(max) NULL", weighing.WRITES),
        ("name varchar(50) NULL", weighing.WRITES),
        ("code char(12) NOT NULL", weighing.WRITES),
        ("code char(10) NULL", weighing.CATALOGUE),
        ("total integer NOT NULL", weighing.READS),
        ("total bigint NULL", weighing.WRITES),
        ("price decimal NOT NULL", weighing.CATALOGUE),
        ("price numeric(18, 0) NOT NULL", weighing.CATALOGUE),
        ("total bigint NULL WITH (ONLINE = ON)", weighing.ONLINE),
    ],
)
def test_another_type_for_a_column(column: str, way: str) -> None:
    assert ways(f"ALTER TABLE dbo.t ALTER COLUMN {column}") == [way]


def test_what_is_not_known_is_not_said() -> None:
    for sql in (
        "ALTER TABLE dbo.t ALTER COLUMN name nvarchar(60) COLLATE Latin1_General_BIN2 NULL",
        "ALTER TABLE dbo.t ALTER COLUMN name dbo.OwnType NULL",
        "ALTER TABLE dbo.t ALTER COLUMN nobody int NULL",
        "ALTER TABLE dbo.t ALTER COLUMN name ADD SPARSE",
        "ALTER TABLE dbo.other ALTER COLUMN name int NULL",
        "ALTER TABLE dbo.t ADD a int NULL, b int NOT NULL DEFAULT NEWID(), c xml NOT NULL DEFAULT ''",
        "CREATE INDEX i ON dbo.t (name)",
        "SELECT 'never ends",
    ):
        assert ways(sql) == [], sql


@pytest.mark.parametrize(("edition", "way"), [(ENTERPRISE, weighing.CATALOGUE), (STANDARD, weighing.WRITES)])
def test_a_column_with_a_value_for_all_rows_depends_on_the_edition(edition: int, way: str) -> None:
    guarded = (
        "IF COL_LENGTH(N'dbo.t', N'state') IS NULL\n    ALTER TABLE dbo.t ADD state tinyint NOT NULL\n"
        "        CONSTRAINT DF_t_state DEFAULT (0), seen datetime2 NOT NULL DEFAULT SYSUTCDATETIME(), note text NULL;"
    )
    assert ways(guarded, edition) == [way, way]


def test_an_edition_that_does_not_build_online_says_so() -> None:
    by_text = "EXEC sys.sp_executesql N'CREATE INDEX i ON dbo.t (name) WITH (ONLINE = ON)'"
    assert ways(by_text, STANDARD) == ["this edition refuses ONLINE = ON"]
    assert ways(by_text, ENTERPRISE) == [weighing.ONLINE]


def test_a_column_that_something_stands_on() -> None:
    sql = "ALTER TABLE dbo.t DROP COLUMN IF EXISTS name, code"
    assert ways(sql, holders=("index i", "default d")) == [
        "stands on it today, and has to go first: index i, default d",
    ] * 2  # fmt: skip
    assert ways(sql) == []


def test_statements_end_where_the_next_begin() -> None:
    sql = (
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES o (id) ON DELETE SET NULL ON UPDATE CASCADE "
        "ALTER TABLE t ALTER COLUMN a int NOT NULL\nIF 1 = 1 ALTER TABLE u DROP COLUMN b"
    )
    assert list(changes.in_batch(sql)) == [Change("alter", ("t",), "a", "int", False), Change("drop", ("u",), "b")]


@pytest.mark.parametrize(
    ("edition", "risk"),
    [(ENTERPRISE, ("zero", "Sch-M", 0, "")), (STANDARD, ("high", "Sch-M", 20000, ""))],
)
def test_the_risk_is_that_of_the_edition(edition: int, risk: tuple[str, str, int, str]) -> None:
    sql = "ALTER TABLE dbo.t ADD state int NOT NULL CONSTRAINT d DEFAULT 0, note nvarchar(20) NULL"
    assessment = Assessment("tsql", [Pending(0, 1, sql)])
    said = to_wire(weighing.weigh(Server(edition), [sql]))  # type: ignore[arg-type]
    (_, state), (_, note) = assessment.risks({"dbo.t": {"rows": ROWS, "bytes": 400_000_000}}, said)
    assert (state["class"], state["lock"], state["estimate_ms"], state["note"]) == risk
    assert (note["class"], note["estimate_ms"]) == ("zero", 0), "the other column is its own matter"


def test_what_is_done_to_a_new_table_needs_no_warning() -> None:
    made = [
        Pending(0, 1, "CREATE TABLE dbo.n (id int)"),
        Pending(0, 2, "ALTER TABLE dbo.n ADD a int NOT NULL DEFAULT 0"),
    ]
    (_, _), (_, added) = Assessment("tsql", made).risks({})
    assert (added["class"], added["note"]) == ("zero", "")
    (_, standing) = Assessment("tsql", made[1:]).risks({"dbo.n": {"rows": 1, "bytes": 8192}})[0]
    assert "except on Enterprise" in standing["note"]


def test_no_scratch_database_is_needed() -> None:
    assert "foresees" in dialects.get("mssql").capabilities
    assert dialects.get("mssql").weigh(Server(), "", ["SELECT 1"]) == [()]  # type: ignore[arg-type]
