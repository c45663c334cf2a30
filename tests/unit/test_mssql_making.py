"""The SQL that makes, drops and changes SQL Server's objects, from the catalogue's words."""

from __future__ import annotations

import pytest
import sqlglot

from windlass_engine import dialects
from windlass_engine.dialects.answers import Objects
from windlass_engine.schema import comparison
from windlass_engine.schema.introspect import Schema

MSSQL = dialects.get("mssql")
#: (kind, identity, definition, what makes it)
MADE = [
    ("column", "dbo.t.a", "nvarchar(50) collate Latin1_General_BIN2 not null default (N'x') named DF_a",
     "ALTER TABLE [dbo].[t] ADD [a] nvarchar(50) COLLATE Latin1_General_BIN2 NOT NULL CONSTRAINT [DF_a] DEFAULT (N'x')"),
    ("column", "dbo.t.[b c]", "int not null identity(1, 1)", "ALTER TABLE [dbo].[t] ADD [b c] int IDENTITY(1, 1) NOT NULL"),
    ("column", "dbo.t.g", "uniqueidentifier rowguidcol", "ALTER TABLE [dbo].[t] ADD [g] uniqueidentifier NULL ROWGUIDCOL"),
    ("column", "dbo.t.s", "as ([a]+[b]) persisted not null", "ALTER TABLE [dbo].[t] ADD [s] AS ([a]+[b]) PERSISTED NOT NULL"),
    ("index", "dbo.t.i", "unique nonclustered (a, [b c] desc) include (Order) where ([a] IS NOT NULL) fill factor 80 padded",
     "CREATE UNIQUE NONCLUSTERED INDEX [i] ON [dbo].[t] ([a], [b c] DESC) INCLUDE ([Order]) WHERE ([a] IS NOT NULL) "
     "WITH (FILLFACTOR = 80, PAD_INDEX = ON)"),
    ("constraint", "dbo.t.pk", "primary key clustered (a, b desc)",
     "ALTER TABLE [dbo].[t] ADD CONSTRAINT [pk] PRIMARY KEY CLUSTERED ([a], [b] DESC)"),
    ("constraint", "dbo.t.(unique a)", "unique nonclustered (a)", "ALTER TABLE [dbo].[t] ADD UNIQUE NONCLUSTERED ([a])"),
    ("constraint", "dbo.t.f", "foreign key (a) references dbo.o (id) on delete cascade on update set null not trusted",
     "ALTER TABLE [dbo].[t] WITH NOCHECK ADD CONSTRAINT [f] FOREIGN KEY ([a]) REFERENCES [dbo].[o] ([id]) "
     "ON DELETE CASCADE ON UPDATE SET NULL"),
    ("constraint", "dbo.t.c", "check ([a]>(0))", "ALTER TABLE [dbo].[t] ADD CONSTRAINT [c] CHECK ([a]>(0))"),
    ("sequence", "dbo.q", "bigint start 1 increment 2 minimum 1 maximum 99 cycle cache 10",
     "CREATE SEQUENCE [dbo].[q] AS bigint START WITH 1 INCREMENT BY 2 MINVALUE 1 MAXVALUE 99 CYCLE CACHE 10"),
    ("sequence", "dbo.q", "int start 1 increment 1 minimum 1 maximum 9 no cache",
     "CREATE SEQUENCE [dbo].[q] AS int START WITH 1 INCREMENT BY 1 MINVALUE 1 MAXVALUE 9 NO CYCLE NO CACHE"),
    ("synonym", "dbo.y", "[other].[dbo].[t]", "CREATE SYNONYM [dbo].[y] FOR [other].[dbo].[t]"),
    ("statistics", "dbo.t.s", "(a, b) norecompute", "CREATE STATISTICS [s] ON [dbo].[t] ([a], [b]) WITH NORECOMPUTE"),
    ("view", "dbo.v", "-- why\nCREATE VIEW dbo.v AS SELECT 'x' AS a",
     "EXEC sys.sp_executesql N'-- why\nCREATE VIEW dbo.v AS SELECT ''x'' AS a'"),
    ("trigger", "dbo.r", "on dbo.t\nCREATE TRIGGER dbo.r ON dbo.t AFTER INSERT AS RETURN",
     "EXEC sys.sp_executesql N'CREATE TRIGGER dbo.r ON dbo.t AFTER INSERT AS RETURN'"),
    ("schema", "app", "owner dbo", "EXEC sys.sp_executesql N'CREATE SCHEMA [app] AUTHORIZATION [dbo]'"),
]  # fmt: skip
#: What the catalogue's words leave out.
BY_HAND = [
    ("column", "dbo.t.v", "datetime2(7) not null generated always 1 hidden"),
    ("index", "dbo.t.i", "clustered columnstore ()"),
    ("index", "dbo.t.i", "nonclustered (a) disabled"),
    ("index", "dbo.t.i", "nonclustered (a) on elsewhere"),
    ("constraint", "dbo.t.f", "foreign key (a) references dbo.o (id) disabled"),
    ("trigger", "dbo.r", "on dbo.t disabled\nCREATE TRIGGER dbo.r ON dbo.t AFTER INSERT AS RETURN"),
    ("procedure", "dbo.p", "ansi_nulls off\nCREATE PROCEDURE dbo.p AS RETURN"),
    ("procedure", "dbo.p", "(not shown)"),
    ("type", "dbo.y", "table"),
    ("grant", "select on table dbo.t to r", "grant"),
]


@pytest.mark.parametrize(("kind", "identity", "definition", "sql"), MADE, ids=[f"{c[0]} {c[1]}" for c in MADE])
def test_what_makes_an_object(kind: str, identity: str, definition: str, sql: str) -> None:
    key = (kind, identity)
    assert MSSQL.create_object(key, {key: definition}) == sql
    assert sqlglot.parse(sql, read="tsql", error_level=sqlglot.ErrorLevel.RAISE)


@pytest.mark.parametrize(("kind", "identity", "definition"), BY_HAND)
def test_what_has_to_be_done_by_hand(kind: str, identity: str, definition: str) -> None:
    key = (kind, identity)
    assert MSSQL.create_object(key, {key: definition}) == ""
    assert MSSQL.change_object(key, {key: "other"}, {key: definition}) == ""


TABLE: Objects = {
    ("table", "dbo.t"): "",
    ("column", "dbo.t.id"): "int not null identity(1, 1)",
    ("column", "dbo.t.state"): "int not null default ((0))",
    ("constraint", "dbo.t.pk"): "primary key clustered (id)",
    ("index", "dbo.t.by_state"): "nonclustered (state)",
}


def schema(objects: Objects) -> Schema:
    return Schema(tuple((kind, name, text) for (kind, name), text in sorted(objects.items())))


def differences(before: Objects, after: Objects) -> list[comparison.Difference]:
    return comparison.compare(MSSQL, schema(before), schema(after))


def test_a_table_comes_with_its_columns_and_goes_with_all_of_it() -> None:
    found = differences({}, TABLE)
    assert [item.forth for item in found if item.forth] == [
        "CREATE TABLE [dbo].[t] (\n    [id] int IDENTITY(1, 1) NOT NULL,\n    [state] int NOT NULL DEFAULT ((0))\n)",
        "CREATE NONCLUSTERED INDEX [by_state] ON [dbo].[t] ([state])",
        "ALTER TABLE [dbo].[t] ADD CONSTRAINT [pk] PRIMARY KEY CLUSTERED ([id])",
    ]
    assert [item.back for item in found if item.back] == ["DROP TABLE [dbo].[t]"]


def test_a_column_goes_behind_its_index_and_its_default() -> None:
    rest = {key: text for key, text in TABLE.items() if "state" not in key[1]}
    index, column = differences(TABLE, rest)
    assert index.forth == "DROP INDEX [by_state] ON [dbo].[t]"
    assert column.forth is not None
    default, gone = column.forth.split(";\n")
    assert gone == "ALTER TABLE [dbo].[t] DROP COLUMN [state]"
    assert default.startswith("EXEC sys.sp_executesql N'DECLARE @windlass_drop") and "N''state''" in default
    assert column.back == "ALTER TABLE [dbo].[t] ADD [state] int NOT NULL DEFAULT ((0))"


@pytest.mark.parametrize(
    ("before", "after", "last"),
    [
        ("int", "bigint not null", "ALTER TABLE [dbo].[t] ALTER COLUMN [a] bigint NOT NULL"),
        ("int not null default ((0))", "int not null default ((1)) named DF_a",
         "ALTER TABLE [dbo].[t] ADD CONSTRAINT [DF_a] DEFAULT ((1)) FOR [a]"),
        ("as ([b])", "as ([c]) persisted", "ALTER TABLE [dbo].[t] ADD [a] AS ([c]) PERSISTED"),
    ],
)  # fmt: skip
def test_a_column_that_changes(before: str, after: str, last: str) -> None:
    key = ("column", "dbo.t.a")
    steps = MSSQL.change_object(key, {key: before}, {key: after}).split(";\n")
    assert steps[-1] == last
    assert len(steps) == 1 + ("default" in before or "as (" in before)


def test_what_only_a_new_column_can_be_is_done_by_hand() -> None:
    key = ("column", "dbo.t.a")
    assert MSSQL.change_object(key, {key: "int not null"}, {key: "int not null identity(1, 1)"}) == ""
    assert MSSQL.change_object(key, {key: "int"}, {key: "as ([b])"}) == ""


def test_a_module_keeps_its_rights_when_it_changes() -> None:
    key = ("procedure", "dbo.p")
    changed = MSSQL.change_object(
        key, {key: "CREATE PROCEDURE dbo.p AS RETURN 1"}, {key: "CREATE PROCEDURE dbo.p AS RETURN 2"}
    )
    assert changed == "EXEC sys.sp_executesql N'CREATE OR ALTER PROCEDURE dbo.p AS RETURN 2'"
    assert MSSQL.drop_object(key, {key: "x"}) == "DROP PROCEDURE [dbo].[p]"


def test_a_name_that_the_server_made_up_is_not_dropped_blindly() -> None:
    key = ("constraint", "dbo.t.(check ([a]>(0.5)))")
    assert MSSQL.drop_object(key, {key: "check ([a]>(0.5))"}) == ""
