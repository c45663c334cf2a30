"""What a working session locks and writes, as another session sees it, on every engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from testbed.waiting import wait_until
from tests.contract.engines import parted, transactional, words
from tests.systems import Bench
from windlass_engine.dialects.answers import Wait
from windlass_engine.errors import WindlassError
from windlass_engine.running import sizes
from windlass_engine.session import Session, connect

pytestmark = pytest.mark.usefixtures("gauging")
INSERTS = [
    "INSERT INTO t VALUES " + ", ".join(f"({n}, '{'x' * 200}')" for n in range(at, at + 1000)) for at in (0, 1000)
]


@pytest.fixture
def gauging(bench: Bench) -> None:
    if "gauges" not in bench.make.dialect.capabilities:
        pytest.skip(f"{bench.make.dialect.title} is not gauged")


def test_a_session_is_gauged_from_outside(bench: Bench) -> None:
    bench.run_sql("CREATE TABLE t (id int PRIMARY KEY, note varchar(200))")
    with connect(bench.target) as worker, connect(bench.target) as observer:
        look = observer.dialect.gauge
        before = look(observer.link, worker.backend_pid)
        assert not before.locks
        worker.run(worker.dialect.begin(0, 0))
        worker.run(INSERTS)
        during = look(observer.link, worker.backend_pid)
        worker.run("COMMIT")
        after = look(observer.link, worker.backend_pid)
    assert before.log_bytes is not None and after.log_bytes is not None
    assert after.log_bytes > before.log_bytes
    if transactional(bench):
        assert [lock.table for lock in during.locks or ()] == [
            bench.query(f"SELECT {words(bench).schema}")[0][0] + ".t"
        ]
    if during.locks is not None:
        assert all(lock.granted and not lock.blocks for lock in during.locks), "an INSERT keeps nobody waiting"
        assert not after.locks


def test_a_lock_that_keeps_others_waiting_says_whom(bench: Bench) -> None:
    if not transactional(bench):
        pytest.skip("a schema change ends at once: its lock is gone before anybody looks")
    bench.run_sql("CREATE TABLE t (id int PRIMARY KEY)")
    with connect(bench.target) as worker, connect(bench.target) as waiting, connect(bench.target) as observer:
        worker.run(worker.dialect.begin(0, 0))
        worker.run(f"ALTER TABLE t {words(bench).add} a int")
        (held,) = observer.dialect.gauge(observer.link, worker.backend_pid).locks or ()
        assert (held.blocks, held.granted) == ("reads and writes", True)
        assert not observer.dialect.gauge(observer.link, waiting.backend_pid).locks
        worker.run("ROLLBACK")


def test_volumes_tell_each_table_but_the_journal(bench: Bench) -> None:
    bench.run_sql("CREATE TABLE t (id int PRIMARY KEY, note varchar(200))")
    with connect(bench.target) as session:
        before = session.dialect.volumes(session.link)
    assert list(before.tables) in (["public.t"], ["t"], ["dbo.t"])
    assert all(size >= 0 for size in before.tables.values())


def test_the_sizes_of_indexes_are_told_apart(bench: Bench) -> None:
    bench.run_sql("CREATE TABLE t (id int PRIMARY KEY, note varchar(200))")
    bench.run_all(*INSERTS)
    bench.run_sql("CREATE INDEX t_note ON t (note)")
    bench.run_all(*bench.analyse("t"))
    with connect(bench.target) as session:
        found = session.dialect.volumes(session.link)
    [(name, size)] = found.tables.items()
    assert 0 < found.indexes[name] < size


def test_who_waits_for_a_row_and_for_whom(bench: Bench) -> None:
    bench.run_all("CREATE TABLE t (id int PRIMARY KEY, n int)", "INSERT INTO t VALUES (1, 1)")
    change = "UPDATE t SET n = n + 1 WHERE id = 1"
    with connect(bench.target) as holder, connect(bench.target) as waiter, connect(bench.target) as observer:
        if observer.dialect.waits(observer.link) is None:
            pytest.skip("the server does not tell who waits for whom")
        holder.run(holder.dialect.begin(0, 0))
        holder.run(change)
        with waiting(waiter, change, holder):
            found = one_wait(observer)
    assert (found.waiter, found.holder) == (waiter.backend_pid, holder.backend_pid)
    assert found.table in ("t", "public.t", "dbo.t") and found.sql.startswith("UPDATE t")


def test_who_waits_for_a_table(bench: Bench) -> None:
    bench.run_all("CREATE TABLE t (id int PRIMARY KEY, n int)", "INSERT INTO t VALUES (1, 1)")
    with connect(bench.target) as holder, connect(bench.target) as waiter, connect(bench.target) as observer:
        if observer.dialect.waits(observer.link) is None:
            pytest.skip("the server does not tell who waits for whom")
        holder.run(holder.dialect.begin(0, 0))
        holder.query("SELECT * FROM t")
        with waiting(waiter, f"ALTER TABLE t {words(bench).add} a int", holder):
            found = one_wait(observer)
    assert found.waiter == waiter.backend_pid
    assert found.holder in (holder.backend_pid, 0), "MariaDB tells that it waits, and not for whom"
    assert found.table in ("t", "public.t", "dbo.t")


def one_wait(observer: Session) -> Wait:
    """Wait until the server tells of a wait, and return the only one."""
    seen: list[Wait] = []

    def look() -> bool:
        seen.extend(observer.dialect.waits(observer.link) or ())
        return bool(seen)

    wait_until(look, what="somebody to wait")
    (found,) = seen
    return found


@contextmanager
def waiting(session: Session, statement: str, holder: Session) -> Iterator[None]:
    """Let a statement wait beside the block for what another session holds, to the block's end."""
    thread = threading.Thread(target=session.run, args=(statement,))
    thread.start()
    try:
        yield
    finally:
        holder.run("ROLLBACK")
        thread.join()


@pytest.mark.parametrize("many", [1, 1000], ids=["looked at aside", "looked at by the run itself"])
def test_a_run_tells_which_tables_changed_their_size(bench: Bench, many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "MANY_TABLES", many)
    make = bench.make
    first = make.migration("001", "CREATE TABLE t (id int PRIMARY KEY, note varchar(200));", "DROP TABLE t;")
    fill = make.migration("002", parted(bench, "".join(f"{insert};\n" for insert in INSERTS)), "DELETE FROM t;")
    quiet = make.migration("003", "CREATE VIEW v AS SELECT id FROM t;", "DROP VIEW v;")
    made = bench.deploy(make.system(first))["sizes"]
    assert [(item["table"].rpartition(".")[2], item["before"]) for item in made] == [("t", 0)]
    filled = bench.deploy(make.system(first, fill))
    if transactional(bench):  # the others' statistics follow in the background
        [grown] = filled["sizes"]
        assert grown["after"] - grown["before"] >= 2000 * 200 and grown["indexes_after"] > grown["indexes_before"]
        assert bench.deploy(make.system(first, fill, quiet))["sizes"] == []


def test_sizes_are_told_where_no_second_session_is_let_in(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> Session:
        raise WindlassError("database_unreachable", "too many connections")

    aside = sizes.Aside
    monkeypatch.setattr(sizes, "MANY_TABLES", 1)
    monkeypatch.setattr(sizes, "Aside", lambda _: aside(refused))
    first = bench.make.migration("001", "CREATE TABLE t (id int PRIMARY KEY);", "DROP TABLE t;")
    done = bench.deploy(bench.make.system(first))
    assert (done["status"], len(done["sizes"])) == ("done", 1)


def test_a_table_that_somebody_holds_is_not_waited_for(bench: Bench) -> None:
    if bench.make.engine != "postgresql":
        pytest.skip("only PostgreSQL locks a table to measure it")
    make = bench.make
    bench.run_sql("CREATE TABLE held (id int)")
    first = make.migration("001", "CREATE TABLE t (id int PRIMARY KEY);", "DROP TABLE t;")
    with connect(bench.target) as holder:
        holder.run("BEGIN")
        holder.run("LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
        done = bench.deploy(make.system(first))
        holder.run("ROLLBACK")
    assert (done["status"], done["sizes"]) == ("done", None)
