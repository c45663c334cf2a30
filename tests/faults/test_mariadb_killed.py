"""The MariaDB server killed -9 in mid-migration and started again: one more deploy mends everything."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from testbed.waiting import LIMIT_S
from tests.contract.test_killed import PROJECT, state
from tests.faults.chance import dice, many
from tests.faults.judging import judge
from tests.systems import Bench
from windlass_engine.model import Wire

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer


@pytest.fixture(scope="module")
def wanted(mortal_mariadb: MariaDBServer) -> tuple[object, ...]:
    with mortal_mariadb.database() as url:
        clean = Bench(url)
        assert clean.deploy(PROJECT)["error"] is None
        return state(clean)


@pytest.mark.parametrize("number", range(many(6, 60)))
def test_killed_at_a_random_moment(mortal_mariadb: MariaDBServer, wanted: tuple[object, ...], number: int) -> None:
    chance = dice("server killed", number)
    at, delay_s = chance.randint(1, 18), chance.choice([0.0, 0.0, 0.002, 0.01, 0.03])
    seen, reached = 0, threading.Event()

    def emit(event: Wire) -> None:
        nonlocal seen
        seen += event["event"] == "statement_started"
        if seen == at:
            reached.set()

    with mortal_mariadb.database() as url, ThreadPoolExecutor(1) as pool:
        bench = Bench(url)
        planned = bench.plan(PROJECT)
        running = pool.submit(bench.run, planned, emit)
        assert reached.wait(LIMIT_S)
        time.sleep(delay_s)  # a moment of its own, not a wait for something
        mortal_mariadb.kill()
        mortal_mariadb.start()
        result = running.result(LIMIT_S)
        if result["status"] == "failed":
            judge(bench, planned, "run", result)
        again = bench.deploy(PROJECT)
        assert again["error"] is None, again
        assert state(bench) == wanted
