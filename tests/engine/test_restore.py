from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from testbed.waiting import wait_until
from tests.engine import awkward
from tests.engine.backups import Event, client, fill, fill_awkwardly, make, target_of
from tests.servers.postgresql import PostgresServer
from windlass_engine import session
from windlass_engine.backups import restore
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import manifest
from windlass_engine.schema import introspect

ROOT = Path(__file__).parents[2]


def silent(_: Event) -> None:
    pass


def name_in(url: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])


def databases(server: PostgresServer) -> set[str]:
    with server.connect() as admin:
        return {str(name) for (name,) in admin.execute("SELECT datname FROM pg_database").fetchall()}


def fetch(url: str, query: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def side(pg: PostgresServer) -> Iterator[str]:
    """A name for a side database, which is dropped afterwards."""
    name = f'side "{os.urandom(4).hex()}" ü'
    yield name
    pg.drop_database(name)


@pytest.fixture
def original(pg: PostgresServer) -> Iterator[str]:
    """An awkward database whose swaps leave nothing behind."""
    url = pg.create_database()
    fill_awkwardly(url)
    yield url
    for name in databases(pg):
        if name.startswith(name_in(url)):
            pg.drop_database(name)


def settle_in(server: PostgresServer, url: str) -> None:
    """Give a database everything that a dump leaves out."""
    name = name_in(url)
    fill(
        url,
        "DO $$ BEGIN CREATE ROLE owner_of_all NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        "DO $$ BEGIN CREATE ROLE caller LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        f"ALTER DATABASE {name} OWNER TO owner_of_all",
        f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC",
        f"GRANT CONNECT, TEMPORARY ON DATABASE {name} TO caller WITH GRANT OPTION",
        f"COMMENT ON DATABASE {name} IS 'a ''comment'' ü'",
        f'ALTER DATABASE {name} SET search_path = app, "$user", "Schr""äg"',
        f"ALTER DATABASE {name} SET app.colour = 'a, ''b'' \\c'",
        f"ALTER DATABASE {name} SET default_transaction_read_only = on",
        f"ALTER ROLE caller IN DATABASE {name} SET statement_timeout = '5s'",
        f"ALTER DATABASE {name} CONNECTION LIMIT 40",
    )


def restorer(folder: Path, server: PostgresServer, script: str) -> str:
    """Return a client whose pg_restore is a script of ours, but for what it lists."""
    return client(folder, server, pg_restore=f'case "$1" in --list) exec $real "$@";; esac\n{script}')


def test_everything_comes_back(each_pg: PostgresServer, tmp_path: Path) -> None:
    with each_pg.database() as url, each_pg.database() as spare:
        fill_awkwardly(url)
        settle_in(each_pg, url)
        made = make(url, tmp_path, each_pg)
        each_pg.drop_database(name_in(spare))
        events: list[Event] = []
        done = restore.beside(target_of(url), made["path"], name_in(spare), str(each_pg.bin), 2, events.append)
        assert done["differences"] == []
        assert (done["into"], done["backup"], done["swapped"]) == (name_in(spare), made["id"], False)
        assert done["total_rows"] == made["total_rows"]
        assert [events[0]["event"], events[-1]["event"]] == ["restore_started", "restore_done"]
        assert {"restoring", "verifying", "analysing"} <= {event.get("phase") for event in events}
        for query in (
            "SELECT * FROM app.thing ORDER BY id",
            'SELECT * FROM "Schr""äg"."Tab.elle" ORDER BY id',
            "SELECT * FROM app.event ORDER BY id",
            "SELECT * FROM app.counted ORDER BY 1",
            "SELECT last_value, is_called FROM app.thing_id_seq",
            "SELECT last_value, is_called FROM app.free",
            "SELECT md5(lo_get(oid)) FROM pg_largeobject_metadata",
            "SELECT current_setting('search_path'), current_setting('app.colour')",
            "SELECT pg_get_userbyid(datdba), datconnlimit, pg_encoding_to_char(encoding), datcollate, "
            "shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()",
            "SELECT a.grantee::regrole::text, a.privilege_type, a.is_grantable FROM pg_database, aclexplode(datacl) a "
            "WHERE datname = current_database() ORDER BY 1, 2",
            "SELECT setrole::regrole::text, setconfig FROM pg_db_role_setting "
            "WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1",
        ):
            assert fetch(url, query) == fetch(spare, query), query
        # Statistics too: the first queries would be slow without.
        assert fetch(spare, "SELECT count(*) > 0 FROM pg_stats WHERE schemaname = 'app'") == [(True,)]


def test_a_restored_database_has_the_same_fingerprint(
    original: str, pg: PostgresServer, side: str, tmp_path: Path
) -> None:
    made = make(original, tmp_path, pg)
    restore.beside(target_of(original), made["path"], side, str(pg.bin), 2, silent)
    with session.connect(target_of(pg.url_of(side))) as one:
        assert introspect.fingerprint(introspect.snapshot(one)) == made["fingerprint"]


def test_never_over_a_database_that_is_there(original: str, pg: PostgresServer, tmp_path: Path) -> None:
    made = make(original, tmp_path, pg)
    fill(original, "DELETE FROM app.child")
    with pytest.raises(WindlassError, match="a database of that name already") as caught:
        restore.beside(target_of(original), made["path"], name_in(original), str(pg.bin), 2, silent)
    assert caught.value.code == "restore_failed"
    assert fetch(original, "SELECT count(*) FROM app.child") == [(0,)]


def test_a_damaged_backup_is_refused_before_anything_is_made(
    original: str, pg: PostgresServer, side: str, tmp_path: Path
) -> None:
    made = make(original, tmp_path, pg)
    file = next(Path(made["path"]).glob("dump/*.dat*"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    # Damage is told before anything else that stands in the way: here, that the name is taken.
    for name in (side, name_in(original)):
        with pytest.raises(WindlassError, match=file.name) as caught:
            restore.beside(target_of(original), made["path"], name, str(pg.bin), 2, silent)
        assert caught.value.code == "backup_failed"
    assert side not in databases(pg)


def forge(made: Event, **changes: Any) -> None:
    """Change a manifest and seal it again: a backup that is whole and says something else than its data."""
    known = {**manifest.load(made["path"]), **changes}
    Path(made["path"], "manifest.json").unlink()
    manifest.write(made["path"], known)


def test_rows_that_differ_fail_and_leave_nothing(original: str, pg: PostgresServer, side: str, tmp_path: Path) -> None:
    made = make(original, tmp_path, pg)
    rows = {**manifest.load(made["path"])["rows"], "app.thing": 1_000, "app.gone": 3}
    forge(made, rows=rows)
    with pytest.raises(WindlassError) as caught:
        restore.beside(target_of(original), made["path"], side, str(pg.bin), 2, silent)
    assert caught.value.code == "restore_failed"
    assert caught.value.detail["differences"] == [
        "table app.gone: no rows instead of 3",
        f"table app.thing: {awkward.ROWS} rows instead of 1000",
    ]
    assert side not in databases(pg)


def test_a_schema_that_differs_fails(original: str, pg: PostgresServer, side: str, tmp_path: Path) -> None:
    made = make(original, tmp_path, pg)
    path = Path(made["path"], "schema.json")
    path.write_text(path.read_text().replace("RETURN NEW;", "RETURN OLD;"))
    files = {**manifest.load(made["path"])["files"], "schema.json": manifest.hash_files(made["path"])["schema.json"]}
    forge(made, files=files, fingerprint="v1:other")
    with pytest.raises(WindlassError, match=r"~ function app\.touch\(\): line 7: RETURN OLD; -> RETURN NEW;"):
        restore.beside(target_of(original), made["path"], side, str(pg.bin), 2, silent)
    assert side not in databases(pg)


def test_a_sequence_behind_its_column_fails(original: str, pg: PostgresServer, side: str, tmp_path: Path) -> None:
    made = make(original, tmp_path, pg)
    late = '$real "$@" && PGPASSWORD=$PGPASSWORD {psql} -q -d "$database" -c "SELECT setval(\'app.thing_id_seq\', 5)"'
    script = f'for word in "$@"; do case $word in *dbname=*) database=$word;; esac; done\n{late.format(psql=pg.bin / "psql")}'
    with pytest.raises(WindlassError, match=r"sequence app\.thing_id_seq stands at 5, app\.thing\.id holds"):
        restore.beside(target_of(original), made["path"], side, restorer(tmp_path, pg, script), 2, silent)
    assert side not in databases(pg)


def test_a_database_that_cannot_be_written_to_fails(
    original: str, pg: PostgresServer, side: str, tmp_path: Path
) -> None:
    fill(
        original,
        "CREATE FUNCTION app.no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$",
        "CREATE EVENT TRIGGER no ON ddl_command_start WHEN TAG IN ('CREATE SCHEMA') EXECUTE FUNCTION app.no()",
    )
    made = make(original, tmp_path, pg)
    with pytest.raises(WindlassError, match="not today") as caught:
        restore.beside(target_of(original), made["path"], side, str(pg.bin), 2, silent)
    assert caught.value.code == "restore_failed"
    assert side not in databases(pg)


def test_a_sequence_that_was_behind_before_is_a_note(
    original: str, pg: PostgresServer, side: str, tmp_path: Path
) -> None:
    fill(original, "SELECT setval('app.thing_id_seq', 10)")
    made = make(original, tmp_path, pg)
    done = restore.beside(target_of(original), made["path"], side, str(pg.bin), 2, silent)
    assert done["differences"] == [
        f"sequence app.thing_id_seq stands at 10, app.thing.id holds {awkward.ROWS}, as in the original"
    ]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('$real "$@"; kill -9 $$', "pg_restore was killed by SIGKILL"),
        ('$real "$@"; echo oh no >&2; exit 1', "pg_restore ended with exit status 1: oh no"),
        ("exit 0", "is not what was saved"),
    ],
)
def test_a_failed_restore_leaves_nothing(
    original: str, pg: PostgresServer, side: str, tmp_path: Path, script: str, message: str
) -> None:
    made = make(original, tmp_path, pg)
    with pytest.raises(WindlassError, match=message) as caught:
        restore.beside(target_of(original), made["path"], side, restorer(tmp_path, pg, script), 2, silent)
    assert caught.value.code == "restore_failed"
    assert side not in databases(pg)


def test_the_first_error_stops_it(original: str, pg: PostgresServer, side: str, tmp_path: Path) -> None:
    made = make(original, tmp_path, pg)
    # A table of the dump is there already when pg_restore begins.
    script = f"""for word in "$@"; do case $word in *dbname=*) database=$word;; esac; done
{pg.bin / "psql"} -q -d "$database" -c 'CREATE SCHEMA app' && exec $real "$@" """
    with pytest.raises(WindlassError, match='schema "app" already exists'):
        restore.beside(target_of(original), made["path"], side, restorer(tmp_path, pg, script), 2, silent)
    assert side not in databases(pg)


def test_obstacles_are_told_together_before_anything_is_made(
    original: str, pg: PostgresServer, side: str, tmp_path: Path
) -> None:
    made = make(original, tmp_path, pg)
    known = manifest.load(made["path"])
    extensions = [*known["settings"]["extensions"], {"name": "nowhere_ext", "version": "1", "schema": "public"}]
    forge(
        made,
        server_version=990000,
        globals={**known["globals"], "needed_roles": ["postgres", "nobody here"]},
        settings={**known["settings"], "extensions": extensions},
    )
    with pytest.raises(WindlassError) as caught:
        restore.beside(target_of(original), made["path"], side, str(pg.bin), 2, silent)
    assert len(caught.value.detail["obstacles"]) == 3
    assert "nobody here" in str(caught.value)
    assert "nowhere_ext" in str(caught.value)
    assert "the backup comes from 99" in str(caught.value)
    assert side not in databases(pg)


def test_a_killed_restore_is_never_taken_for_a_good_one(
    original: str, pg: PostgresServer, side: str, tmp_path: Path
) -> None:
    made = make(original, tmp_path, pg)
    os.mkfifo(tmp_path / "gate")
    folder = restorer(
        tmp_path,
        pg,
        f'$real "$@"; echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/paused; read line < {tmp_path}/gate',
    )
    code = (
        "import os, sys\n"
        "from windlass_engine.backups import restore\n"
        "from windlass_engine.model import Target\n"
        "path, side, client = sys.argv[1:]\n"
        "restore.beside(Target('x', 'test', os.environ['URL']), path, side, client, 1, lambda event: None)\n"
    )
    env = {**os.environ, "URL": original, "PYTHONPATH": str(ROOT / "src")}
    engine = subprocess.Popen([sys.executable, "-c", code, made["path"], side, folder], env=env)
    wait_until((tmp_path / "paused").exists, what="the restore to be under way")
    engine.kill()
    engine.wait()
    os.kill(int((tmp_path / "paused").read_text()), signal.SIGKILL)
    # All the data is there, and still nobody may swap it in.
    assert fetch(pg.url_of(side), "SELECT count(*) FROM app.thing") == [(awkward.ROWS,)]
    with pytest.raises(WindlassError, match="never restored to its end"):
        restore.swap(target_of(original), side, silent)


def test_an_older_backup_into_a_newer_server(pg15: PostgresServer, pg18: PostgresServer, tmp_path: Path) -> None:
    with pg15.database() as url, pg18.database() as spare:
        fill_awkwardly(url)
        made = make(url, tmp_path, pg15)
        fill(spare, awkward.ROLE)
        pg18.drop_database(name_in(spare))
        done = restore.beside(target_of(spare), made["path"], name_in(spare), str(pg18.bin), 2, silent)
        assert fetch(spare, "SELECT count(*) FROM app.thing") == [(awkward.ROWS,)]
    assert all(line.startswith("~ ") for line in done["differences"])
