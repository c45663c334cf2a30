from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.engine import awkward
from tests.engine.backups import Event, fill, fill_awkwardly, left_behind, make, settings_for, target_of
from tests.servers.postgresql import PostgresServer
from windlass_engine import session
from windlass_engine.backups import backup
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import manifest
from windlass_engine.schema import introspect


@pytest.fixture
def filled(database: str) -> str:
    fill_awkwardly(database)
    return database


def test_a_backup_tells_what_it_holds(each_pg: PostgresServer, tmp_path: Path) -> None:
    with each_pg.database() as url:
        fill_awkwardly(url)
        with session.connect(target_of(url)) as one:
            fingerprint = introspect.fingerprint(introspect.snapshot(one))
        made = make(url, tmp_path, each_pg, who="ada", why="deploy")
        with each_pg.connect() as admin:
            system_version = admin.info.server_version
    known = manifest.load(made["path"])
    assert known["rows"]["app.thing"] == awkward.ROWS
    assert known["rows"]['"Schr""äg"."Tab.elle"'] == 50
    assert known["rows"]["app.event_1"] + known["rows"]["app.event_rest"] == 40
    assert known["rows"]["app.log"] == 7  # its child counts by itself
    assert known["rows"]["app.child"] == 5
    assert known["total_rows"] == sum(known["rows"].values())
    assert known["large_objects"] == 1
    assert known["fingerprint"] == fingerprint
    assert known["server_version"] == system_version
    assert known["client_version"].startswith(f"{each_pg.version}.")
    assert known["compression"] in ("gzip:1", "zstd:1")
    assert known["sequences_behind"] == []
    assert (known["who"], known["why"], known["run_id"]) == ("ada", "deploy", "run-1")
    assert known["started"] < known["finished"]
    assert known["bytes"] == sum(path.stat().st_size for path in Path(made["path"]).rglob("*") if path.is_file()) - (
        Path(made["path"], "manifest.json").stat().st_size
    )
    assert set(known["globals"]["needed_roles"]) == {"postgres", "reader ü"}
    assert known["globals"]["roles"][0].keys() & {"password", "rolpassword"} == set()
    assert made["total_rows"] == known["total_rows"]
    assert backup.check(made["path"])["id"] == made["id"]


def test_the_summary_holds_no_settings(filled: str, pg: PostgresServer, tmp_path: Path) -> None:
    name = psycopg.conninfo.conninfo_to_dict(filled)["dbname"]
    fill(filled, f"ALTER DATABASE \"{name}\" SET app.token = 'do-not-show'")
    made = make(filled, tmp_path, pg)
    assert "do-not-show" not in json.dumps(made)
    assert manifest.load(made["path"])["settings"]["settings"] == ["app.token=do-not-show"]


def test_only_the_owner_can_read_it(filled: str, pg: PostgresServer, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        made = make(filled, tmp_path, pg)
    finally:
        os.umask(before)
    for path in [tmp_path / "backups", Path(made["path"]).parent, *Path(made["path"]).rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert stat.S_IMODE(Path(made["path"]).stat().st_mode) == 0o700


def test_events_tell_of_beginning_and_end(filled: str, pg: PostgresServer, tmp_path: Path) -> None:
    events: list[Event] = []
    made = backup.make(target_of(filled), settings_for(tmp_path, pg), events.append)
    assert [event["event"] for event in events if event["event"] != "backup_progress"] == [
        "backup_started",
        "backup_done",
    ]
    assert events[0]["path"] == made["path"]
    assert events[-1]["bytes"] == made["bytes"]
    assert all(event["database"] == made["database"] and event["at"].endswith("+00:00") for event in events)


def test_counts_are_of_the_dump_and_not_of_what_is_written_meanwhile(
    filled: str, pg: PostgresServer, tmp_path: Path
) -> None:
    def write(event: Event) -> None:
        if event["event"] == "backup_started":
            fill(
                filled,
                "INSERT INTO app.thing (n) SELECT 5 FROM generate_series(1, 100)",
                'DELETE FROM "Schr""äg"."Tab.elle"',
                "CREATE TABLE app.born_later (a int)",
            )

    made = backup.make(target_of(filled), settings_for(tmp_path, pg), write)
    rows = manifest.load(made["path"])["rows"]
    assert rows["app.thing"] == awkward.ROWS
    assert rows['"Schr""äg"."Tab.elle"'] == 50
    assert "app.born_later" not in rows


def test_a_table_that_stays_locked_is_an_error_and_no_wait_for_ever(
    filled: str, pg: PostgresServer, tmp_path: Path
) -> None:
    with psycopg.connect(filled) as other:
        other.execute("LOCK TABLE app.reference")
        with pytest.raises(WindlassError, match="lock timeout") as caught:
            make(filled, tmp_path, pg, lock_wait_s=0.2)
    assert caught.value.code == "backup_failed"
    assert left_behind(tmp_path) == []


def test_a_sequence_that_is_behind_already_is_written_down(filled: str, pg: PostgresServer, tmp_path: Path) -> None:
    fill(filled, "SELECT setval('app.thing_id_seq', 10)")
    made = make(filled, tmp_path, pg)
    assert manifest.load(made["path"])["sequences_behind"] == [
        f"sequence app.thing_id_seq stands at 10, app.thing.id holds {awkward.ROWS}"
    ]


def test_a_sequence_that_feeds_a_column_need_not_be_its_own(database: str, pg: PostgresServer, tmp_path: Path) -> None:
    fill(
        database,
        'CREATE SEQUENCE "its ""own"',
        'CREATE TABLE t (a int DEFAULT nextval(\'"its ""own"\'), b int DEFAULT nextval(\'"its ""own"\') * -10, c serial)',
        "INSERT INTO t SELECT i, -i, i FROM generate_series(1, 5) i",
        "SELECT setval('t_c_seq', 5)",
    )
    made = make(database, tmp_path, pg)
    assert manifest.load(made["path"])["sequences_behind"] == [
        'sequence public."its ""own" stands at 0, public.t.a holds 5'
    ]


@pytest.mark.parametrize("name", ["..", "a/b", ".hidden", "ünï \"q\" 'x'", "a%2Fb", "x" * 63])
def test_any_database_name_makes_one_safe_folder(pg: PostgresServer, tmp_path: Path, name: str) -> None:
    with pg.database(name) as url:
        made = make(url, tmp_path, pg)
    assert Path(made["path"]).parents[1] == tmp_path / "backups"
    assert made["database"] == name
    assert [entry["id"] for entry in backup.catalogue(str(tmp_path / "backups"), name)] == [made["id"]]
    assert [entry["database"] for entry in backup.catalogue(str(tmp_path / "backups"))] == [name]


def test_find_by_id_latest_and_run(database: str, pg: PostgresServer, tmp_path: Path) -> None:
    made = [make(database, tmp_path, pg, run_id=run) for run in ("run-1", "run-2", "run-2")]
    folder, name = str(tmp_path / "backups"), made[0]["database"]
    newest = max(made, key=lambda each: str(each["id"]))
    assert backup.find(folder, name, "latest")["id"] == newest["id"]
    assert backup.find(folder, name, made[1]["id"])["path"] == made[1]["path"]
    assert backup.find(folder, name, "before:run-1")["id"] == made[0]["id"]
    with pytest.raises(WindlassError, match="no backup 'before:run-9'") as caught:
        backup.find(folder, name, "before:run-9")
    assert str(made[0]["id"]) in caught.value.hint
    assert "note" not in backup.find(folder, name, "before:run-1")
    # A run that made none: the last one before it.
    later = f"20991231T000000Z-{'0' * 6}"
    found = backup.find(folder, name, f"before:{later}")
    assert (found["id"], "made no backup of its own" in found["note"]) == (newest["id"], True)
    with pytest.raises(WindlassError, match="no backup 'before:2001"):
        backup.find(folder, name, f"before:20010101T000000Z-{'0' * 6}")
    with pytest.raises(WindlassError, match="no backup 'latest' of other"):
        backup.find(folder, "other", "latest")
    # Nothing that a caller passes on can lead out of the folder.
    with pytest.raises(WindlassError, match="no backup"):
        backup.find(folder, name, "../../etc")


def test_latest_is_the_latest_good_one(database: str, pg: PostgresServer, tmp_path: Path) -> None:
    good, bad = sorted((make(database, tmp_path, pg) for _ in range(2)), key=lambda each: str(each["id"]))
    Path(bad["path"], "manifest.json").write_text("{")
    folder, name = str(tmp_path / "backups"), good["database"]
    assert backup.find(folder, name, "latest")["id"] == good["id"]
    assert [entry["state"] for entry in backup.catalogue(folder, name)] == ["damaged", "complete"]
    with pytest.raises(WindlassError, match="not usable"):
        backup.find(folder, name, bad["id"])


def test_two_at_once(filled: str, pg: PostgresServer, tmp_path: Path) -> None:
    results: list[Any] = []

    def one() -> None:
        results.append(make(filled, tmp_path, pg, jobs=1))

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({made["id"] for made in results}) == 2
    assert all(backup.check(made["path"])["state"] == "complete" for made in results)
    assert len(left_behind(tmp_path)) == 2


def test_the_journal_is_in_the_manifest(pg: PostgresServer, database: str, tmp_path: Path) -> None:
    with session.connect(target_of(database)) as one:
        from windlass_engine import journal

        journal.create(one)
        head = journal.read(one).head
    made = make(database, tmp_path, pg)
    assert made["journal_head"] == head
    assert manifest.load(made["path"])["rows"]["windlass.migrations"] == 0


def test_an_empty_database(database: str, pg: PostgresServer, tmp_path: Path) -> None:
    made = make(database, tmp_path, pg)
    assert (made["tables"], made["total_rows"], made["journal_applied"]) == (0, 0, "")


def test_more_tables_than_are_locked_at_once(database: str, pg: PostgresServer, tmp_path: Path) -> None:
    fill(
        database,
        "DO $$ BEGIN FOR i IN 1..1100 LOOP EXECUTE format('CREATE TABLE t%s AS SELECT 1 AS a', i); END LOOP; END $$",
    )
    made = make(database, tmp_path, pg)
    assert (made["tables"], made["total_rows"]) == (1100, 1100)
