"""What the same thought is called in each engine's SQL."""

from __future__ import annotations

from dataclasses import dataclass

from tests.systems import Bench
from windlass_engine.errors import WindlassError
from windlass_engine.session import ServerError


@dataclass(frozen=True)
class Words:
    """SQL that differs: `rude` changes a session, `polite` returns a row where that has leaked.

    `between` parts statements, `add` adds a column, `replace` makes a view anew, `keep` makes a table of a query,
    `read` reads a table so that nobody can change it, `some` deletes ten rows, `schema` is the database's own.
    `two_columns` and `two_gone` add and drop columns of a table with rows; `kept_rows` of its four rows are archived
    where two are deleted.
    """

    rude: str
    polite: str
    kill_me: str
    events: str
    statements: str
    wrong_login: str
    between: str = ";\n"
    add: str = "ADD COLUMN"
    replace: str = "CREATE OR REPLACE VIEW"
    keep: str = "CREATE TABLE {0} AS {1}"
    read: str = "SELECT id FROM {}"
    some: str = "DELETE FROM old ORDER BY id LIMIT 10"
    schema: str = "DATABASE()"
    two_columns: str = "ALTER TABLE person ADD COLUMN phone varchar(40), ADD COLUMN score int DEFAULT 7"
    two_gone: str = "ALTER TABLE person DROP COLUMN phone;\nALTER TABLE person DROP COLUMN score"
    kept_rows: int = 4


WORDS = {
    "postgresql": Words(
        "SET search_path = '';\nSET standard_conforming_strings = off;\nSELECT 1",
        "SELECT 'leaked' WHERE current_setting('search_path') = '' OR current_setting('standard_conforming_strings') = 'off'",
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "windlass.events",
        "windlass.statements",
        "postgres",
        some="DELETE FROM old WHERE id IN (SELECT id FROM old ORDER BY id LIMIT 10)",
        schema="current_schema",
        kept_rows=2,
    ),
    "mysql": Words(
        "SET SESSION foreign_key_checks = 0, sql_mode = 'ANSI_QUOTES', time_zone = '+05:00', sql_select_limit = 1;\nSET timestamp = 1;\nSET NAMES latin1;\nDO 0",
        "SELECT 'leaked' FROM DUAL WHERE @@foreign_key_checks = 0 OR @@sql_mode LIKE '%ANSI%' OR @@time_zone <> '+00:00' OR @@character_set_client <> 'utf8mb4' OR @@sql_select_limit = 1 OR NOW() < '2000-01-01'",
        "KILL CONNECTION_ID()",
        "windlass_events",
        "windlass_statements",
        "root",
    ),
    "mssql": Words(
        "SET QUOTED_IDENTIFIER OFF;\nSET XACT_ABORT OFF; SET ROWCOUNT 1; SET DATEFIRST 1; SET LANGUAGE Deutsch; SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED;\nSELECT 1 AS x INTO #left_behind;\nSELECT 1 AS x",
        "SELECT 'leaked' AS word WHERE SESSIONPROPERTY('QUOTED_IDENTIFIER') = 0 OR @@OPTIONS & 16384 = 0 OR @@DATEFIRST <> 7 OR @@LANGUAGE <> 'us_english' OR OBJECT_ID('tempdb..#left_behind') IS NOT NULL",
        "RAISERROR(N'the server ends this session', 20, 1) WITH LOG",
        "windlass.events",
        "windlass.statements",
        "nobody_of_that_name",
        between="\nGO\n",
        add="ADD",
        replace="CREATE OR ALTER VIEW",
        keep="SELECT * INTO {0} FROM ({1}) AS kept",
        read="SELECT id FROM {} WITH (TABLOCK, HOLDLOCK)",
        some="DELETE TOP (10) FROM old",
        schema="SCHEMA_NAME()",
        two_columns="ALTER TABLE person ADD phone varchar(40); ALTER TABLE person ADD score int CONSTRAINT person_score DEFAULT 7 WITH VALUES",
        two_gone="ALTER TABLE person DROP COLUMN phone;\nALTER TABLE person DROP CONSTRAINT person_score; ALTER TABLE person DROP COLUMN score",
    ),
}


def words(bench: Bench) -> Words:
    """The SQL of a bench's engine."""
    return WORDS[bench.make.engine]


def parted(bench: Bench, text: str) -> str:
    """A script, each of whose statements ends in a semicolon at a line's end, as the engine wants it parted."""
    return text.replace(";\n", words(bench).between)


def transactional(bench: Bench) -> bool:
    """Whether schema changes of this engine are undone with their transaction."""
    return "transactional_ddl" in bench.make.dialect.capabilities


def stands(bench: Bench, table: str) -> bool:
    """Whether a table is there."""
    try:
        bench.query(f"SELECT 1 FROM {table} WHERE 1 = 0")
    except (ServerError, WindlassError):
        return False
    return True
