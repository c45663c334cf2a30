"""The servers that the other tests stand on are what they claim to be."""

from __future__ import annotations

import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from testbed.waiting import wait_until
from tests.servers.pgbouncer import Pgbouncer
from tests.servers.postgresql import PostgresServer


def test_answers_with_its_version(each_pg: PostgresServer) -> None:
    with psycopg.connect(each_pg.url) as connection:
        assert connection.info.server_version // 10000 == each_pg.version


def test_socket_asks_for_the_password_too(pg: PostgresServer) -> None:
    with psycopg.connect(pg.socket_url_of("postgres")) as connection:
        assert connection.info.host == str(pg.socket_dir)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host=str(pg.socket_dir), port=pg.port, user=pg.superuser, password="wrong")


def test_own_programs_reach_it(each_pg: PostgresServer) -> None:
    with each_pg.database() as url:
        done = subprocess.run(
            [each_pg.program("pg_dump"), "--schema-only", url], capture_output=True, text=True, check=True
        )
    assert "PostgreSQL database dump complete" in done.stdout


def test_database_is_empty_and_goes_away(pg: PostgresServer) -> None:
    with pg.database("böse \"name'") as url, psycopg.connect(url) as connection:
        count = connection.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        assert count.fetchone() == (0,)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


def test_restart_keeps_the_data(pg: PostgresServer) -> None:
    with pg.database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (id int)")
        pg.restart()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_a_server_waits_for_its_own_port(pg: PostgresServer) -> None:
    port = pg.port
    pg.kill()
    said = pg.log.stat().st_size
    with socket.socket() as another, ThreadPoolExecutor(1) as pool:
        another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        another.bind(("127.0.0.1", port))
        another.listen()

        def make_way() -> None:
            wait_until(lambda: b"Address already in use" in pg.log.read_bytes()[said:], what="a start in vain")
            another.close()

        gone = pool.submit(make_way)
        pg.start()
        gone.result()
    assert pg.port == port


def test_kill_ends_the_sessions(pg: PostgresServer) -> None:
    with psycopg.connect(pg.url, autocommit=True) as connection:
        pg.kill()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    pg.start()
    with psycopg.connect(pg.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_pgbouncer_hands_out_different_sessions(pgbouncer: Pgbouncer) -> None:
    """Two transactions of one client may meet two server sessions: what makes session locks unsafe."""
    with pgbouncer.server.database() as url:
        name = str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
        with psycopg.connect(pgbouncer.url_of(name), autocommit=True, prepare_threshold=None) as first:
            before = first.execute("SELECT pg_backend_pid()").fetchone()
            with psycopg.connect(pgbouncer.url_of(name), prepare_threshold=None) as second:
                assert second.execute("SELECT pg_backend_pid()").fetchone() == before
                assert first.execute("SELECT pg_backend_pid()").fetchone() != before


def test_shipped_name_gives_the_same_module() -> None:
    pytest.importorskip("windlass_engine.errors", reason="the engine is not there")
    import ansible.module_utils.windlass_engine.errors as shipped

    import windlass_engine.errors as plain

    assert shipped is plain
    assert plain.__spec__.name == "windlass_engine.errors"
