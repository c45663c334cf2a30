"""The deployer lock, and tables that others keep locked."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.servers.pgbouncer import Behind, Pgbouncer
from tests.systems import Bench, migration, system
from windlass_engine import session
from windlass_engine.errors import WindlassError
from windlass_engine.model import Target

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer

TABLE = migration("001_t", "CREATE TABLE t (id int)")
ALTER = migration("002_a", "ALTER TABLE t ADD COLUMN a int;\nINSERT INTO t VALUES (1)")


def test_a_second_deployer_is_told_who_holds_the_lock(bench: Bench) -> None:
    planned = bench.plan(system(TABLE))
    with session.connect(bench.target, "windlass run-7 maria") as other:
        assert other.dialect.try_lock(other.link)
        with pytest.raises(WindlassError) as refusal:
            bench.run(planned, deploy_lock_wait_s=0.3)
    assert refusal.value.code == "deploy_locked"
    assert "windlass run-7 maria" in refusal.value.message
    assert "windlass run-7 maria" in str([e for e in bench.events if e["event"] == "lock_waiting"])


def test_of_many_deployers_one_applies_and_the_rest_see_it(bench: Bench) -> None:
    planned = bench.plan(system(TABLE, ALTER))
    outcomes: list[str] = []

    def one() -> None:
        try:
            outcomes.append(bench.run(planned, lambda _: None, deploy_lock_wait_s=20)["status"])
        except WindlassError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done"] + ["plan_stale"] * 7
    assert bench.query("SELECT count(*) FROM t") == [(1,)]


def test_a_blocked_table_is_waited_for_and_the_blocker_named(bench: Bench) -> None:
    bench.deploy(system(TABLE))
    with session.connect(bench.target, "the crm") as other:
        other.run("BEGIN; LOCK TABLE t IN ACCESS SHARE MODE")

        def emit(event: dict[str, object]) -> None:
            bench.events.append(event)
            if event["event"] == "retry" and "the crm" in str(event["blockers"]):
                other.run("ROLLBACK")

        result = bench.deploy(system(TABLE, ALTER), emit, lock_timeout_ms=200, lock_retries=20)
    assert result["error"] is None and result["steps"][0]["retries"] >= 1
    assert bench.query("SELECT count(*) FROM t") == [(1,)]


def test_patience_ends_with_the_blocker_named_and_nothing_changed(bench: Bench) -> None:
    bench.deploy(system(TABLE))
    with session.connect(bench.target, "the crm") as other:
        other.run("BEGIN; LOCK TABLE t IN ACCESS SHARE MODE")
        result = bench.deploy(system(TABLE, ALTER), lock_timeout_ms=200, lock_retries=2)
        assert result["error"]["code"] == "lock_timeout"
        assert "the crm" in result["error"]["message"]
        assert result["error"]["where"]["line"] == 1
    assert bench.states() == {"001_t": "applied"}


def test_a_waiting_alter_does_not_stall_readers(bench: Bench) -> None:
    bench.deploy(system(TABLE))
    slowest = 0.0
    done = threading.Event()

    def read() -> None:
        nonlocal slowest
        with session.connect(bench.target, "reader") as reader:
            while not done.is_set():
                began = time.monotonic()
                reader.query("SELECT count(*) FROM t")
                slowest = max(slowest, time.monotonic() - began)

    with session.connect(bench.target, "long") as long:
        long.run("BEGIN; SELECT count(*) FROM t")
        reader = threading.Thread(target=read)
        reader.start()
        threading.Timer(3.0, lambda: long.run("COMMIT")).start()
        result = bench.deploy(system(TABLE, ALTER), lock_retries=40)
        done.set()
        reader.join()
    assert result["error"] is None
    # Without a lock timeout the reader would queue behind the ALTER for the whole three seconds.
    assert slowest < 2.0, f"a reader waited {slowest:.1f} s"


def test_a_transaction_pooler_is_refused(pgbouncer: Pgbouncer) -> None:
    bench = Bench(pgbouncer.url_of("postgres"))
    with pytest.raises(WindlassError) as refusal:
        bench.deploy(system(TABLE))
    assert refusal.value.code == "pooler_detected"
    direct = session.connect(Target("direct", "test", pgbouncer.server.url))
    with direct:
        assert direct.query("SELECT to_regclass('windlass.migrations')") == [(None,)]


def test_a_transaction_pooler_of_mariadb_is_refused(mariadb: MariaDBServer) -> None:
    from tests.servers.mysql_pool import MySQLPool

    with mariadb.database() as url:
        pool = MySQLPool(Behind("127.0.0.1", mariadb.port, mariadb.superuser, mariadb.password))
        try:
            with pytest.raises(WindlassError) as refusal:
                Bench(pool.url_of(url.rpartition("/")[2])).deploy(system(TABLE))
        finally:
            pool.remove()
        assert refusal.value.code == "pooler_detected"
        assert Bench(url).query("SHOW TABLES") == []
