"""The deployer lock, and tables that others keep locked."""

from __future__ import annotations

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


def test_a_waiting_alter_does_not_stall_readers(bench: Bench) -> None:
    bench.deploy(system(TABLE))
    with session.connect(bench.target, "long") as long, session.connect(bench.target, "reader") as reader:
        long.run("BEGIN; SELECT count(*) FROM t")
        tries = 0

        def emit(event: dict[str, object]) -> None:
            nonlocal tries
            if event["event"] == "retry":
                # The long transaction goes on. A reader would queue behind an ALTER that still waited for its end.
                reader.query("SELECT count(*) FROM t")
                tries += 1
                if tries == 3:
                    long.run("COMMIT")

        result = bench.deploy(system(TABLE, ALTER), emit)
    assert result["error"] is None
    assert tries >= 3


@pytest.mark.parametrize("atomic", [False, True])
def test_a_large_migration_behind_it_does_not_hide_who_is_waited_for(bench: Bench, atomic: bool) -> None:
    bench.deploy(system(TABLE))
    patient = migration(
        "002_a", "-- windlass: lock-timeout 60s\n-- windlass: lock-retries 0\nALTER TABLE t ADD COLUMN a int"
    )
    # More than a connection takes while the server at its other end is busy.
    large = migration("003_l", f"INSERT INTO t VALUES (length('{'x' * 20_000_000}'))")
    with session.connect(bench.target, "long") as long:
        long.run("BEGIN; LOCK TABLE t")

        def emit(event: dict[str, object]) -> None:
            if event["event"] == "waiting":
                assert event["migration"] == "002_a"
                long.run("COMMIT")

        result = bench.deploy(system(TABLE, patient, large), emit, atomic=atomic)
    assert (result["status"], result["error"]) == ("done", None)


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
