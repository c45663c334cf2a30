"""The swap on MariaDB: there and back again, under live connections, and on from every place where a kill may hit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from testbed.waiting import wait_until
from tests.engine.mariadb_backups import (
    REACHING,
    Event,
    bring_back,
    code,
    contents,
    databases,
    drop_all,
    fetch,
    fill,
    make,
    name_in,
    run,
    silent,
    target_of,
)  # fmt: skip
from windlass_engine import session
from windlass_engine.backups import restore
from windlass_engine.dialects import backups
from windlass_engine.dialects.mysql import aside, exchange
from windlass_engine.errors import WindlassError
from windlass_engine.schema import introspect

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer


@pytest.fixture
def url(mariadb: MariaDBServer) -> Iterator[str]:
    """An empty database; those whose names begin as its own go with it."""
    made = mariadb.create_database()
    yield made
    drop_all(mariadb, name_in(made))


@pytest.fixture
def pair(mariadb: MariaDBServer, url: str, tmp_path: Path) -> tuple[str, str]:
    """An awkward original, changed since its backup, and the restored one beside it."""
    fill(url, *REACHING)
    made = make(url, tmp_path)
    side = f"{name_in(url)}_side"
    bring_back(url, made, side)
    run(
        url, "INSERT INTO thing (n) VALUES (99)", "DROP PROCEDURE note", "CREATE PROCEDURE newer() SELECT 1",
        "CREATE OR REPLACE VIEW a_first AS SELECT 1 AS other", "CREATE TABLE newer (id int)", "DROP TRIGGER second",
        "CREATE TRIGGER newer AFTER DELETE ON parent FOR EACH ROW DELETE FROM newer",
    )  # fmt: skip
    return url, side


def fingerprint(url: str) -> str:
    with session.connect(target_of(url)) as one:
        return introspect.fingerprint(introspect.snapshot(one))


def things(url: str) -> list[int]:
    return [row[0] for row in fetch(url, "SELECT n FROM thing ORDER BY id")]


def test_there_and_back_again(mariadb: MariaDBServer, url: str, tmp_path: Path) -> None:
    fill(url, *REACHING)
    saved, schema, pieces = contents(url), fingerprint(url), code(url)
    made = make(url, tmp_path)
    run(url, "UPDATE log SET m = 'ruined'", "DROP TRIGGER first", "DROP VIEW a_first", "DELETE FROM child")
    ruined, ruined_schema = contents(url), fingerprint(url)
    side = f"{name_in(url)}_side"
    bring_back(url, made, side)
    events: list[Event] = []
    done = restore.swap(target_of(url), side, events.append)
    assert (contents(url), fingerprint(url), code(url)) == (saved, schema, pieces)
    assert [event["event"] for event in events] == ["swap_started", "swap_done"]
    assert done["kept_as"].startswith(f"{name_in(url)}_before_2")
    assert side not in databases(mariadb)
    # What is kept holds all rows, and no code that could reach out of it.
    kept = mariadb.url_of(done["kept_as"])
    assert {**contents(kept), "counters": None} == {**ruined, "counters": None}
    assert code(kept) == set()
    # The code that waited works: it reaches this very database.
    run(
        url,
        "INSERT INTO thing (n) VALUES (7)",
        "UPDATE thing SET n = 8 WHERE n = 7",
        "INSERT INTO numbered (n) VALUES (1)",
    )
    assert fetch(url, "SELECT COUNT(*) FROM log WHERE m = 'leak'") == [(1,)]
    back = restore.undo_swap(target_of(url), silent)
    assert (contents(url), fingerprint(url)) == (ruined, ruined_schema)
    assert back["kept_as"].startswith(f"{name_in(url)}_undone_2")
    assert fetch(mariadb.url_of(back["kept_as"]), "SELECT COUNT(*) FROM thing") == [(4,)]
    assert done["kept_as"] not in databases(mariadb)


def test_a_copy_takes_another_and_stays_marked_as_one(mariadb: MariaDBServer, url: str, tmp_path: Path) -> None:
    """As in a drill: what names the original goes on waiting, and the exchange can be taken back."""
    fill(url, *REACHING)
    made, before = make(url, tmp_path), contents(url)
    copy, side = f"{name_in(url)}_copy", f"{name_in(url)}_side"
    for name in (copy, side):
        bring_back(url, made, name)
    place = mariadb.url_of(copy)
    pieces = code(place)
    run(place, "DELETE FROM child")
    done = restore.swap(target_of(place), side, silent)
    assert (contents(place), code(place)) == (before, pieces)
    restore.undo_swap(target_of(place), silent)
    assert contents(place) == {**before, "child": []} and done["kept_as"] not in databases(mariadb)
    with session.connect(target_of(url)) as one:
        assert aside.get(one.link, copy, aside.STATE) == aside.RESTORED
    assert contents(url) == before


def test_grants_stay_with_the_name(mariadb: MariaDBServer, pair: tuple[str, str]) -> None:
    url, side = pair
    run(mariadb.url, "CREATE OR REPLACE USER reader IDENTIFIED BY 'r'")
    run(url, "GRANT SELECT ON thing TO reader", "GRANT EXECUTE ON FUNCTION logged TO reader")
    restore.swap(target_of(url), side, silent)
    with mariadb.connect(name_in(url)) as one, one.cursor() as cursor:
        cursor.execute("SHOW GRANTS FOR reader")
        granted = " ".join(str(row[0]) for row in cursor.fetchall())
    run(mariadb.url, "DROP USER reader")
    assert f"`{name_in(url)}`.`thing`" in granted and "logged" in granted


@pytest.mark.parametrize("triggers", [False, True])
def test_under_live_connections(mariadb: MariaDBServer, url: str, tmp_path: Path, triggers: bool) -> None:
    """Readers see the one or the other; with triggers they may find no table for a moment, and never a mixture."""
    run(
        url, "CREATE TABLE marked (mark varchar(9))", "INSERT INTO marked VALUES ('new')", "CREATE TABLE audit (id int)"
    )
    if triggers:
        run(url, "CREATE TRIGGER audited AFTER INSERT ON marked FOR EACH ROW INSERT INTO audit VALUES (1)")
    made = make(url, tmp_path)
    side = f"{name_in(url)}_side"
    bring_back(url, made, side)
    run(url, "UPDATE marked SET mark = 'old'")
    stop, seen, failed = threading.Event(), list[tuple[Any, ...]](), list[int]()

    def use() -> None:
        """What an application does: one whose session was ended comes back at once."""
        while not stop.is_set():
            with suppress(pymysql.err.OperationalError), mariadb.connect(name_in(url)) as one, one.cursor() as cursor:
                while not stop.is_set():
                    try:
                        cursor.execute("SELECT mark FROM marked WHERE mark <> 'mine' LIMIT 1")
                        seen.append(cursor.fetchone() or ())
                        cursor.execute("INSERT INTO marked VALUES ('mine')")
                    except pymysql.err.ProgrammingError as error:
                        failed.append(error.args[0])

    users = [threading.Thread(target=use) for _ in range(3)]
    for user in users:
        user.start()
    try:
        wait_until(lambda: len(seen) > 20, what="the users of the original")
        done = restore.swap(target_of(url), side, silent)
        there = len(seen)
        wait_until(lambda: len(seen) > there + 20, what="the users of the new one")
    finally:
        stop.set()
        for user in users:
            user.join()
    assert set(seen) == {("old",), ("new",)}
    assert set(failed) <= ({1146} if triggers else set())
    if triggers:  # no row came into either without its trigger
        for place in (url, mariadb.url_of(done["kept_as"])):
            assert fetch(place, "SELECT (SELECT COUNT(*) FROM audit) = COUNT(*) FROM marked WHERE mark = 'mine'") == [
                (1,)
            ]


def test_an_open_transaction_does_not_hold_it_up(mariadb: MariaDBServer, pair: tuple[str, str]) -> None:
    url, side = pair
    with mariadb.connect(name_in(url)) as idle, idle.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO parent VALUES (77)")
        done = restore.swap(target_of(url), side, silent)
        assert done["ended_sessions"] >= 1
        assert things(url) == [1, 2, 3]
        with pytest.raises(pymysql.Error):
            cursor.execute("SELECT 1")


def state(url: str) -> tuple[Any, ...]:
    return contents(url), fingerprint(url), code(url)


def test_a_swap_that_is_kept_from_the_tables_leaves_all_as_it_was(
    mariadb: MariaDBServer, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, side = pair
    monkeypatch.setattr(exchange, "_PATIENCE_S", 0.5)
    before, names = state(url), databases(mariadb)
    # Two places: the first rename (a table with triggers) and the one that moves all.
    for table in ("thing", "log"):
        with mariadb.connect() as other, other.cursor() as cursor:  # in no database, so it is not ended
            cursor.execute("BEGIN")
            cursor.execute(f"SELECT * FROM `{name_in(url)}`.{table}")
            with pytest.raises(WindlassError, match="keep the tables locked") as caught:
                restore.swap(target_of(url), side, silent)
        assert caught.value.hint == "everything is as it was"
        assert (state(url), databases(mariadb)) == (before, names)
    restore.swap(target_of(url), side, silent)
    assert things(url) == [1, 2, 3]


class Killed(BaseException):
    """What no handler of the engine takes for an error, as a kill would not be."""


STEPS = ("_make_kept", "_close", "_rename", "_recode", "_open", "_finish")
KILLS = [(step, moment, "swap") for step in STEPS for moment in ("before", "after")][:-1]


@pytest.mark.parametrize(("step", "moment", "way"), [*KILLS, ("_rename", "after", "undo")])
def test_one_command_goes_on_after_a_kill(
    mariadb: MariaDBServer, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch, step: str, moment: str, way: str
) -> None:
    url, side = pair
    changed = contents(url)
    with monkeypatch.context() as patched:
        taken = getattr(exchange._Exchange, step)

        def killed(self: Any) -> None:
            if moment == "after":
                taken(self)
            raise Killed

        patched.setattr(exchange._Exchange, step, killed)
        with pytest.raises(Killed):
            restore.swap(target_of(url), side, silent)
    events: list[Event] = []
    done = (
        restore.swap(target_of(url), side, events.append)
        if way == "swap"
        else restore.undo_swap(target_of(url), events.append)
    )
    assert "swap_continued" in [event["event"] for event in events]
    assert things(url) == [1, 2, 3]
    assert {name for _, name in code(url)} >= {
        "first",
        "second",
        "reaching",
        "note",
        "a_first",
        "over_reaching",
        "hourly",
    }
    assert ("procedure", "newer") not in code(url)
    kept = contents(mariadb.url_of(done["kept_as"]))
    assert {**kept, "counters": None} == {**changed, "counters": None}
    assert not [name for name in contents(url) if name.startswith("windlass_")]
    restore.undo_swap(target_of(url), silent)
    assert things(url) == [1, 2, 3, 99]
    assert ("procedure", "newer") in code(url) and ("trigger", "newer") in code(url)


def test_when_the_original_is_gone(mariadb: MariaDBServer, pair: tuple[str, str]) -> None:
    url, side = pair
    run(mariadb.url, f"DROP DATABASE `{name_in(url)}`")
    assert restore.swap(target_of(url), side, silent)["kept_as"] == ""
    assert things(url) == [1, 2, 3]
    assert ("trigger", "reaching") in code(url)


def test_a_dropped_original_comes_back(mariadb: MariaDBServer, url: str, tmp_path: Path) -> None:
    fill(url)
    saved, made = state(url), make(url, tmp_path)
    run(mariadb.url, f"DROP DATABASE `{name_in(url)}`")
    side = f"{name_in(url)}_side"
    bring_back(url, made, side)
    restore.swap(target_of(url), side, silent)
    assert state(url) == saved


def test_a_database_made_by_hand_can_be_swapped_in(mariadb: MariaDBServer, url: str) -> None:
    run(url, "CREATE TABLE t (id int)")
    side = f"{name_in(url)}_side"
    made = mariadb.create_database(side)
    run(made, "CREATE SEQUENCE s", "CREATE TABLE t (id int DEFAULT NEXTVAL(s), n int)", "CREATE VIEW v AS SELECT n FROM t",
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.n = 5")  # fmt: skip
    restore.swap(target_of(url), side, silent)
    run(url, "INSERT INTO t (n) VALUES (1)")
    assert (fetch(url, "SELECT * FROM t"), fetch(url, "SELECT * FROM v")) == ([(1, 5)], [(5,)])


def test_what_cannot_be_is_refused_before_anything_is_touched(
    mariadb: MariaDBServer, pair: tuple[str, str], tmp_path: Path
) -> None:
    url, side = pair
    name = name_in(url)
    before = state(url)
    with pytest.raises(WindlassError, match="no database 'nowhere'"):
        restore.swap(target_of(url), "nowhere", silent)
    with pytest.raises(WindlassError, match="is the database itself"):
        restore.swap(target_of(url), name, silent)
    with pytest.raises(WindlassError, match="no swap of"):
        restore.undo_swap(target_of(url), silent)
    with mariadb.database(f"{name}_other") as other:
        run(other, f"CREATE TABLE far (id int, FOREIGN KEY (id) REFERENCES `{name}`.parent (id))")
        with pytest.raises(WindlassError, match=f"foreign keys of other databases lead to these: {name}_other.far"):
            restore.swap(target_of(url), side, silent)
    with session.connect(target_of(mariadb.url)) as one:
        aside.put(one.link, side, aside.STATE, aside.UNFINISHED)
        with pytest.raises(WindlassError, match="never restored to its end"):
            restore.swap(target_of(url), side, silent)
        aside.put(one.link, side, aside.STATE, aside.RESTORED)
    assert state(url) == before


def test_a_deployment_keeps_a_swap_away(
    mariadb: MariaDBServer, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, side = pair
    monkeypatch.setattr(backups, "LOCK_PATIENCE_S", 0.0)
    with session.connect(target_of(url)) as deployer:
        assert deployer.dialect.try_lock(deployer.link)
        with pytest.raises(WindlassError, match="holds the deployer lock") as caught:
            restore.swap(target_of(url), side, silent)
    assert caught.value.code == "deploy_locked"
