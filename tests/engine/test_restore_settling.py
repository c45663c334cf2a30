"""A restored database is counted and has statistics, and that begins while pg_restore is still at work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from testbed.waiting import wait_until
from tests.engine.backups import client, fill_awkwardly, make, target_of
from tests.servers.postgresql import PostgresServer
from windlass_engine.backups import restore

LACKING = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND pg_stat_get_last_analyze_time(c.oid) IS NULL"""


@pytest.fixture
def side(pg: PostgresServer) -> Iterator[str]:
    name = f"side_{os.urandom(4).hex()}"
    yield name
    pg.drop_database(name)


def fetch(url: str, query: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def bring(url: str, pg: PostgresServer, folder: Path, side: str, jobs: int, programs: str = "") -> Any:
    made = make(url, folder, pg)
    return restore.beside(target_of(url), made["path"], side, programs or str(pg.bin), jobs, lambda _: None)


@pytest.mark.parametrize("jobs", [1, 4])
def test_everything_has_statistics(pg: PostgresServer, tmp_path: Path, side: str, jobs: int) -> None:
    with pg.database() as url:
        fill_awkwardly(url)
        bring(url, pg, tmp_path, side, jobs)
        made = pg.url_of(side)
        wait_until(lambda: fetch(made, LACKING) == [], what="statistics of every table and partition")
        inherited = "SELECT DISTINCT inherited FROM pg_stats WHERE schemaname = 'app' ORDER BY 1"
        assert fetch(made, inherited) == [(False,), (True,)], "those of partitioned tables as wholes, too"


def test_it_begins_while_pg_restore_works(pg: PostgresServer, tmp_path: Path, side: str) -> None:
    """pg_restore does not end here before a table has statistics, which nobody but Windlass gathers."""
    psql = f'{pg.bin / "psql"} -X -At -d "$database" -c'
    seen = "SELECT count(*) FROM pg_stats WHERE schemaname = 'app' AND tablename = 'thing'"
    script = f"""case "$1" in --list) exec $real "$@";; esac
for word in "$@"; do case $word in *dbname=*) database=$word;; esac; done
$real "$@" || exit
for try in $(seq 600); do [ "$({psql} "{seen}")" = 0 ] || exit 0; sleep 0.1; done
exit 9
"""
    with pg.database() as url:
        fill_awkwardly(url)
        done = bring(url, pg, tmp_path, side, 2, client(tmp_path, pg, pg_restore=script))
    assert done["differences"] == []


def test_what_was_set_for_loading_does_not_stay(pg: PostgresServer, tmp_path: Path, side: str) -> None:
    with pg.database() as url:
        fill_awkwardly(url)
        bring(url, pg, tmp_path, side, 2)
    shown = "SELECT current_setting('synchronous_commit'), current_setting('jit')"
    assert fetch(pg.url_of(side), shown) == fetch(pg.url_of("postgres"), shown)
