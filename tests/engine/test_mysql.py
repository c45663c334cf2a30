"""What MySQL alone asks of a deployer: how one logs in, and keys for all tables."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from pymysql import _auth, connections

from tests.engine.mariadb_backups import name_in
from tests.servers.mysql import MySQLServer
from tests.systems import Bench, Maker
from windlass_engine import session
from windlass_engine.dialects.mysql.address import connect_options
from windlass_engine.errors import WindlassError
from windlass_engine.model import Target

make = Maker("mysql")


@pytest.fixture
def bench(mysql: MySQLServer) -> Iterator[Bench]:
    with mysql.database() as url:
        yield Bench(url)


@pytest.fixture
def stranger(mysql: MySQLServer, bench: Bench) -> Iterator[str]:
    """The URL of a login that the server has never seen: what it knows already it takes without more words."""
    name = f"new_{name_in(bench.target.url)}"[:32]
    bench.run_all(f"CREATE USER `{name}` IDENTIFIED BY 's3cret word'", f"GRANT ALL ON *.* TO `{name}`")
    yield mysql.url_of(name_in(bench.target.url), user=name, password="s3cret word")
    bench.run_sql(f"DROP USER `{name}`")


def logs_in(url: str) -> bool:
    with session.connect(Target("test", "test", url)) as opened:
        return opened.query("SELECT 1") == [(1,)]


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Older drivers encrypt only when they are told to; newer ones do where the server can."""
    monkeypatch.setattr(connections, "SSL_ENABLED", False)


@pytest.mark.usefixtures("plain")
def test_a_password_is_hidden_on_a_plain_way(stranger: str) -> None:
    pytest.importorskip("cryptography", reason="the driver hides passwords with it: pip install cryptography")
    assert logs_in(stranger)


@pytest.mark.usefixtures("plain")
def test_without_cryptography_an_encrypted_way_is_named(stranger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_auth, "_have_cryptography", False)
    with pytest.raises(WindlassError) as refused:
        logs_in(stranger)
    assert refused.value.code == "driver_missing" and "s3cret" not in str(refused.value.to_wire())
    assert "?ssl=required" in refused.value.hint and "python3-cryptography" in refused.value.hint


@pytest.mark.parametrize("way", ["tls", "socket"])
def test_encrypted_or_by_the_socket_it_needs_nothing_more(
    mysql: MySQLServer, stranger: str, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(_auth, "_have_cryptography", False)
    options = "ssl=required" if way == "tls" else f"unix_socket={quote(str(mysql.socket), safe='')}"
    assert logs_in(f"{stranger}?{options}")


def test_a_socket_costs_no_handshake_unless_it_is_asked_for() -> None:
    def options(query: str) -> dict[str, object]:
        return connect_options(Target("d", "tried", f"mysql://user@localhost/app?unix_socket=/run/s{query}"))

    assert options("")["ssl_disabled"] is True
    assert "ssl_disabled" not in options("&ssl=required") and "ssl" in options("&ssl=required")
    assert "ssl_disabled" not in connect_options(Target("d", "tried", "mysql://user@db1/app"))


def test_a_server_that_wants_a_key_for_each_table(mysql: MySQLServer, bench: Bench) -> None:
    gone = make.migration("002_gone", "ALTER TABLE t DROP COLUMN n", "ALTER TABLE t ADD COLUMN n int")
    table = make.migration("001_t", "CREATE TABLE t (id int PRIMARY KEY, n int)", "DROP TABLE t")
    bench.run_sql("SET GLOBAL sql_require_primary_key = 1")
    try:
        assert bench.deploy(make.system(table, gone))["error"] is None
        bench.run_sql("INSERT INTO t VALUES (1)")
        assert bench.roll_back(steps=2)["error"] is None
        assert bench.deploy(make.system(table, gone))["error"] is None
    finally:
        bench.run_sql("SET GLOBAL sql_require_primary_key = 0")
