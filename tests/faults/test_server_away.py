"""What a run says of a server that cannot tell what stands: silent, read-only, starting, or at work for nobody."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from testbed.waiting import LIMIT_S, wait_until
from tests.faults.judging import judge
from tests.faults.wire import Wire
from tests.servers import unprivileged
from tests.servers.postgresql import PostgresServer
from tests.servers.server import Server
from tests.systems import Bench
from windlass_engine import journal, session
from windlass_engine.errors import WindlassError
from windlass_engine.model import Target
from windlass_engine.model import Wire as Told
from windlass_engine.project.view import ProjectView
from windlass_engine.running import aftermath
from windlass_engine.session import Session

KILLS = {
    "postgresql": "SELECT pg_terminate_backend(pg_backend_pid())",
    "mysql": "KILL CONNECTION_ID()",
}


def project(bench: Bench) -> ProjectView:
    """Two migrations; the session of the second is ended in its midst."""
    last = f"CREATE TABLE b (id int);\n{KILLS[bench.make.engine]};\nCREATE TABLE c (id int)"
    return bench.make.system(
        bench.make.migration("001_a", "CREATE TABLE a (id int)", "DROP TABLE a"), bench.make.migration("002_b", last)
    )


@pytest.fixture(params=["mortal_pg", "mortal_mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def bench(server: Server) -> Iterator[Bench]:
    with server.database() as url:
        yield Bench(url)


def is_unknown(told: Told, reason: str) -> bool:
    """Whether a result claims nothing that nobody could see, says why, and sends to the look."""
    assert told["status"] == "failed" and told["error"]["code"] == "connection_lost", told
    assert told["state"].startswith(reason), told
    assert "the journal will tell which steps are permanent" in told["state"], told
    return (told["journal_head"], told["schema_version"], told["next"]) == ("", "", "invoke status --env test")


def test_a_server_that_stays_away(bench: Bench, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aftermath, "PATIENCE_S", 0.3)

    def emit(event: Told) -> None:
        if event["event"] == "note":
            server.kill()

    try:
        told = bench.deploy(project(bench), emit)
    finally:
        server.start()
    assert is_unknown(told, "the server does not answer")
    assert told["applied"] == ["001_a"] and set(bench.states()) <= {"001_a", "002_b"}


def test_a_server_that_comes_back_within_the_patience(bench: Bench, server: Server) -> None:
    def emit(event: Told) -> None:
        if event["event"] == "note":
            server.kill()
            server.start()

    first = bench.make.system(bench.make.migration("000_z", "CREATE TABLE z (id int)"))
    bench.deploy(first)  # its end is durable, and with it the journal
    whole = project(bench)
    planned = bench.plan(replace(whole, migrations=(*first.migrations, *whole.migrations)))
    told = bench.run(planned, emit)
    judge(bench, planned, "run", told)
    assert [each["detail"] for each in failures(bench)] == [told["error"]["message"]]


def failures(bench: Bench) -> list[dict[str, Any]]:
    with session.connect(bench.target) as opened:
        return [each for each in journal.read_events(opened) if each["event"] == "failed"]


@contextmanager
def read_only(server: Server, bench: Bench) -> Iterator[None]:
    """Let the server answer as a standby does."""
    name = bench.target.url.rpartition("/")[2]
    word = f"ALTER DATABASE {name} SET default_transaction_read_only"
    word = word if isinstance(server, PostgresServer) else "SET GLOBAL read_only"
    try:
        tell(server, f"{word} = 1")
        yield
    finally:
        tell(server, f"{word} = 0")


def tell(server: Server, sql: str) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(sql)


def test_a_standby_is_not_believed(bench: Bench, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aftermath, "LONG_PATIENCE_S", 0.3)
    monkeypatch.setattr(aftermath, "PATIENCE_S", 0.3)
    demoted = read_only(server, bench)

    def emit(event: Told) -> None:
        if event["event"] == "note":
            demoted.__enter__()

    try:
        assert is_unknown(bench.deploy(project(bench), emit), "only a standby or read-only server answers")
    finally:
        demoted.__exit__(None, None, None)
    assert failures(bench) == [], "nothing is written to a standby"


def test_a_standby_that_becomes_the_primary_is(bench: Bench, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    demoted, looks, genuine = read_only(server, bench), itertools.count(1), aftermath._hindrance
    reasons = []

    def looked(found: Session, lost: int) -> str:
        reasons.append(genuine(found, lost))
        if next(looks) == 1:
            demoted.__exit__(None, None, None)
        return reasons[-1]

    def emit(event: Told) -> None:
        if event["event"] == "note":
            demoted.__enter__()

    monkeypatch.setattr(aftermath, "_hindrance", looked)
    planned = bench.plan(project(bench))
    told = bench.run(planned, emit)
    assert len(reasons) > 1 and reasons[0] and not reasons[-1]
    judge(bench, planned, "run", told)


@pytest.mark.parametrize("patient", [True, False])
def test_a_statement_that_runs_on_for_nobody(
    mortal_pg: PostgresServer, monkeypatch: pytest.MonkeyPatch, patient: bool
) -> None:
    genuine, looked = aftermath._hindrance, threading.Event()

    def look(found: Session, lost: int) -> str:
        reason = genuine(found, lost)
        looked.set()
        return reason

    monkeypatch.setattr(aftermath, "_hindrance", look)
    if not patient:
        monkeypatch.setattr(aftermath, "LONG_PATIENCE_S", 0.3)
    with mortal_pg.database() as url, closing(Wire(mortal_pg.port)) as passed:
        bench = Bench(url)
        up = "CREATE TABLE a (id int);\nSELECT pg_advisory_xact_lock(7) /* inside */"
        planned = bench.plan(bench.make.system(bench.make.migration("001_a", f"-- windlass: lock-timeout 0\n{up}")))
        inside = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory' AND query LIKE '%/* inside */%'"
        with session.connect(bench.target, "gate") as gate, ThreadPoolExecutor(1) as pool:
            gate.run("SELECT pg_advisory_lock(7)")
            running = pool.submit(Bench(passed.url(url)).run, planned)
            wait_until(lambda: bench.query(inside) or running.done(), what="the statement to wait")
            passed.desert()
            assert looked.wait(LIMIT_S)
            if patient:
                gate.run("SELECT pg_advisory_unlock(7)")
            told = running.result(LIMIT_S)
        if patient:
            judge(bench, planned, "run", told)
            assert told["applied"] == ["001_a"] and told["next"] == "invoke deploy --env test"
        else:
            assert is_unknown(told, "the server still works for the lost session (pid ")


def test_a_server_that_lets_nobody_in_yet_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aftermath, "EVERY_S", 0.01)
    refusals = iter([WindlassError("database_unreachable", "it is starting up", detail={"starting": True})] * 5)

    def connect() -> Session:
        for refusal in refusals:
            raise refusal
        return session.connect(bench.target)

    assert aftermath.ask(connect, 0, lambda opened: opened.query("SELECT 1")) == ([(1,)], "")


def test_a_recovering_server_says_so(mortal_pg: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    standby = PostgresServer(mortal_pg.bin, {"hot_standby": "off"})
    signal = standby.data / "standby.signal"
    signal.touch()
    unprivileged.give(signal)
    vars(standby)["refusals"] = ()  # it will let nobody in
    found: list[WindlassError] = []

    def refused() -> bool:
        with pytest.raises(WindlassError) as caught:
            session.connect(Target("test", "test", standby.url))
        found.append(caught.value)
        return bool(caught.value.detail.get("starting"))

    try:
        with suppress(psycopg.OperationalError):
            standby.start()
        wait_until(refused, what="the server to say that it recovers")
        monkeypatch.setattr(aftermath, "LONG_PATIENCE_S", 0.3)
        looked = aftermath.ask(lambda: session.connect(Target("test", "test", standby.url)), 0, lambda _: None)
        assert looked[0] is None and "the database system is" in looked[1]
    finally:
        standby.remove()
    assert all(error.code == "database_unreachable" for error in found)
