"""The server itself says which statements it refuses inside a transaction."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.servers.postgresql import PostgresServer
from tests.unit.test_splitter_tokens import INSIDE, OUTSIDE

#: These are refused only where the subscription exists, and that needs a publishing server.
_NEED_A_PUBLISHER = ("DROP SUBSCRIPTION", "ALTER SUBSCRIPTION")

SCENE = """
CREATE TABLE t (a int PRIMARY KEY, b int);
CREATE SCHEMA s;
CREATE TABLE s.t (a int) PARTITION BY LIST (a);
CREATE TABLE s.p PARTITION OF s.t FOR VALUES IN (1);
"""


@pytest.fixture(scope="module")
def connection(pg18: PostgresServer) -> Iterator[psycopg.Connection]:
    with pg18.database() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCENE)
        connection.autocommit = False
        yield connection


def refused_for_the_transaction(connection: psycopg.Connection, sql: str) -> bool:
    connection.execute("SELECT 1")
    try:
        connection.execute(sql.encode())
    except psycopg.errors.ActiveSqlTransaction:
        return True
    except psycopg.Error:
        return False
    finally:
        connection.rollback()
    return False


@pytest.mark.parametrize("sql", [sql for sql in OUTSIDE if not sql.startswith(_NEED_A_PUBLISHER)])
def test_the_server_refuses_these_inside_a_transaction(connection: psycopg.Connection, sql: str) -> None:
    assert refused_for_the_transaction(connection, sql)


@pytest.mark.parametrize("sql", INSIDE)
def test_the_server_takes_these_inside_a_transaction(connection: psycopg.Connection, sql: str) -> None:
    assert not refused_for_the_transaction(connection, sql)
