"""What a working session locks and writes, as another session sees it, on every engine."""

from __future__ import annotations

import pytest

from tests.contract.engines import transactional
from tests.systems import Bench
from windlass_engine.session import connect

pytestmark = pytest.mark.usefixtures("gauging")
INSERT = "INSERT INTO t VALUES " + ", ".join(f"({n}, REPEAT('x', 200))" for n in range(2000))


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
        worker.run("BEGIN")
        worker.run(INSERT)
        during = look(observer.link, worker.backend_pid)
        worker.run("COMMIT")
        after = look(observer.link, worker.backend_pid)
    assert before.log_bytes is not None and after.log_bytes is not None
    assert after.log_bytes > before.log_bytes
    if transactional(bench):
        assert [lock.table for lock in during.locks or ()] == ["public.t"]
    if during.locks is not None:
        assert all(lock.granted and not lock.blocks for lock in during.locks), "an INSERT keeps nobody waiting"
        assert not after.locks


def test_a_lock_that_keeps_others_waiting_says_whom(bench: Bench) -> None:
    if not transactional(bench):
        pytest.skip("a schema change ends at once: its lock is gone before anybody looks")
    bench.run_sql("CREATE TABLE t (id int PRIMARY KEY)")
    with connect(bench.target) as worker, connect(bench.target) as waiting, connect(bench.target) as observer:
        worker.run("BEGIN")
        worker.run("ALTER TABLE t ADD COLUMN a int")
        (held,) = observer.dialect.gauge(observer.link, worker.backend_pid).locks or ()
        assert (held.blocks, held.granted) == ("reads and writes", True)
        assert not observer.dialect.gauge(observer.link, waiting.backend_pid).locks
        worker.run("ROLLBACK")


def test_volumes_tell_each_table_but_the_journal(bench: Bench) -> None:
    bench.run_sql("CREATE TABLE t (id int PRIMARY KEY, note varchar(200))")
    with connect(bench.target) as session:
        before = session.dialect.volumes(session.link)
    assert list(before.tables) in (["public.t"], ["t"])
    assert all(size >= 0 for size in before.tables.values())
