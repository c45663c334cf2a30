"""Restores of MariaDB: all comes back, verified; nothing of it can reach the original."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from testbed.waiting import wait_until
from tests.engine.mariadb_backups import (
    REACHING,
    Event,
    bring_back,
    code,
    contents,
    databases,
    drop_all,
    fetch,
    fill,
    make,
    name_in,
    program,
    run,
    target_of,
)  # fmt: skip
from tests.systems import Bench
from windlass import project as projects
from windlass_engine import plan, session
from windlass_engine.backups import restore, trial
from windlass_engine.dialects.mysql import client, dumping
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import manifest
from windlass_engine.schema import introspect
from windlass_engine.scratch import PREFIX

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer

ROOT = Path(__file__).parents[2]
SYSTEMS = sorted(p.parent.name for p in ROOT.glob("sql/*/system.yml") if "engine: mysql" in p.read_text())


@pytest.fixture
def url(mariadb: MariaDBServer) -> Iterator[str]:
    """An empty database; those whose names begin as its own go with it."""
    made = mariadb.create_database()
    yield made
    drop_all(mariadb, name_in(made))


def beside(mariadb: MariaDBServer, url: str) -> tuple[str, str]:
    """Name and URL of a database beside another."""
    name = f"{name_in(url)}_s ü`"
    return name, mariadb.url_of(name)


@pytest.mark.parametrize("parts", [1, 2])
def test_everything_comes_back(
    mariadb: MariaDBServer, url: str, tmp_path: Path, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dumping, "_WORTH_A_PART", 1 << 30 if parts == 1 else 1)
    fill(url)
    if parts == 2:  # with a default that asks a sequence there is but one part
        run(url, "DROP TABLE numbered", "CREATE TABLE numbered (id int DEFAULT 4, n int)")
    before = contents(url)
    made = make(url, tmp_path)
    assert len(manifest.load(made["path"])["parts"]) == parts
    name, side = beside(mariadb, url)
    events: list[Event] = []
    done = bring_back(url, made, name, events.append)
    assert (done["differences"], done["total_rows"], done["into"]) == ([], made["total_rows"], name)
    assert contents(side) == before
    assert code(side) == code(url)
    assert fetch(side, "SELECT status FROM information_schema.EVENTS WHERE event_schema = DATABASE()") == [
        ("DISABLED",)
    ]
    assert {"restoring", "verifying", "analysing"} <= {event.get("phase") for event in events}
    # Nothing was written into the original, and the side's own sequence serves its table.
    assert contents(url) == before
    run(side, "INSERT INTO numbered (n) VALUES (9)", "INSERT INTO thing (n) VALUES (9)")
    assert contents(url) == before


def test_what_could_reach_the_original_waits_and_is_said_first(
    mariadb: MariaDBServer, url: str, tmp_path: Path
) -> None:
    fill(url, *REACHING)
    made = make(url, tmp_path)
    before = contents(url)
    name, side = beside(mariadb, url)
    events: list[Event] = []
    done = bring_back(url, made, name, events.append)
    told = [event["event"] for event in events]
    outlook = " ".join(event["text"] for event in events if event["event"] == "restore_outlook")
    assert "users as whom its code runs: root@%" in outlook and f"nobody is in {name_in(url)} now" in outlook
    notes = next(event["notes"] for event in events if event["event"] == "restore_notes")
    assert told.index("restore_notes") < told.index("restore_progress")
    waiting = {"trigger reaching", "procedure reaching_too", "procedure by_text", "function reaching"}
    assert {note.partition(" names the schema")[0] for note in notes} == waiting
    assert set(notes) <= set(restore.look(target_of(url), made["path"], f"{name_in(url)}_other", "")["outlook"])
    assert any(line.startswith("view over_reaching waits for the swap") for line in done["differences"])
    assert not {label.partition(" ")[2] for label in waiting} & {piece for _, piece in code(side)}
    # Everything that stands there is used: the original does not notice.
    run(side, "INSERT INTO thing (n) VALUES (8)", "UPDATE thing SET n = n + 1", "CALL note(1)", "DELETE FROM parent")
    assert fetch(side, "SELECT COUNT(*) FROM a_first") == [(4,)]
    assert contents(url) == before


def test_a_schema_of_the_same_name_elsewhere_is_no_reason_to_wait(
    mariadb: MariaDBServer, url: str, tmp_path: Path
) -> None:
    name = name_in(url)
    run(url, "CREATE TABLE t (id int)")
    run(url, f"CREATE PROCEDURE says() SELECT '{name}.t' AS `{name}` -- {name}.t")
    made = make(url, tmp_path)
    assert manifest.load(made["path"])["names_itself"] == []


def test_missing_users_are_told_before_anything_is_made(mariadb: MariaDBServer, url: str, tmp_path: Path) -> None:
    run(mariadb.url, "CREATE OR REPLACE USER gone_soon", "CREATE OR REPLACE USER gone_before")
    run(url, "CREATE DEFINER=gone_soon PROCEDURE a() SELECT 1", "CREATE DEFINER=gone_before PROCEDURE b() SELECT 1")
    run(mariadb.url, "DROP USER gone_before")
    made = make(url, tmp_path)
    run(mariadb.url, "DROP USER gone_soon")
    name, _ = beside(mariadb, url)
    with pytest.raises(WindlassError, match=r"lacks the users gone_soon@%, as whom code runs \(CREATE USER") as caught:
        bring_back(url, made, name)
    assert (caught.value.code, caught.value.hint) == ("restore_failed", "nothing was touched")
    assert name not in databases(mariadb)
    with pytest.raises(WindlassError, match="lacks the users gone_soon@%"):
        restore.look(target_of(url), made["path"], name, "")
    with pytest.raises(WindlassError, match="lacks the users gone_soon@%"):  # and no word against the backup
        trial.run(target_of(url), trial.Trial(made["path"]), lambda _: None)
    run(mariadb.url, "CREATE USER gone_soon")
    notes = bring_back(url, made, name)["differences"]
    assert notes == ["the user gone_before@%, as whom code runs, is missing, as in the original"]


def test_a_login_with_few_rights_is_told_which_it_needs(mariadb: MariaDBServer, url: str, tmp_path: Path) -> None:
    run(mariadb.url, "CREATE OR REPLACE USER owner IDENTIFIED BY 'o'")
    run(url, "CREATE TABLE t (id int)", f"GRANT ALL ON `{name_in(url)}`.* TO owner")
    own = mariadb.url_of(name_in(url), user="owner", password="o")
    made = make(own, tmp_path)
    name = f"{name_in(url)}_side"
    with pytest.raises(WindlassError, match=f"may not make the database {name}") as caught:
        bring_back(own, made, name)
    run(mariadb.url, caught.value.hint.partition(" TO it")[0] + " TO owner")
    bring_back(own, made, name)
    done = restore.swap(target_of(own), name, lambda _: None)
    # Code of somebody else can neither be restored nor put back by this login, so neither is begun.
    run(url, "CREATE PROCEDURE roots() SELECT 1")
    with pytest.raises(WindlassError, match="may not see the text of procedure roots"):
        restore.undo_swap(target_of(own), lambda _: None)
    run(mariadb.url, "GRANT SELECT ON mysql.proc TO owner")
    with pytest.raises(WindlassError, match=r"may not make code that runs as root@% \(GRANT SET USER"):
        restore.undo_swap(target_of(own), lambda _: None)
    with pytest.raises(WindlassError, match="may not make code that runs as root@%"):
        bring_back(own, make(own, tmp_path), f"{name_in(url)}_other")
    assert fetch(url, "SELECT COUNT(*) FROM t") == [(0,)] and done["kept_as"] in databases(mariadb)


def test_an_event_whose_time_is_over_is_noted(mariadb: MariaDBServer, url: str, tmp_path: Path) -> None:
    run(url, "CREATE EVENT soon ON SCHEDULE AT NOW() + INTERVAL 1 SECOND DO DO 0")
    made = make(url, tmp_path)
    over = "SELECT COUNT(*) FROM information_schema.EVENTS WHERE execute_at < NOW()"
    wait_until(lambda: fetch(url, over) == [(1,)], what="the event's time")
    name, _ = beside(mariadb, url)
    assert bring_back(url, made, name)["differences"] == ["event soon is over, so it is not made"]
    restore.swap(target_of(url), name, lambda _: None)
    assert code(url) == set()


@pytest.mark.parametrize("odd", ["a.b", "-q", "it's", "per%cent"])
def test_any_name_of_a_database_and_its_parts(mariadb: MariaDBServer, url: str, tmp_path: Path, odd: str) -> None:
    made_of = f"{name_in(url)}{odd}"
    named = mariadb.create_database(made_of)
    run(named, f"CREATE TABLE `{odd}` (id int)", f"CREATE VIEW `v{odd}` AS SELECT * FROM `{odd}`")
    run(
        named,
        f"CREATE TRIGGER `t{odd}` BEFORE INSERT ON `{odd}` FOR EACH ROW SET NEW.id = 1",
        f"INSERT INTO `{odd}` VALUES (5)",
    )
    before = contents(named), code(named)
    made = make(named, tmp_path)
    bring_back(named, made, f"{made_of}_side")
    restore.swap(target_of(named), f"{made_of}_side", lambda _: None)
    assert (contents(named), code(named)) == before


def test_never_over_a_database_that_is_there(mariadb: MariaDBServer, url: str, tmp_path: Path) -> None:
    made = make(url, tmp_path)
    with pytest.raises(WindlassError, match="a database of that name already"):
        bring_back(url, made, name_in(url))
    for name, way_round in (("side", "--into"), ("restored", "--into, or take that database away with --drop")):
        mariadb.create_database(f"{name_in(url)}_{name}")
        with pytest.raises(WindlassError, match="a database of that name already") as caught:
            bring_back(url, made, f"{name_in(url)}_{name}")
        assert caught.value.hint == f"nothing was touched; give another name with {way_round}"
    with pytest.raises(WindlassError, match="1 to 64 characters"):
        bring_back(url, made, "x" * 65)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('$real "$@"; kill -9 $$', "mariadb was killed by SIGKILL"),
        ('$real "$@"; echo ERROR 1 oh no >&2; exit 1', "mariadb ended with exit status 1: ERROR 1 oh no"),
        ("cat >/dev/null; exit 0", "cannot be made"),
        ('head -c 1500 | $real "$@"', "mariadb ended|cannot be made"),
    ],
)
def test_a_failed_restore_leaves_nothing(
    mariadb: MariaDBServer, url: str, tmp_path: Path, script: str, message: str
) -> None:
    fill(url)
    made = make(url, tmp_path)
    name, _ = beside(mariadb, url)
    with pytest.raises(WindlassError, match=message) as caught:
        bring_back(url, made, name, client_bin=program(tmp_path / "bin", "mariadb", script))
    assert caught.value.code == "restore_failed"
    assert name not in databases(mariadb)


def forge(made: Event, **changes: Any) -> None:
    """Change a manifest and seal it again."""
    known = {**manifest.load(made["path"]), **changes}
    Path(made["path"], "manifest.json").unlink()
    manifest.write(made["path"], known)


def test_the_first_error_stops_it_and_shows_no_rows(mariadb: MariaDBServer, url: str, tmp_path: Path) -> None:
    run(url, "CREATE TABLE t (id int)", "INSERT INTO t VALUES (4711)", "CREATE TABLE u (id int)")
    made = make(url, tmp_path)
    part = Path(made["path"], "dump", "part-001.sql.zst")
    text = subprocess.run(["zstd", "-dc", part], check=True, capture_output=True).stdout
    part.unlink()
    bad = text.replace(b"INSERT INTO `t`", b"INSERT INTO `nowhere`")
    subprocess.run(["zstd", "-q", "-o", part], input=bad, check=True)
    forge(made, files=manifest.hash_files(made["path"]))
    name, _ = beside(mariadb, url)
    with pytest.raises(WindlassError, match="nowhere' doesn't exist") as caught:
        bring_back(url, made, name)
    assert "4711" not in str(caught.value.to_wire())
    assert name not in databases(mariadb)


def test_rows_that_differ_fail_and_leave_nothing(mariadb: MariaDBServer, url: str, tmp_path: Path) -> None:
    fill(url)
    made = make(url, tmp_path)
    forge(made, rows={**manifest.load(made["path"])["rows"], "thing": 1000, "gone": 3})
    name, _ = beside(mariadb, url)
    with pytest.raises(WindlassError) as caught:
        bring_back(url, made, name)
    assert caught.value.detail["differences"] == [
        "table gone: no rows instead of 3", "table thing: 3 rows instead of 1000",
    ]  # fmt: skip
    assert name not in databases(mariadb)


def test_the_sandbox_line_is_no_obstacle_for_older_clients(
    mariadb: MariaDBServer, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(url, "CREATE TABLE t (id int)")
    made = make(url, tmp_path)
    known = manifest.load(made["path"])
    if known["sandbox"] != known["parts"]:
        pytest.skip("this mariadb-dump writes no sandbox line")
    monkeypatch.setattr(client.Client, "knows_sandbox", False)
    seen = tmp_path / "seen"
    name, _ = beside(mariadb, url)
    bring_back(url, made, name, client_bin=program(tmp_path / "bin", "mariadb", f'tee {seen} | $real "$@"'))
    assert b"999999" not in seen.read_bytes() and seen.read_bytes().startswith(b"-- MariaDB dump")


def test_an_encrypted_backup_comes_back(mariadb: MariaDBServer, url: str, tmp_path: Path) -> None:
    if not shutil.which("age-keygen"):
        pytest.skip("age is missing: apt-get install age")
    key = tmp_path / "key"
    subprocess.run(["age-keygen", "-o", key], check=True, capture_output=True)
    public = subprocess.run(["age-keygen", "-y", key], check=True, capture_output=True, text=True).stdout.strip()
    fill(url)
    made = make(url, tmp_path, recipients=(public,))
    assert sorted(path.name for path in Path(made["path"], "dump").iterdir()) == [
        "code.json.age", "code.sql.age", "part-001.sql.zst.age",
    ]  # fmt: skip
    name, side = beside(mariadb, url)
    bring_back(url, made, name, identity=key.read_text())
    assert contents(side) == contents(url)


def test_by_hand(mariadb: MariaDBServer, url: str, tmp_path: Path) -> None:
    """What docs/backups.md tells to do without Windlass."""
    fill(url, *REACHING)
    made = make(url, tmp_path)
    before, fingerprint = contents(url), made["fingerprint"]
    name = name_in(url)
    run(mariadb.url, f"DROP DATABASE `{name}`", f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
    login = [f"--port={mariadb.port}", "--host=127.0.0.1", "--user=root", f"--password={mariadb.password}", name]
    for source in (f"zstd -dc {made['path']}/dump/part-*.sql.zst", f"cat {made['path']}/dump/code.sql"):
        text = subprocess.run(source, shell=True, check=True, capture_output=True).stdout
        subprocess.run(["mariadb", "--no-defaults", "--binary-mode", *login], input=text, check=True)
    assert contents(url) == before
    with session.connect(target_of(url)) as one:
        assert introspect.fingerprint(introspect.snapshot(one)) == fingerprint


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_shipped_system_is_proved_to_restore(mariadb: MariaDBServer, url: str, tmp_path: Path, system: str) -> None:
    bench = Bench(url)
    project = projects.load(ROOT, system, parse="all")
    deployed = bench.run(plan.plan_up(project.view(), bench.journal(), database="test", parse=project.full))
    assert deployed["error"] is None
    made = make(url, tmp_path)
    assert made["journal_applied"] == project.migrations[-1].name
    wanted = trial.Trial(made["path"], tuple(project.checks), tuple(project.samples))
    found = trial.run(target_of(url), wanted, lambda _: None)
    assert found["failed"] == "", found
    assert found["restored"]["differences"] == []
    assert found["checks"] and found["samples"]
    assert not [name for name in databases(mariadb) if name.startswith(PREFIX)]


def test_a_failed_test_drops_its_database_too(mariadb: MariaDBServer, url: str, tmp_path: Path) -> None:
    fill(url)
    made = make(url, tmp_path)
    forge(made, rows={**manifest.load(made["path"])["rows"], "thing": 1000})
    found = trial.run(target_of(url), trial.Trial(made["path"]), lambda _: None)
    assert "is not what was saved" in found["failed"]
    assert not [name for name in databases(mariadb) if name.startswith(PREFIX)]


def test_a_backup_of_another_engine_is_refused(url: str, tmp_path: Path) -> None:
    made = make(url, tmp_path)
    forge(made, engine="postgresql")
    with pytest.raises(WindlassError, match="is one of postgresql, the server is mysql"):
        restore.beside(target_of(url), made["path"], "anything", "", 1, lambda _: None)
