"""Databases for a person with the client: empty ones, and one with each system."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.by_hand_mysql.scripts import deploy
from tests.servers.mariadb import MariaDBServer
from tests.servers.mariadb_by_hand import ByHand, MariadbByHand
from tests.servers.mysqld import Mysqld


@pytest.fixture(scope="module")
def server(mariadb: MariaDBServer) -> MariadbByHand:
    return MariadbByHand(mariadb)


@pytest.fixture(scope="module")
def each_server(mysqld: Mysqld) -> MariadbByHand:
    return MariadbByHand(mysqld)


@pytest.fixture
def empty(server: MariadbByHand) -> Iterator[ByHand]:
    with server.database() as hand:
        yield hand


@pytest.fixture(scope="module")
def deployed(server: MariadbByHand) -> Iterator[dict[str, ByHand]]:
    """Each system on a database of its own, for tests that undo what they do there."""
    with server.database() as blazz, server.database() as jobs:
        hands = {"blazz": blazz, "jobs": jobs}
        for system, hand in hands.items():
            deploy(hand, system)
        yield hands
