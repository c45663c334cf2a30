"""What the same thought is called in each engine's SQL."""

from __future__ import annotations

from dataclasses import dataclass

from tests.systems import Bench
from windlass_engine.errors import WindlassError
from windlass_engine.session import ServerError


@dataclass(frozen=True)
class Words:
    """SQL that differs: `rude` changes a session, `polite` returns a row where that has not leaked."""

    rude: str
    polite: str
    kill_me: str
    count_text: str
    events: str
    statements: str
    wrong_login: str


WORDS = {
    "postgresql": Words(
        "SET search_path = '';\nSET standard_conforming_strings = off;\nSELECT 1",
        "SELECT 'leaked' WHERE current_setting('search_path') = '' OR current_setting('standard_conforming_strings') = 'off'",
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "SELECT count(*)::text FROM {}",
        "windlass.events",
        "windlass.statements",
        "postgres",
    ),
    "mysql": Words(
        "SET SESSION foreign_key_checks = 0, sql_mode = 'ANSI_QUOTES', time_zone = '+05:00', sql_select_limit = 1;\nSET timestamp = 1;\nSET NAMES latin1;\nDO 0",
        "SELECT 'leaked' FROM DUAL WHERE @@foreign_key_checks = 0 OR @@sql_mode LIKE '%ANSI%' OR @@time_zone <> '+00:00' OR @@character_set_client <> 'utf8mb4' OR @@sql_select_limit = 1 OR NOW() < '2000-01-01'",
        "KILL CONNECTION_ID()",
        "SELECT CAST(COUNT(*) AS CHAR) FROM {}",
        "windlass_events",
        "windlass_statements",
        "root",
    ),
}


def words(bench: Bench) -> Words:
    """The SQL of a bench's engine."""
    return WORDS[bench.make.engine]


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
