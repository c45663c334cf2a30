from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from testbed.waiting import wait_until
from tests.engine.backups import Event, fill, make, target_of
from tests.servers.postgresql import PostgresServer
from windlass_engine import session
from windlass_engine.backups import restore
from windlass_engine.dialects import backups
from windlass_engine.dialects.postgresql import exchange
from windlass_engine.errors import WindlassError


def silent(_: Event) -> None:
    pass


def name_in(url: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])


def mark(server: PostgresServer, name: str) -> str:
    with server.connect(name) as connection:
        row = connection.execute("SELECT mark FROM marked").fetchone()
    assert row is not None
    return str(row[0])


def state(server: PostgresServer) -> dict[str, bool]:
    """Return the databases and whether they let anybody in."""
    with server.connect() as admin:
        return dict(
            admin.execute("SELECT datname, datallowconn FROM pg_database WHERE datname <> 'template0'").fetchall()
        )


@pytest.fixture(params=["shop", 'Läden "q" ' + "ü" * 26])
def pair(request: pytest.FixtureRequest, pg: PostgresServer) -> Iterator[tuple[str, str]]:
    """An original and a restored one beside it; what swaps make of them is dropped afterwards."""
    before = set(state(pg))
    url = pg.create_database(request.param)
    side = f"{name_in(url)[:20]} side"
    fill(url, "CREATE TABLE marked AS SELECT 'old'::text AS mark")
    pg.create_database(side)
    fill(pg.url_of(side), "CREATE TABLE marked AS SELECT 'new'::text AS mark")
    yield url, side
    for name in set(state(pg)) - before:
        pg.drop_database(name)


def test_there_and_back_again(pg: PostgresServer, pair: tuple[str, str]) -> None:
    url, side = pair
    events: list[Event] = []
    done = restore.swap(target_of(url), side, events.append)
    assert mark(pg, name_in(url)) == "new"
    assert re.search(r"_before_\d{8}T\d{6}Z$", done["kept_as"])
    assert len(done["kept_as"].encode()) <= 63
    assert mark(pg, done["kept_as"]) == "old"
    assert side not in state(pg)
    assert (done["into"], done["swapped"]) == (name_in(url), True)
    assert [event["event"] for event in events] == ["swap_started", "swap_done"]
    undone = restore.undo_swap(target_of(url), silent)
    assert mark(pg, name_in(url)) == "old"
    assert mark(pg, undone["kept_as"]) == "new"
    assert done["kept_as"] not in state(pg)
    assert all(state(pg).values())


class Users:
    """What an application does: it comes back at once, reads, and writes a number that it counts as kept when told so."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[str] = []
        self.kept: list[int] = []
        self.numbers = itertools.count()
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.use) for _ in range(3)]

    def __enter__(self) -> Users:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def use(self) -> None:
        while not self.stop.is_set():
            with suppress(psycopg.Error), psycopg.connect(self.url, autocommit=True) as connection:
                while not self.stop.is_set():
                    number = next(self.numbers)
                    connection.execute("INSERT INTO written VALUES (%s)", (number,))
                    self.kept.append(number)
                    ((mark,),) = connection.execute("SELECT mark FROM marked").fetchall()
                    self.seen.append(mark)

    def work(self, mark: str) -> None:
        """Wait until they have worked a while where ``mark`` stands."""
        there = len(self.seen)
        wait_until(lambda: self.seen[there:].count(mark) > 10, what=f"users of the {mark} one")


def written(server: PostgresServer, name: str) -> set[int]:
    with server.connect(name) as connection:
        return {number for (number,) in connection.execute("SELECT number FROM written").fetchall()}


def test_there_and_back_again_under_live_connections(pg: PostgresServer, pair: tuple[str, str]) -> None:
    """Swap and undo end sessions that work, and no write that was said to be kept is in neither database."""
    url, side = pair
    for place in (url, pg.url_of(side)):
        fill(place, "CREATE TABLE written (number int PRIMARY KEY)")
    with Users(url) as users:
        users.work("old")
        done = restore.swap(target_of(url), side, silent)
        users.work("new")
        written_by_then = set(users.kept)
        undone = restore.undo_swap(target_of(url), silent, done["kept_as"])
        users.work("old")
    assert done["ended_sessions"] > 0 and undone["ended_sessions"] > 0
    assert set(users.seen) == {"old", "new"}
    assert mark(pg, name_in(url)) == "old" and mark(pg, undone["kept_as"]) == "new"
    original, other = written(pg, name_in(url)), written(pg, undone["kept_as"])
    assert not original & other
    assert set(users.kept) <= original | other
    assert written_by_then & other, "what was written between swap and undo is kept aside, under the name that was told"


def test_an_idle_transaction_does_not_hold_it_up(pg: PostgresServer, pair: tuple[str, str]) -> None:
    url, side = pair
    with psycopg.connect(url) as idle:
        idle.execute("LOCK TABLE marked")
        restore.swap(target_of(url), side, silent)
        assert mark(pg, name_in(url)) == "new"
        with pytest.raises(psycopg.OperationalError):
            idle.execute("SELECT 1")


def test_when_the_original_is_gone(pg: PostgresServer, pair: tuple[str, str]) -> None:
    url, side = pair
    pg.drop_database(name_in(url))
    done = restore.swap(target_of(url), side, silent)
    assert mark(pg, name_in(url)) == "new"
    assert done["kept_as"] == ""


@pytest.mark.parametrize("side", ["not there", "itself"])
def test_a_swap_that_cannot_be_ends_no_session(pg: PostgresServer, pair: tuple[str, str], side: str) -> None:
    url, _ = pair
    with psycopg.connect(url) as user:
        with pytest.raises(WindlassError) as caught:
            restore.swap(target_of(url), name_in(url) if side == "itself" else side, silent)
        assert caught.value.code == "restore_failed"
        assert user.execute("SELECT 1").fetchone() == (1,)
    assert all(state(pg).values())


def test_a_failed_rename_lets_everybody_in_again(
    pg: PostgresServer, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, side = pair
    from windlass_engine.backups import exchange

    # The name under which the original is to be kept is taken.
    monkeypatch.setattr(exchange, "_dated", lambda keeper, name, word: "template1")
    with pytest.raises(WindlassError, match="already exists") as caught:
        restore.swap(target_of(url), side, silent)
    assert caught.value.code == "restore_failed"
    assert mark(pg, name_in(url)) == "old"
    assert all(state(pg).values())


CUT = "SELECT pg_terminate_backend(pg_backend_pid())"


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_swap_whose_session_is_lost_tells_what_became_of_it(
    pg: PostgresServer, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Before its commit, or after it with the answer unheard: and in both cases nobody stays locked out."""
    url, side = pair
    renames = exchange._renames
    cut = {"before": lambda sql: f"{CUT}; {sql}", "after": lambda sql: f"{sql}; {CUT}"}[where]
    monkeypatch.setattr(exchange, "_renames", lambda *names: cut(renames(*names)))
    if where == "after":
        done = restore.swap(target_of(url), side, silent)
        assert mark(pg, name_in(url)) == "new" and mark(pg, done["kept_as"]) == "old"
    else:
        with pytest.raises(WindlassError) as caught:
            restore.swap(target_of(url), side, silent)
        assert caught.value.code == "connection_lost" and "everything is as it was" in caught.value.hint
        assert mark(pg, name_in(url)) == "old" and mark(pg, side) == "new"
    assert all(state(pg).values())


def test_nothing_to_undo(pg: PostgresServer, pair: tuple[str, str]) -> None:
    with pytest.raises(WindlassError, match="no swap of") as caught:
        restore.undo_swap(target_of(pair[0]), silent)
    assert caught.value.code == "restore_failed"


def test_from_backup_to_swap(pg: PostgresServer, pair: tuple[str, str], tmp_path: Path) -> None:
    url, side = pair
    pg.drop_database(side)
    made = make(url, tmp_path, pg)
    fill(url, "UPDATE marked SET mark = 'ruined'")
    restore.beside(target_of(url), made["path"], side, str(pg.bin), 2, silent)
    done = restore.swap(target_of(url), side, silent)
    assert mark(pg, name_in(url)) == "old"
    assert mark(pg, done["kept_as"]) == "ruined"


def test_what_a_killed_swap_left_blocked_is_no_obstacle(pg: PostgresServer, pair: tuple[str, str]) -> None:
    url, side = pair
    with pg.connect() as admin:
        for name in (name_in(url), side):
            quoted = '"' + name.replace('"', '""') + '"'
            admin.execute(f"ALTER DATABASE {quoted} WITH ALLOW_CONNECTIONS false".encode())
    done = restore.swap(target_of(url), side, silent)
    assert mark(pg, name_in(url)) == "new"
    assert mark(pg, done["kept_as"]) == "old"
    assert all(state(pg).values())


def test_a_dropped_original_comes_back(pg: PostgresServer, pair: tuple[str, str], tmp_path: Path) -> None:
    url, side = pair
    pg.drop_database(side)
    made = make(url, tmp_path, pg)
    pg.drop_database(name_in(url))
    restore.beside(target_of(url), made["path"], side, str(pg.bin), 2, silent)
    assert restore.swap(target_of(url), side, silent)["kept_as"] == ""
    assert mark(pg, name_in(url)) == "old"


def test_a_deployment_keeps_a_swap_away_and_goes_on(
    pg: PostgresServer, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, side = pair
    monkeypatch.setattr(backups, "LOCK_PATIENCE_S", 0.0)
    with session.connect(target_of(url), "windlass run-1 ann") as deployer:
        assert deployer.dialect.try_lock(deployer.link)
        with pytest.raises(WindlassError, match=r"holds the deployer lock.*windlass run-1 ann") as caught:
            restore.swap(target_of(url), side, silent)
        assert deployer.query("SELECT mark FROM marked") == [("old",)], "nobody was thrown out"
    assert caught.value.code == "deploy_locked"
    assert mark(pg, name_in(url)) == "old" and side in state(pg) and all(state(pg).values())


def test_a_pass_of_maintenance_is_waited_for(
    pg: PostgresServer, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, side = pair
    with session.connect(target_of(url)) as keeper:
        assert keeper.dialect.try_lock(keeper.link)
        monkeypatch.setattr("time.sleep", lambda _: keeper.close())
        restore.swap(target_of(url), side, silent)
    assert mark(pg, name_in(url)) == "new"


def test_a_deployment_that_begins_while_sessions_are_ended_does_not(
    pg: PostgresServer, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has logged in before the swap let nobody in, and asks for the lock between that and its own end."""
    url, side = pair
    genuine, tried = exchange._end_sessions, list[bool]()

    def end_sessions(*arguments: Any) -> int:
        if not tried:
            tried.append(deployer.dialect.try_lock(deployer.link))
        return genuine(*arguments)

    monkeypatch.setattr(exchange, "_end_sessions", end_sessions)
    with session.connect(target_of(url)) as deployer:
        restore.swap(target_of(url), side, silent)
    assert tried == [False] and mark(pg, name_in(url)) == "new"
