"""Backups and servers of different versions: what cannot end well is said before anything is made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engine.backups import Event, make, target_of
from tests.engine.mariadb_backups import databases as mariadb_databases
from tests.engine.mariadb_backups import drop_all, name_in
from tests.engine.mariadb_backups import make as make_mariadb
from tests.engine.mariadb_backups import target_of as mariadb_target
from windlass_engine import session
from windlass_engine.backups import backup, restore
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import manifest

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer
    from tests.servers.postgresql import PostgresServer


def silent(_: Event) -> None:
    """Hear nothing."""


def forge(path: str, **changes: object) -> None:
    """Change a manifest and seal it again."""
    known = {**manifest.load(path), **changes}
    Path(path, "manifest.json").unlink()
    manifest.write(path, known)


@pytest.fixture
def mariadb_url(mariadb: MariaDBServer) -> Iterator[str]:
    made = mariadb.create_database()
    yield made
    drop_all(mariadb, name_in(made))


def test_a_dump_of_a_newer_postgresql_is_not_given_to_an_older_one(
    pg15: PostgresServer, pg17: PostgresServer, tmp_path: Path
) -> None:
    """It would set what the older server has never heard of."""
    with pg17.database() as newer, pg15.database() as older:
        with session.connect(target_of(newer)) as there:
            there.run("CREATE TABLE t (id int PRIMARY KEY)")
        made = make(newer, tmp_path, pg17)
        with pytest.raises(WindlassError, match=r"PostgreSQL 15 .*for a dump made by pg_dump 17") as refused:
            restore.beside(target_of(older), made["path"], "skewed_side", str(pg17.bin), 1, silent)
        assert refused.value.code == "restore_failed"
        with session.connect(target_of(older)) as there:
            assert there.query("SELECT 1 FROM pg_database WHERE datname = 'skewed_side'") == []


def test_zstd_is_taken_where_client_and_server_have_it_and_comes_back(pg17: PostgresServer, tmp_path: Path) -> None:
    with pg17.database() as url:
        with session.connect(target_of(url)) as there:
            there.run("CREATE TABLE t (id int PRIMARY KEY, words text)")
            there.run("INSERT INTO t SELECT n, repeat('ü' || n, 50) FROM generate_series(1, 5000) n")
        assert backup.foresee(target_of(url), backup.BackupSettings("", str(pg17.bin)))["compression"] == "zstd:1"
        made = make(url, tmp_path, pg17)
        files = sorted(path.suffix for path in Path(made["path"], "dump").iterdir())
        assert made["compression"] == "zstd:1" and ".zst" in files and ".gz" not in files
        assert manifest.load(made["path"])["rows"] == {"public.t": 5000}
        name = f"{backup.keeper_of(target_of(url)).database_name(target_of(url))}_side"
        done = restore.beside(target_of(url), made["path"], name, str(pg17.bin), 2, silent)
        assert (done["total_rows"], done["differences"]) == (5000, [])
        pg17.drop_database(name)


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (990_099, "the backup comes from 99"),
        (80_040, "the backup comes from the other of MySQL and MariaDB"),
    ],
)
def test_a_dump_of_a_newer_or_another_make_is_not_given_to_mariadb(
    mariadb: MariaDBServer, mariadb_url: str, tmp_path: Path, version: int, words: str
) -> None:
    made = make_mariadb(mariadb_url, tmp_path)
    forge(made["path"], server_version=version)
    name = f"{name_in(mariadb_url)}_side"
    with pytest.raises(WindlassError, match=words) as refused:
        restore.beside(mariadb_target(mariadb_url), made["path"], name, "", 1, silent)
    assert (refused.value.code, refused.value.hint) == ("restore_failed", "nothing was touched")
    assert name not in mariadb_databases(mariadb)
