"""Every fault on every verb and engine, on real hosts over SSH: one more ordinary command, and all is as it should be.

The suite tries a sample that the seed chooses; `invoke faults --full` tries everything (see docs/reliability.md).
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from testbed import Testbed
from tests.faults.chance import FULL, SEED, dice
from tests.faults.faults import Case, Fault, faults
from tests.faults.ground import Ground
from tests.faults.results import Result, is_mended, keep
from tests.project import Project
from tests.servers import pgbouncer

VERBS, HOSTS = ("deploy", "rollback"), {"postgresql": "db1", "mysql": "db2"}
MATRIX = faults(deployers=20 if FULL else 4)


def cells() -> Iterator[tuple[Fault, str, str, int]]:
    """Every fault with every verb and engine; of the sample, each fault with one of the four."""
    for fault in MATRIX:
        every = [(verb, engine) for verb in VERBS for engine in fault.engines]
        tries = fault.whole if FULL else fault.sample
        for verb, engine in every if FULL else dice(fault.name).sample(every, 1):
            yield from ((fault, verb, engine, number) for number in range(tries))


@pytest.fixture(scope="module")
def grounds(testbed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ground]:
    """A host for each engine."""
    project = Project(tmp_path_factory.mktemp("faults") / "project")
    return {engine: Ground(testbed, testbed[host], engine, project) for engine, host in HOSTS.items()}


@pytest.mark.parametrize(
    ("fault", "verb", "engine", "number"),
    [pytest.param(*cell, id=f"{cell[0].name}, {cell[1]}, {cell[2]}, {cell[3]}") for cell in cells()],
)
def test_one_more_command_mends_it(
    grounds: dict[str, Ground], fault: Fault, verb: str, engine: str, number: int
) -> None:
    if fault.name.startswith("pooler") and engine == "postgresql" and not pgbouncer.program():
        pytest.skip("pgbouncer is missing: apt-get install pgbouncer")
    if is_mended(fault.name, verb, engine, number):
        pytest.skip("an earlier part of this run has it")
    ground, began = grounds[engine], time.monotonic()
    wanted, ended, mended = ground.wanted[verb], "", False
    try:
        with ground.fresh(verb) as database:
            case = Case(ground, verb, database, dice(fault.name, verb, engine, number))
            ended = fault.happens(case)
            again = case.once_more()
            assert again.code == 0, (SEED, ended, again.output)
            assert database.state() == wanted, (SEED, ended)
            mended = True
    finally:
        keep(Result(fault.name, verb, engine, number, ended, mended, time.monotonic() - began))
