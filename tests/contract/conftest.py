"""One suite for every engine that a real server can be had for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.systems import Bench

SERVERS = ("pg", "pg17", "mariadb", "mariadb118", "any_mysql", "mssql")


@pytest.fixture(params=SERVERS)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """An empty database on each engine in turn."""
    server = request.getfixturevalue(request.param)
    with server.database() as url:
        yield Bench(url)
