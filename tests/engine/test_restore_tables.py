from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.engine import awkward
from tests.engine.backups import fill, fill_awkwardly, make, target_of
from tests.servers.postgresql import PostgresServer
from windlass_engine.backups import restore
from windlass_engine.dialects.postgresql import dump
from windlass_engine.errors import WindlassError

TAB = '"Schr""äg"."Tab.elle"'


def fetch(url: str, query: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.fixture(scope="module")
def saved(pg: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """An awkward database and its backup."""
    with pg.database() as url:
        fill_awkwardly(url)
        yield url, make(url, tmp_path_factory.mktemp("saved"), pg)["path"]


@pytest.fixture
def side(pg: PostgresServer) -> Iterator[str]:
    name = f"side_{os.urandom(4).hex()}"
    yield name
    pg.drop_database(name)


def bring(saved: tuple[str, str], side: str, pg: PostgresServer, *tables: str) -> Any:
    url, path = saved
    return restore.beside(target_of(url), path, side, str(pg.bin), 2, lambda _: None, tables=tables)


def rows(url: str) -> dict[str, int]:
    """Return the tables that have rows."""
    found: dict[str, int] = {}
    for table in ("app.thing", TAB, "app.event_1", "app.event_rest", "app.reference", "app.log", "app.child"):
        count = fetch(url, f"SELECT count(*) FROM ONLY {table}")[0][0]
        found.update({table: count} if count else {})
    return found


def test_only_the_rows_of_the_chosen_tables_come_back(saved: tuple[str, str], pg: PostgresServer, side: str) -> None:
    done = bring(saved, side, pg, TAB, "child")
    assert done["only"] == [TAB, "app.child"]
    assert (done["tables"], done["total_rows"], done["differences"]) == (2, 55, [])
    assert rows(pg.url_of(side)) == {TAB: 50, "app.child": 5}
    assert rows(saved[0])["app.thing"] == awkward.ROWS  # the original is as it was


def test_patterns_choose_partitions(saved: tuple[str, str], pg: PostgresServer, side: str) -> None:
    done = bring(saved, side, pg, "app.event_*")
    assert done["only"] == ["app.event_1", "app.event_rest"]
    assert fetch(pg.url_of(side), "SELECT count(*) FROM app.event") == [(40,)]


def test_a_table_that_is_not_there_is_said_before_anything_is_made(
    saved: tuple[str, str], pg: PostgresServer, side: str
) -> None:
    with pytest.raises(WindlassError, match=r"no rows of a table 'app\.thong'") as caught:
        bring(saved, side, pg, "app.child", "app.thong")
    assert "app.thing" in caught.value.hint
    assert fetch(pg.url, f"SELECT count(*) FROM pg_database WHERE datname = '{side}'") == [(0,)]


def test_it_cannot_be_swapped_in(saved: tuple[str, str], pg: PostgresServer, side: str) -> None:
    bring(saved, side, pg, "app.child")
    with pytest.raises(WindlassError, match="the rows of some tables only"):
        restore.swap(target_of(saved[0]), side, lambda _: None)


def test_the_way_back_for_deleted_rows(pg: PostgresServer, side: str, tmp_path: Path, database: str) -> None:
    """What docs/backups.md tells to do."""
    fill(
        database,
        "CREATE TABLE place (id int PRIMARY KEY)",
        "INSERT INTO place VALUES (1), (2)",
        "CREATE TABLE bookings (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, place int REFERENCES place, note text)",
        "INSERT INTO bookings (place, note) SELECT 1 + i % 2, 'n' || i FROM generate_series(1, 10) i",
    )
    made = make(database, tmp_path, pg)
    fill(database, "DELETE FROM bookings WHERE id < 8", "UPDATE bookings SET note = 'newer' WHERE id = 9")
    bring((database, made["path"]), side, pg, "public.bookings")
    script = (
        'psql "$SIDE" -c "COPY public.bookings TO STDOUT" > bookings.copy &&\n'
        'psql "$ORIGINAL" -v ON_ERROR_STOP=1 <<"END"\n'
        "BEGIN;\n"
        "CREATE TEMPORARY TABLE found (LIKE public.bookings) ON COMMIT DROP;\n"
        "\\copy found FROM 'bookings.copy'\n"
        "INSERT INTO public.bookings OVERRIDING SYSTEM VALUE SELECT * FROM found ON CONFLICT DO NOTHING;\n"
        "COMMIT;\n"
        "END\n"
    )
    documented = (Path(__file__).parents[2] / "docs" / "backups.md").read_text(encoding="utf-8")
    assert all(line.strip() in documented for line in script.splitlines())
    env = {**os.environ, "PATH": f"{pg.bin}:{os.environ['PATH']}", "SIDE": pg.url_of(side), "ORIGINAL": database}
    subprocess.run(["bash", "-e", "-c", script], env=env, cwd=tmp_path, check=True, capture_output=True)
    assert fetch(database, "SELECT count(*), count(*) FILTER (WHERE note = 'newer') FROM bookings") == [(10, 1)]


def test_names_with_blanks_are_told_apart(tmp_path: Path) -> None:
    every = ["public.a", 'public."a b"', '"x y"."a b"', '"x y".a', 'public."q"".r"']
    listed = ["public a b c", "public a b owner", "x y a b o p", "x y a owner", 'public q".r owner']
    lines = [f"{number}; 0 {number} TABLE DATA {text}\n" for number, text in enumerate(listed, 1)]
    other = "9; 1259 5 TABLE public a owner\n10; 2606 7 FK CONSTRAINT public a a_fkey owner\n"
    for table, numbers in ((every[1], [1, 2]), (every[2], [3]), (every[3], [4]), (every[4], [5]), (every[0], [])):
        (tmp_path / "list").write_text("".join(lines) + other)
        chosen = Path(dump.choose(str(tmp_path / "list"), [table], every)).read_text().splitlines()
        assert [int(line.partition(";")[0]) for line in chosen] == [*numbers, 9]
