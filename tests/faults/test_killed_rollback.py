"""The engine killed -9 before and after a message of a rollback, on every engine: one more rollback mends everything."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.faults.chance import some
from tests.faults.dying import dies_at, messages_of
from tests.faults.results import keep_killed
from tests.faults.stories import FIRST, STORIES
from tests.systems import Bench, Maker
from windlass_engine.project.view import ProjectView

SERVERS = {"pg": "PostgreSQL", "mariadb": "MariaDB", "mysql": "MySQL"}
LOOKS = ("SELECT id, n FROM ledger ORDER BY id", "SELECT word FROM words ORDER BY word")


def project(engine: str) -> ProjectView:
    """The matrix's migrations, without their long waits."""
    make = Maker(engine)
    quick = [
        (story.name, *(re.sub(r"(?i)(sleep)\(0\.\d+\)", r"\1(0)", text) for text in (story.up, story.down)))
        for story in STORIES[engine]
    ]
    return make.system(*(make.migration(name, up, down) for name, up, down in quick))


def state(bench: Bench) -> list[Any]:
    return [bench.fingerprint(), bench.states(), *map(bench.query, LOOKS)]


@pytest.mark.timeout(3600)  # a hundred of them, or two, where everything is tried
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("fixture", SERVERS)
def test_killed_at_a_message_of_a_rollback(request: pytest.FixtureRequest, fixture: str, after: bool) -> None:
    server, make = request.getfixturevalue(fixture), SERVERS[fixture]
    every = project("postgresql" if fixture == "pg" else "mysql")
    with server.database() as url:
        clean = Bench(url)
        clean.deploy(every)
        count = messages_of(lambda: clean.roll_back(to=FIRST))
        wanted = state(clean)
    assert [n for _, n in wanted[2]] == [0] * 60 and wanted[3] == [("first",)]
    assert count > 20, "the way back sends more messages than that"
    for number in some(range(1, count + 1), 2, "rollback", make, after):
        with server.database() as url:
            bench, began = Bench(url), time.monotonic()
            assert bench.deploy(every)["error"] is None
            assert dies_at(number, after, lambda bench=bench: bench.roll_back(to=FIRST)), number  # type: ignore[misc]
            bench.wait_for_deployers()
            result = bench.run(bench.plan_down(to=FIRST))
            assert result["error"] is None, (number, result)
            assert state(bench) == wanted, number
            keep_killed("rollback", make, -number if after else number, began)
