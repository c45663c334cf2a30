"""Backups of MariaDB: what they hold, that their counts are of the dump's moment, and that a bad one never stands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from testbed.waiting import wait_until
from tests.engine.mariadb_backups import (
    EXACT,
    REACHING,
    bring_back,
    fill,
    left_behind,
    make,
    name_in,
    path_with,
    program,
    run,
    target_of,
)  # fmt: skip
from windlass_engine import journal, session
from windlass_engine.backups import backup
from windlass_engine.dialects.mysql import client, dumping, holding, streams
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import backup_store, manifest
from windlass_engine.schema import introspect

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer

ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(mariadb: MariaDBServer) -> Iterator[str]:
    with mariadb.database() as made:
        yield made


@pytest.fixture(scope="module")
def filled(mariadb: MariaDBServer) -> Iterator[str]:
    """An awkward database that no test changes."""
    with mariadb.database() as made:
        fill(made, *REACHING)
        yield made


def limited(mariadb: MariaDBServer, url: str, rights: str) -> str:
    """Return the database's URL for a login that has no more than these rights on it."""
    run(mariadb.url, "DROP USER IF EXISTS limited", "CREATE USER limited IDENTIFIED BY 'p#\"w\\\\'")
    run(mariadb.url, f"GRANT {rights} ON `{name_in(url)}`.* TO limited")
    return mariadb.url_of(name_in(url), user="limited", password='p#"w\\')


def test_a_backup_tells_what_it_holds(filled: str, tmp_path: Path) -> None:
    with session.connect(target_of(filled)) as one:
        fingerprint = introspect.fingerprint(introspect.snapshot(one))
    known = manifest.load(make(filled, tmp_path, who="ada")["path"])
    assert known["rows"] == {
        "Schräg `q`; --": 2, "child": 2, "log": 0, "numbered": 2, "odd": 3, "parent": 2, "parted": 2, "thing": 3,
        "versioned": 2,
    }  # fmt: skip
    assert (known["engine"], known["fingerprint"], known["counted"]) == ("mysql", fingerprint, EXACT)
    assert known["compression"] == "zstd:1" and known["approximate"] == []
    assert known["settings"]["charset"] == "utf8mb4"
    assert sorted(known["names_itself"]) == [
        "function reaching", "procedure by_text", "procedure reaching_too", "trigger reaching",
    ]  # fmt: skip
    assert known["globals"]["definers"] == ["root@%"]


def test_the_journal_is_inside(url: str, tmp_path: Path) -> None:
    with session.connect(target_of(url)) as one:
        journal.create(one)
        head = journal.read(one).head
    made = make(url, tmp_path)
    assert made["journal_head"] == head
    assert manifest.load(made["path"])["rows"]["windlass_migrations"] == 0


def test_more_tables_than_a_command_line_holds(
    mariadb: MariaDBServer, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dumping, "_NAMES_BYTES", 10)
    fill(url)
    made = make(url, tmp_path)
    try:
        assert bring_back(url, made, f"{name_in(url)}_side")["differences"] == []
    finally:
        mariadb.drop_database(f"{name_in(url)}_side")


def test_files_are_for_their_owner_alone(filled: str, tmp_path: Path) -> None:
    made = Path(make(filled, tmp_path)["path"])
    assert {oct(path.stat().st_mode & 0o777) for path in made.rglob("*") if path.is_file()} == {"0o600"}
    assert {oct(path.stat().st_mode & 0o777) for path in (made, made / "dump")} == {"0o700"}


def keep_writing(url: str, stop: threading.Event, written: list[int]) -> None:
    """Insert into two tables in one transaction, again and again."""
    with session.connect(target_of(url)) as one:
        while not stop.is_set():
            one.run(["BEGIN", "INSERT INTO a (n) VALUES (1)", "INSERT INTO b (n) VALUES (1)", "COMMIT"])
            written.append(1)


@pytest.mark.parametrize("way", ["BACKUP STAGE", "LOCK TABLES"])
def test_counts_are_of_the_dump_while_others_write(
    mariadb: MariaDBServer, url: str, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dumping, "_WORTH_A_PART", 1)
    for name in ("a", "b"):
        run(url, f"CREATE TABLE {name} (id int AUTO_INCREMENT PRIMARY KEY, n int, pad char(200) DEFAULT 'x')")
        run(url, f"INSERT INTO {name} (n) SELECT seq FROM seq_1_to_5000", f"ANALYZE TABLE {name}")
    rights = "SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES"
    login = url if way == "BACKUP STAGE" else limited(mariadb, url, rights)
    stop, written = threading.Event(), list[int]()
    writer = threading.Thread(target=keep_writing, args=(url, stop, written))
    writer.start()
    try:
        wait_until(lambda: len(written) > 5, what="the writer")
        made = [make(login, tmp_path) for _ in range(3)]
    finally:
        stop.set()
        writer.join()
    for each in made:
        known = manifest.load(each["path"])
        assert (known["counted"], known["held_by"], len(known["parts"])) == (EXACT, way, 2)
        assert known["rows"]["a"] == known["rows"]["b"] >= 5000
    try:
        # The restore counts what the dump holds, and fails where that is not what was counted.
        assert bring_back(url, made[-1], f"{name_in(url)}_side")["total_rows"] == made[-1]["total_rows"]
    finally:
        mariadb.drop_database(f"{name_in(url)}_side")


def test_without_the_right_to_lock_the_counts_are_said_to_be_near(
    mariadb: MariaDBServer, url: str, tmp_path: Path
) -> None:
    run(url, "CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)")
    known = manifest.load(make(limited(mariadb, url, "SELECT, SHOW VIEW, TRIGGER, EVENT"), tmp_path)["path"])
    assert (known["counted"], known["approximate"], known["rows"]) == ("approximate", ["t"], {"t": 1})
    assert "RELOAD" in known["not_held_because"]


def test_a_lock_that_is_not_to_be_had_is_given_up_soon(
    mariadb: MariaDBServer, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "_TRIES", 2)
    monkeypatch.setattr(holding, "_PAUSE_S", 0.1)
    run(url, "CREATE TABLE t (id int)")
    login = limited(mariadb, url, "SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES")
    with mariadb.connect(name_in(url)) as writer, writer.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO t VALUES (1)")
        known = manifest.load(make(login, tmp_path)["path"])
    assert (known["counted"], known["rows"]) == ("approximate", {"t": 0})
    assert "LOCK TABLES: Lock wait timeout" in known["not_held_because"]


def test_a_table_without_transactions_is_said_to_be_counted_near(url: str, tmp_path: Path) -> None:
    run(url, "CREATE TABLE old (id int) ENGINE=MyISAM", "CREATE TABLE t (id int)")
    assert manifest.load(make(url, tmp_path)["path"])["approximate"] == ["old"]


def test_a_login_that_would_see_only_a_part_is_refused(mariadb: MariaDBServer, url: str, tmp_path: Path) -> None:
    with pytest.raises(WindlassError, match="lacks SHOW VIEW, TRIGGER, EVENT") as caught:
        make(limited(mariadb, url, "SELECT, LOCK TABLES"), tmp_path)
    assert "GRANT SHOW VIEW" in caught.value.hint
    run(url, "CREATE PROCEDURE hidden() SELECT 1")
    with pytest.raises(WindlassError, match="may not see the text of procedure hidden"):
        make(limited(mariadb, url, "SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE"), tmp_path)
    assert left_behind(tmp_path) == []


def test_a_schema_change_in_the_middle_leaves_nothing(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(url, "CREATE TABLE t (id int)")
    finish = dumping.MySQLDumping.finish

    def changing(self: dumping.MySQLDumping, tick: Any) -> None:
        finish(self, tick)
        run(url, "ALTER TABLE t ADD COLUMN b int")

    monkeypatch.setattr(dumping.MySQLDumping, "finish", changing)
    with pytest.raises(WindlassError, match="the schema changed while the backup was made"):
        make(url, tmp_path)
    assert left_behind(tmp_path) == []


def test_a_dump_program_that_hangs_holds_nobody_up_for_long(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(url, "CREATE TABLE t (id int)")
    monkeypatch.setattr(streams, "_BEGINNING_S", 0.3)
    with pytest.raises(WindlassError, match="mariadb-dump did not begin within"):
        make(url, tmp_path, client_bin=program(tmp_path / "bin", "mariadb-dump", "exec sleep 1000"))
    run(url, "SET lock_wait_timeout = 5", "INSERT INTO t VALUES (1)", "ALTER TABLE t ADD COLUMN b int")
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('$real "$@" | head -c 3000; exit 0', "has no end"),
        ('$real "$@"; echo oh no >&2; exit 3', "mariadb-dump ended with exit status 3: oh no"),
        ('$real "$@"; kill -9 $$', "mariadb-dump was killed by SIGKILL"),
        ("echo nothing to see; exit 0", "has no end"),
    ],
)
def test_a_dump_that_is_cut_leaves_nothing(filled: str, tmp_path: Path, script: str, message: str) -> None:
    with pytest.raises(WindlassError, match=message) as caught:
        make(filled, tmp_path, client_bin=program(tmp_path / "bin", "mariadb-dump", script))
    assert caught.value.code == "backup_failed"
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("head -c 1000 >/dev/null; exit 1", "zstd ended with exit status 1"),
        ("kill -9 $$", "zstd was killed by SIGKILL"),
        ("head -c 100 | /usr/bin/zstd -q -c; cat >/dev/null", "has no end"),
        ("/usr/bin/zstd -q -c | head -c 200", "cannot be unpacked: it ended with exit status 1"),
        ("/usr/bin/zstd -q -c; echo 'zstd: write error: No space left on device' >&2; exit 1", "filled up"),
    ],
)
def test_a_dead_packer_leaves_nothing(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    (tmp_path / "bin").mkdir()
    packing = 'case "$*" in *-dc*) exec /usr/bin/zstd "$@";; esac\n'
    (tmp_path / "bin" / "zstd").write_text(f"#!/bin/sh\n{packing}{script}\n")
    (tmp_path / "bin" / "zstd").chmod(0o755)
    path_with(str(tmp_path / "bin"), monkeypatch)
    with pytest.raises(WindlassError, match=message) as caught:
        make(filled, tmp_path)
    assert caught.value.code in ("backup_failed", "space_missing")
    assert left_behind(tmp_path) == []


def test_a_killed_run_leaves_nothing_that_looks_good(filled: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    folder = program(
        tmp_path / "bin",
        "mariadb-dump",
        f'$real "$@"; echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/paused; read line < {tmp_path}/gate',
    )
    code = (
        "import os, sys\n"
        "from windlass_engine.backups import backup\n"
        "from windlass_engine.model import Target\n"
        "name, url, folder, client = sys.argv[1:]\n"
        "target = Target(name, 'test', url, os.environ['SECRET'])\n"
        "backup.make(target, backup.BackupSettings(folder, client, 1), lambda event: None)\n"
    )
    target = target_of(filled)
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "SECRET": target.password}
    argv = [sys.executable, "-c", code, target.name, target.url, str(tmp_path / "backups"), folder]
    engine = subprocess.Popen(argv, env=env)
    wait_until((tmp_path / "paused").exists, what="the dump to be under way")
    engine.kill()
    engine.wait()
    assert backup.catalogue(str(tmp_path / "backups")) == []
    (left,) = tmp_path.glob("backups/*/.partial-*Z-??????")
    os.kill(int((tmp_path / "paused").read_text()), signal.SIGKILL)
    name = left.name.removeprefix(".partial-")
    wait_until(lambda: not backup_store.is_under_way(str(left.parent), name), what="all that it had started to end")
    made = make(filled, tmp_path)
    assert left_behind(tmp_path) == [made["id"]]


@pytest.fixture(scope="module")
def whole(filled: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(make(filled, tmp_path_factory.mktemp("whole"))["path"])


def test_a_flipped_byte_in_any_file_is_found(whole: Path) -> None:
    files = [path for path in whole.rglob("*") if path.is_file() and path.name != "manifest.json"]
    assert {path.name for path in files} == {"part-001.sql.zst", "code.json", "code.sql", "schema.json"}
    for path in files:
        content = path.read_bytes()
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 0x10]) + content[middle + 1 :])
        with pytest.raises(WindlassError, match=f"{path.name}: its content changed"):
            backup.check(str(whole))
        path.write_bytes(content)
    assert backup.check(str(whole))["state"] == "complete"


def test_no_secret_in_arguments_or_environment(filled: str, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    folder = program(tmp_path / "bin", "mariadb-dump", f'(echo "$@"; env) > {seen}; exec $real "$@"')
    make(filled, tmp_path, client_bin=folder)
    assert target_of(filled).password not in seen.read_text()
    assert "--defaults-file=/dev/fd/" in seen.read_text()


def test_without_zstd_gzip_is_taken(filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_PACKERS", ("no-such-packer", "gzip"))
    made = make(filled, tmp_path)
    assert made["compression"] == "gzip:1"
    assert list(Path(made["path"]).glob("dump/part-001.sql.gz"))


def programs(folder: Path, said: str) -> str:
    folder.mkdir(parents=True)
    for name in ("mariadb-dump", "mariadb", "mysqldump", "mysql"):
        (folder / name).write_text(f'#!/bin/sh\necho "{said.format(name)}"\n')
        (folder / name).chmod(0o755)
    return str(folder)


OLD = "{0}  Ver 15.1 Distrib 10.6.9-MariaDB, for Linux"
NEW = "{0} from 11.8.2-MariaDB, client 15.2 for debian-linux-gnu"
MYSQL = "{0}  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)"


def test_programs_that_do_not_fit_are_said_before_anything_starts(filled: str, tmp_path: Path) -> None:
    for said, found in ((OLD, "MariaDB 10.6.9"), (MYSQL, "MySQL 8.0.36")):
        folder = programs(tmp_path / found, said)
        with pytest.raises(WindlassError, match=f"no client programs that fit MariaDB .*{found}") as caught:
            make(filled, tmp_path, client_bin=folder)
        assert "windlass_client_bin" in caught.value.hint
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("server", "found"), [(100619, "10.6.9"), (100511, "10.6.9"), (101119, "11.8.2"), (80036, "8.0.36")]
)
def test_the_oldest_programs_that_fit_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: int, found: str
) -> None:
    folders = [programs(tmp_path / str(number), said) for number, said in enumerate((NEW, OLD, MYSQL))]
    monkeypatch.setenv("PATH", os.pathsep.join([*folders, os.environ["PATH"]]))
    monkeypatch.setattr(client, "_candidates", without_the_systems_own(folders))
    assert client.find(server).version == found


def without_the_systems_own(folders: list[str]) -> Any:
    looked = client._candidates
    return lambda client_bin, is_mariadb: (each for folder in folders for each in looked(folder, is_mariadb))


@pytest.mark.parametrize(
    ("version", "knows"),
    [("10.11.8", True), ("10.11.7", False), ("10.6.18", True), ("11.4.2", True), ("11.8.1", True), ("10.5.24", False)],
)
def test_which_client_knows_the_sandbox_line(version: str, knows: bool) -> None:
    assert client.Client("d", "c", version, True).knows_sandbox is knows
    assert client.Client("d", "c", version, False).knows_sandbox is False
