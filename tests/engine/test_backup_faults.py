from __future__ import annotations

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from testbed.waiting import wait_until
from tests.engine.backups import (
    Event,
    client,
    fill,
    fill_awkwardly,
    fill_with_noise,
    left_behind,
    make,
    settings_for,
    target_of,
)
from tests.servers.postgresql import PostgresServer
from windlass_engine.backups import backup
from windlass_engine.dialects.postgresql import dump, reading
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import backup_store

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def noisy(pg: PostgresServer) -> Iterator[str]:
    """A database whose dump takes a moment and about 30 MB."""
    with pg.database() as url:
        fill_with_noise(url, 8)
        yield url


@pytest.fixture(scope="module")
def whole(pg: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A good backup of an awkward database."""
    with pg.database() as url:
        fill_awkwardly(url)
        yield Path(make(url, tmp_path_factory.mktemp("whole"), pg)["path"])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def add(path: Path) -> None:
    path.with_name(path.name + ".more").write_bytes(b"")


@pytest.mark.parametrize(("harm", "word"), [(flip, "content changed"), (cut, "bytes instead of"), (Path.unlink, "is missing"),
                                            (add, "does not belong")])  # fmt: skip
def test_harm_to_any_file_is_found(whole: Path, tmp_path: Path, harm: Callable[[Path], None], word: str) -> None:
    files = [path.relative_to(whole) for path in whole.rglob("*") if path.is_file() and path.name != "manifest.json"]
    assert len(files) > 8
    for number, name in enumerate(files):
        copy = tmp_path / str(number)
        shutil.copytree(whole, copy)
        harm(copy / name)
        with pytest.raises(WindlassError, match=word) as caught:
            backup.check(str(copy))
        assert caught.value.code == "backup_failed"
        assert len(caught.value.detail["damages"]) == 1
        assert caught.value.detail["damages"][0].startswith(str(name))


def test_harm_to_the_manifest_is_found(whole: Path, tmp_path: Path) -> None:
    size = (whole / "manifest.json").stat().st_size
    harms: list[Callable[[Path], None]] = [flip, cut, Path.unlink, lambda path: os.truncate(path, size // 2)]
    for number, harm in enumerate(harms):
        copy = tmp_path / str(number)
        shutil.copytree(whole, copy)
        harm(copy / "manifest.json")
        if harm is cut:  # nothing but the newline at its end
            assert backup.check(str(copy))["state"] == "complete"
            continue
        with pytest.raises(WindlassError, match="manifest") as caught:
            backup.check(str(copy))
        assert caught.value.code == "backup_failed"


def test_pg_dump_killed_in_the_middle(noisy: str, pg: PostgresServer, tmp_path: Path) -> None:
    writes = '$real "$@" & until ls "$folder"/*.dat* >/dev/null 2>&1; do sleep 0.01; done'
    with pytest.raises(WindlassError, match="pg_dump was killed by SIGKILL") as caught:
        make(noisy, tmp_path, pg, client_bin=client(tmp_path, pg, f"{writes}; kill -9 $!; kill -9 $$"))
    assert caught.value.code == "backup_failed"
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('$real "$@"; kill -9 $$', "pg_dump was killed by SIGKILL"),
        ('$real "$@"; echo "something broke" >&2; exit 3', "pg_dump ended with exit status 3: something broke"),
        # A dump that says that all is well, and is cut short: only reading it back tells.
        ('$real "$@"; truncate -s -20 "$folder"/*.dat.*', r"\.dat\.gz (is cut short|became shorter)"),
        ('$real "$@"; rm "$folder"/toc.dat', "pg_restore, reading it back, ended with exit status 1"),
        ("exit 0", "pg_restore, reading it back, ended with exit status 1"),
    ],
)
def test_a_bad_dump_is_never_published(
    pg: PostgresServer, database: str, tmp_path: Path, script: str, message: str
) -> None:
    fill_awkwardly(database)
    with pytest.raises(WindlassError) as caught:
        make(database, tmp_path, pg, client_bin=client(tmp_path, pg, script))
    assert re.search(message, str(caught.value))
    assert caught.value.code == "backup_failed"
    assert left_behind(tmp_path) == []


def test_reading_back_in_parts_leaves_no_file_out(
    pg: PostgresServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump, "_WORTH_A_PROCESS", 50)
    monkeypatch.setattr(reading, "can", lambda compression: False)
    fill_awkwardly(database)
    files = len(list(Path(make(database, tmp_path, pg)["path"]).glob("dump/*.dat*")))
    assert files > 5
    # One file after the other is cut short behind pg_dump's back.
    script = f'$real "$@"; n=$(cat {tmp_path}/number); truncate -s -9 $(ls "$folder"/*.dat* | sed -n ${{n}}p)'
    folder = client(tmp_path, pg, script)
    for number in range(1, files + 1):
        (tmp_path / "number").write_text(str(number))
        with pytest.raises(WindlassError, match="reading it back"):
            make(database, tmp_path, pg, client_bin=folder, jobs=3)


def test_a_program_that_talks_without_end(pg: PostgresServer, database: str, tmp_path: Path) -> None:
    talk = "i=0; while [ $i -lt 20000 ]; do echo line $i of a long lament >&2; i=$((i+1)); done; exit 1"
    with pytest.raises(WindlassError, match="line 19999 of") as caught:
        make(database, tmp_path, pg, client_bin=client(tmp_path, pg, talk))
    assert len(caught.value.detail["errors"]) <= 4000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], check=False).returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_the_disk_fills_up_in_the_middle(
    noisy: str, pg: PostgresServer, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "_SPARE_BYTES", 0)
    with pytest.raises(WindlassError, match="filled up") as caught:
        make(noisy, small_disk, pg, space_factor=0.0)
    assert caught.value.code == "space_missing"
    assert left_behind(small_disk) == []
    wait_until(lambda: shutil.disk_usage(small_disk).used < 1 << 20, what="the room that pg_dump had taken")


def test_too_little_space_is_said_before_anything_is_written(noisy: str, pg: PostgresServer, small_disk: Path) -> None:
    with pytest.raises(WindlassError, match=r"needs about [\d.]+ MB in .*, and [\d.]+ MB are free") as caught:
        make(noisy, small_disk, pg)
    assert caught.value.code == "space_missing"
    assert caught.value.detail["needed_bytes"] > caught.value.detail["free_bytes"] > 0
    assert list(small_disk.iterdir()) == []


def test_the_estimate_goes_by_the_last_backup(noisy: str, pg: PostgresServer, tmp_path: Path) -> None:
    make(noisy, tmp_path, pg)
    # A factor that no disk satisfies is not looked at any more.
    made = make(noisy, tmp_path, pg, space_factor=1e9)
    assert backup.check(made["path"])["state"] == "complete"


def test_a_folder_that_cannot_be_written(database: str, pg: PostgresServer, tmp_path: Path) -> None:
    (tmp_path / "backups").write_text("a file is in the way")
    with pytest.raises(WindlassError, match="backups") as caught:
        make(database, tmp_path, pg)
    assert caught.value.code == "backup_failed"


def test_the_session_is_lost_in_the_middle(noisy: str, pg: PostgresServer, tmp_path: Path) -> None:
    def cut_off(event: Event) -> None:
        if event["event"] == "backup_started":
            with pg.connect() as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'windlass backup%'"
                )

    with pytest.raises(WindlassError) as caught:
        backup.make(target_of(noisy), settings_for(tmp_path, pg), cut_off)
    assert caught.value.code == "connection_lost"
    assert left_behind(tmp_path) == []
    # pg_dump does not go on for nobody.
    with pg.connect() as admin:
        wait_until(
            lambda: (
                admin.execute("SELECT 1 FROM pg_stat_activity WHERE application_name = 'pg_dump'").fetchone() is None
            ),
            what="pg_dump to end",
        )


def test_no_password_in_arguments_or_errors(database: str, pg: PostgresServer, tmp_path: Path) -> None:
    target = target_of(database)
    tell = f'echo "$@" > {tmp_path}/words; echo "password $PGPASSWORD refused" >&2; exit 1'
    with pytest.raises(WindlassError) as caught:
        backup.make(target, settings_for(tmp_path, pg, client_bin=client(tmp_path, pg, tell)), lambda _: None)
    assert "password ******** refused" in str(caught.value)
    told = str(caught.value.to_wire())
    # The same with the password inside the URL, where it does not belong.
    with pytest.raises(WindlassError) as caught:
        inside = dataclasses.replace(target, url=database, password="")
        backup.make(inside, settings_for(tmp_path, pg, client_bin=str(tmp_path / "client")), lambda _: None)
    assert "password ******** refused" in str(caught.value)
    told += str(caught.value.to_wire())
    assert target.password not in told
    assert target.password not in (tmp_path / "words").read_text()


def test_a_wrong_password(database: str, pg: PostgresServer, tmp_path: Path) -> None:
    with pytest.raises(WindlassError) as caught:
        backup.make(target_of(database, password="wrong-secret"), settings_for(tmp_path, pg), lambda _: None)
    assert caught.value.code == "login_refused"
    assert "wrong-secret" not in str(caught.value.to_wire())
    assert not (tmp_path / "backups").exists()


def test_no_client_that_fits(database: str, pg: PostgresServer, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(WindlassError, match=r"\(found: none\)") as caught:
        make(database, tmp_path, pg, client_bin=str(tmp_path / "empty"))
    assert f"postgresql-client-{pg.version}" in caught.value.hint
    assert not (tmp_path / "backups").exists()


@pytest.mark.parametrize("version", ["9.6", "14.1", "18.4"])
def test_a_client_of_the_wrong_version_is_refused(pg15: PostgresServer, tmp_path: Path, version: str) -> None:
    # An older one cannot read the server; what 17 and newer write cannot be restored into an older server.
    for name in ("pg_dump", "pg_restore"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        (tmp_path / name).chmod(0o755)
    with pg15.database() as url, pytest.raises(WindlassError, match=f"found: {version} in") as caught:
        make(url, tmp_path, pg15, client_bin=str(tmp_path))
    assert caught.value.code == "backup_failed"
    assert not (tmp_path / "backups").exists()


def test_the_next_run_clears_what_a_killed_one_left(database: str, pg: PostgresServer, tmp_path: Path) -> None:
    fill(database, "CREATE TABLE t AS SELECT 1 AS a")
    pause = f'$real "$@"; echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/paused; read line < {tmp_path}/gate'
    os.mkfifo(tmp_path / "gate")
    folder = client(tmp_path, pg, pause)
    engine = start_engine(database, tmp_path, folder)
    wait_until((tmp_path / "paused").exists, what="the dump to be under way")
    dumping = int((tmp_path / "paused").read_text())
    engine.kill()
    engine.wait()
    (left,) = tmp_path.glob("backups/*/.partial-*Z-??????")
    # Somebody still writes there, so it is left alone; a backup beside it is made all the same.
    first = make(database, tmp_path, pg)
    assert left.exists()
    os.kill(dumping, signal.SIGKILL)
    name = left.name.removeprefix(".partial-")
    wait_until(lambda: not backup_store.is_under_way(str(left.parent), name), what="the dump to end")
    second = make(database, tmp_path, pg)
    assert left_behind(tmp_path) == sorted([first["id"], second["id"]])


def start_engine(url: str, folder: Path, client_bin: str) -> subprocess.Popen[bytes]:
    """Start a backup in a process of its own."""
    code = (
        "import os, sys\n"
        "from windlass_engine.backups import backup\n"
        "from windlass_engine.model import Target\n"
        "directory, client_bin, name = sys.argv[1:]\n"
        "target = Target(name, 'test', os.environ['URL'])\n"
        "backup.make(target, backup.BackupSettings(directory, client_bin, 1), lambda event: None)\n"
    )
    name = str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
    argv = [sys.executable, "-c", code, str(folder / "backups"), client_bin, name]
    env = {**os.environ, "URL": url, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen(argv, env=env)
