"""The connection lost at any message of a run: what is told is what stands, and the command told next does the rest."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest

from testbed.waiting import LIMIT_S, wait_until
from tests.contract import test_killed as by_statement
from tests.faults import test_killed_engine as by_message
from tests.faults import test_killed_rollback as downwards
from tests.faults.chance import dice, many
from tests.faults.judging import judge, replan, typed
from tests.faults.stories import FIRST
from tests.faults.wire import WAYS, Wire
from tests.servers.postgresql import PostgresServer
from tests.servers.server import Server
from tests.systems import Bench, Maker
from windlass_engine import plan
from windlass_engine.errors import WindlassError
from windlass_engine.model import Options, Plan, Target
from windlass_engine.model import Wire as Told
from windlass_engine.project.view import ProjectView
from windlass_engine.running import execute

SERVERS = {"pg": "postgresql", "mariadb": "mysql", "mariadb118": "mysql", "mysql": "mysql"}


@dataclass(frozen=True)
class Way:
    """A run that is disturbed: what stands before, the plan, and the options of the run."""

    project: ProjectView
    plan: Callable[[Bench], Plan]
    before: Callable[[Bench], object] = lambda bench: None
    options: Mapping[str, Any] = field(default_factory=dict)


def way(engine: str, name: str) -> Way:
    """A way by its name."""
    whole = by_message.PROJECT if engine == "postgresql" else by_statement.PROJECT
    back, plain, copying = downwards.project(engine), small(engine), copies(engine)
    ways = {
        "deploy": Way(whole, lambda bench: bench.plan(whole)),
        "ahead": Way(plain, lambda bench: bench.plan(plain)),
        "atomic": Way(plain, lambda bench: bench.plan(plain, atomic=True), options={"atomic": True}),
        "rollback": Way(back, lambda bench: bench.plan_down(to=FIRST), lambda bench: bench.deploy(back)),
        "bare": Way(
            back, lambda bench: bench.plan_down(to=FIRST), lambda bench: bench.deploy(back), {"archive": False}
        ),
        "copies": Way(copying, lambda bench: bench.plan(copying)),
        "baseline": Way(plain, lambda bench: adopting(bench, plain), adopted),
    }
    return ways[name]


def copies(engine: str) -> ProjectView:
    """Migrations with data blocks, and one that copies rows out."""
    make, rows = Maker(engine), "".join(f"{n}\n" for n in range(2000))
    return make.system(
        make.migration("001_in", f"CREATE TABLE c (n int);\nCOPY c FROM stdin;\n{rows}\\.\nCREATE INDEX c_n ON c (n);\n"),
        make.migration("002_out", "COPY c TO stdout;\nCREATE TABLE d (n int)"),
        make.migration("003_in", f"COPY d FROM stdin;\n{rows}\\.\n"),
    )  # fmt: skip


def small(engine: str) -> ProjectView:
    """Migrations of one statement each, and a repeatable."""
    make = Maker(engine)
    migrations = [
        make.migration(f"{n:03d}_t", f"CREATE TABLE t{n} (id int)", f"DROP TABLE t{n}", f"SELECT id FROM t{n} WHERE id = 7")
        for n in range(9)
    ]  # fmt: skip
    return make.system(*migrations, repeatables={"v": "CREATE OR REPLACE VIEW v AS SELECT id FROM t1"})


def adopting(bench: Bench, project: ProjectView) -> Plan:
    return plan.plan_baseline(project, bench.journal(), database="test", to="005_t")


def adopted(bench: Bench) -> None:
    bench.run_all(*(f"CREATE TABLE t{n} (id int)" for n in range(6)))


CASES = [
    *((fixture, name) for fixture in ("pg", "mariadb", "mysql") for name in ("deploy", "ahead", "rollback", "bare")),
    *(("pg", name) for name in ("atomic", "copies", "baseline")),
    *(("mariadb118", name) for name in ("deploy", "rollback")),
]
Ran = tuple[str, "Told | None"]
numbers = itertools.count(1)


def run(bench: Bench, target: Target, planned: Plan, how: Way) -> tuple[str, Told | None]:
    """Run a plan under an id of its own; None where it was refused before anything began."""
    run_id = f"run{next(numbers)}"
    options = Options(run_id, "tester", "here", "test", **how.options)
    try:
        return run_id, execute.run(target, planned, options, bench.events.append)
    except WindlassError as error:
        assert error.code in ("connection_lost", "database_unreachable"), error
        return run_id, None


def state(bench: Bench) -> list[Any]:
    kept = [(e.name, e.kind, e.state) for e in bench.journal().entries]
    return [bench.fingerprint(), sorted(kept)]


def undisturbed(server: Server, how: Way) -> tuple[int, list[Any]]:
    """How many messages a run sends, and the state that it leaves."""
    with server.database() as url, closing(Wire(server.port)) as passed:
        bench = Bench(url)
        how.before(bench)
        _, told = run(bench, Target("test", "test", passed.url(url)), how.plan(bench), how)
        assert told is not None and told["status"] == "done", told
        return passed.messages, state(bench)


def ended(server: Server, url: str) -> Callable[[], None]:
    """What ends the sessions of a database on the server's side."""
    name = url.rpartition("/")[2]
    if isinstance(server, PostgresServer):
        return lambda: ask(server, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    return lambda: ask(server, f"SELECT id FROM information_schema.PROCESSLIST WHERE db = '{name}'", "KILL {}")


def ask(server: Server, query: str, each: str = "") -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(query)
        for (found,) in cursor.fetchall():
            if each:
                cursor.execute(each.format(found))


def disturbed(bench: Bench, server: Server, planned: Plan, how: Way, at: int, chance: random.Random) -> Ran:
    """Run a plan over a wire that breaks."""
    url = bench.target.url
    way = chance.choice((*WAYS, "first"))
    with closing(Wire(server.port, at, way, ended(server, url) if way == "first" else None)) as passed:
        return run(bench, Target("test", "test", passed.url(url)), planned, how)


def crashed(bench: Bench, server: Server, planned: Plan, how: Way, at: int, chance: random.Random) -> Ran:
    """Run a plan on a server that is killed a moment after it got a message, and started again."""
    reached, delay_s = threading.Event(), chance.choice([0.0, 0.0, 0.002, 0.01, 0.03])
    with closing(Wire(server.port, at, "crash", reached.set)) as passed, ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, bench, Target("test", "test", passed.url(bench.target.url)), planned, how)
        wait_until(lambda: reached.is_set() or running.done(), what="the message", every=0.001)
        if reached.is_set():
            time.sleep(delay_s)  # a moment of its own, not a wait for something
            server.kill()
            server.start()
        return running.result(LIMIT_S)


def lose_and_go_on(
    server: Server, how: Way, count: int, chance: random.Random, fault: Callable[..., Ran] = disturbed
) -> tuple[int, list[Any]]:
    """Disturb a run and those that it tells to type next, three in all; return how many failed, and the end's state."""
    with server.database() as url:
        bench = Bench(url)
        how.before(bench)
        planned = how.plan(bench)
        for failed in itertools.count():
            assert failed < 10, "what is told next leads nowhere"
            at = chance.randint(1, count) if failed < 3 else 0
            run_id, told = fault(bench, server, planned, how, at, chance)
            command = judged(bench, planned, run_id, told)
            if command is None:
                return failed, state(bench)
            planned = replan(bench, how.project, *command) if command[0] else planned
            if not planned.steps:
                return failed + 1, state(bench)
    raise AssertionError


def judged(bench: Bench, planned: Plan, run_id: str, told: Told | None) -> tuple[str, dict[str, Any]] | None:
    """Hold what was told against what stands; return the command told next: none at the end, an empty one again."""
    if told is None:
        bench.wait_for_deployers()
        assert bench.journal().head == planned.journal_head, "it was told that nothing was begun"
        return "", {}
    if told["status"] == "done":
        assert told["journal_head"] == bench.journal().head
        assert told["applied"] == [step.name for step in planned.steps]
        return None
    judge(bench, planned, run_id, told)
    command = typed(told)
    assert command is not None, told
    if command[0] == "status":
        assert told["applied"] == [step.name for step in planned.steps], "there is something left to do"
        return None
    assert command[0] == {"up": "deploy", "down": "rollback"}.get(planned.direction, planned.direction), told
    return command


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("fixture", "name"), CASES)
def test_whatever_is_told_stands(request: pytest.FixtureRequest, fixture: str, name: str) -> None:
    server: Server = request.getfixturevalue(fixture)
    how = way(SERVERS[fixture], name)
    count, wanted = undisturbed(server, how)
    for number in range(many(2 if fixture == "pg" else 1, 40)):
        _, found = lose_and_go_on(server, how, count, dice("lost", fixture, name, number))
        assert found == wanted, number


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("fixture", "name"),
    [
        *((fixture, name) for fixture in ("mortal_pg", "mortal_mariadb") for name in ("deploy", "ahead", "rollback")),
        ("mortal_pg", "atomic"),
    ],
)
def test_whatever_is_told_after_a_crash_stands(request: pytest.FixtureRequest, fixture: str, name: str) -> None:
    server: Server = request.getfixturevalue(fixture)
    how = way("postgresql" if fixture == "mortal_pg" else "mysql", name)
    count, wanted = undisturbed(server, how)
    for number in range(many(1, 25)):
        _, found = lose_and_go_on(server, how, count, dice("crash", fixture, name, number), crashed)
        assert found == wanted, number
