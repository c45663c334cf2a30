from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests.engine.backups import Event, fill, make, target_of
from tests.engine.test_restore import forge
from tests.servers import unprivileged
from tests.servers.postgresql import PostgresServer
from windlass_engine.backups import restore
from windlass_engine.dialects.postgresql import outlook
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import manifest


def name_in(url: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])


def databases(server: PostgresServer) -> set[str]:
    with server.connect() as admin:
        return {str(name) for (name,) in admin.execute("SELECT datname FROM pg_database").fetchall()}


def look(url: str, path: str, server: PostgresServer, into: str = "beside_it") -> list[str]:
    before = databases(server)
    found = restore.look(target_of(url), path, into, str(server.bin))
    assert databases(server) == before
    assert (found["into"], found["path"], found["swapped"]) == (into, path, False)
    return [str(line) for line in found["outlook"]]


def test_versions_needs_room_and_sessions(each_pg: PostgresServer, tmp_path: Path) -> None:
    with each_pg.database() as url:
        fill(url, "CREATE TABLE t AS SELECT 1 AS a")
        made = make(url, tmp_path, each_pg)
        lines = look(url, made["path"], each_pg)
        with psycopg.connect(url, application_name="till 3"):
            busy = look(url, made["path"], each_pg)
    assert lines[0].startswith(f"the backup comes from PostgreSQL {each_pg.version}.")
    assert f"pg_restore {each_pg.version}." in lines[0]
    assert lines[1].startswith("roles that it needs: postgres; extensions that it needs: plpgsql; tablespaces that")
    assert any("it will take about" in line and "are free" in line for line in lines)
    assert lines[-1] == f"nobody is in {name_in(url)} now"
    assert busy[-1].startswith(f"1 session is in {name_in(url)} now (till 3 of postgres)")


def test_what_a_restore_tells_first_is_what_a_look_tells(database: str, pg: PostgresServer, tmp_path: Path) -> None:
    made = make(database, tmp_path, pg)
    events: list[Event] = []
    into = f"{name_in(database)}_restored"
    expected = look(database, made["path"], pg, into)
    try:
        done = restore.beside(target_of(database), made["path"], into, str(pg.bin), 1, events.append)
    finally:
        pg.drop_database(into)
    assert done["outlook"] == expected
    told = [event["event"] for event in events]
    assert told.index("restore_outlook") < told.index("restore_progress")
    assert [event["text"] for event in events if event["event"] == "restore_outlook"] == expected


def test_what_names_the_original_is_named(database: str, pg: PostgresServer, tmp_path: Path) -> None:
    name = name_in(database)
    fill(
        database,
        f"CREATE FUNCTION by_dblink() RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
        f"PERFORM dblink_exec('dbname={name} user=x', 'DELETE FROM t'); END $$",
        f"CREATE FUNCTION guarded() RETURNS bool LANGUAGE sql AS $$ SELECT current_database() = '{name}' $$",
        f"CREATE FUNCTION by_url() RETURNS text LANGUAGE sql AS $$ SELECT 'postgresql://x@h:5432/{name}'::text $$",
        f"CREATE FUNCTION another() RETURNS text LANGUAGE sql AS $$ SELECT 'dbname={name}_2 database {name}x' $$",
        f"CREATE FUNCTION harmless() RETURNS text LANGUAGE sql AS $$ SELECT 'we are {name}' $$",
        "CREATE FOREIGN DATA WRAPPER far",
        f"CREATE SERVER elsewhere FOREIGN DATA WRAPPER far OPTIONS (host 'h', dbname '{name}')",
    )
    made = make(database, tmp_path, pg)
    found = [line.partition(" names the database")[0] for line in look(database, made["path"], pg) if " names " in line]
    functions = [f"function public.{name}()" for name in ("by_dblink", "by_url", "guarded")]
    assert sorted(found) == ["foreign server elsewhere", *functions]


def test_what_cannot_be_looked_at_is_said(tmp_path: Path) -> None:
    """A backup whose schema is encrypted, and nobody gave the identity."""
    (line,) = outlook._bodies(str(tmp_path), "salon")
    assert "was not looked for: it is encrypted" in line


def test_missing_tablespaces_stand_in_the_way(pg: PostgresServer, database: str, tmp_path: Path) -> None:
    place = pg.folder / "space"
    place.mkdir()
    unprivileged.give(place)
    fill(database, f"CREATE TABLESPACE roomy LOCATION '{place}'")
    try:
        fill(database, "CREATE TABLE t (a int) TABLESPACE roomy")
        made = make(database, tmp_path, pg)
        assert any("tablespaces that it needs: roomy" in line for line in look(database, made["path"], pg))
    finally:
        fill(database, "DROP TABLE IF EXISTS t", "DROP TABLESPACE roomy")
    with pytest.raises(WindlassError, match=r"lacks the tablespaces roomy \(CREATE TABLESPACE") as caught:
        look(database, made["path"], pg)
    assert caught.value.hint == "nothing was touched"


def test_too_little_room_stands_in_the_way(
    pg: PostgresServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(database, tmp_path, pg)
    monkeypatch.setattr(outlook, "free", lambda admin: 1000)
    with pytest.raises(WindlassError, match=r"it would take about \d+ MB in the server's data folder, where 0 MB"):
        look(database, made["path"], pg)
    monkeypatch.setattr(outlook, "free", lambda admin: None)
    assert any("cannot be seen from here" in line for line in look(database, made["path"], pg))


def test_other_versions_of_extensions_are_named(pg: PostgresServer, database: str, tmp_path: Path) -> None:
    made = make(database, tmp_path, pg)
    settings = manifest.load(made["path"])["settings"]
    forge(made, settings={**settings, "extensions": [{"name": "plpgsql", "version": "0.9", "schema": "pg_catalog"}]})
    lines = look(database, made["path"], pg)
    assert "extension plpgsql: the server installs version 1.0, the original had 0.9" in lines
