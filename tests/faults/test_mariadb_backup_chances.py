"""Chance against MariaDB's backups: whatever takes part dies at any moment, bytes flip anywhere, disks fill up.

A few seeded tries each time, and a hundred where all is asked for.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.waiting import wait_until
from tests.engine.mariadb_backups import (
    CODE,
    REACHING,
    bring_back,
    databases,
    fetch,
    fill,
    left_behind,
    make,
    name_in,
    path_with,
    run,
    target_of,
)
from tests.faults.chance import dice, many
from tests.faults.flipping import each_flip_is_found
from windlass_engine.backups import backup, exchange
from windlass_engine.dialects.mysql import dumping, outlook
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import backup_store

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer

ROOT = Path(__file__).parents[2]
#: A backup of three dump programs, on a disk that is never too small to begin; an error is its last line.
MAKER = """
import os, sys
from windlass_engine.backups import backup
from windlass_engine.dialects.mysql import dumping
from windlass_engine.errors import WindlassError
from windlass_engine.model import Target
name, url, directory = sys.argv[1:]
backup._SPARE_BYTES, dumping._WORTH_A_PART = 0, 1 << 20
settings = backup.BackupSettings(directory, "", 3, space_factor=0.0)
print("begun", flush=True)
try:
    backup.make(Target(name, "test", url, os.environ["SECRET"]), settings, lambda event: None)
except WindlassError as error:
    sys.exit(f"{error.code}: {error.message}")
"""
#: What a backup may say of the death of something that it needs.
_SAID = re.compile(r"(backup_failed|connection_lost|database_unreachable|login_refused): ")
_TABLES = 3


@pytest.fixture(scope="module")
def noisy(mortal_mariadb: MariaDBServer) -> Iterator[str]:
    """A database whose backup takes a moment: two tables that no packer makes smaller, one that is small, and code."""
    with mortal_mariadb.database() as url:
        noise = ", ".join(["RANDOM_BYTES(1024)"] * 32)
        for name in ("noise_a", "noise_b"):
            run(url, f"CREATE TABLE {name} (id int PRIMARY KEY, raw longblob)")
            run(url, f"INSERT INTO {name} SELECT seq, CONCAT({noise}) FROM seq_1_to_200", f"ANALYZE TABLE {name}")
        run(url, "CREATE TABLE log (m text)", "INSERT INTO log VALUES ('a')", CODE[1])
        yield url


def maker(url: str, folder: Path) -> subprocess.Popen[str]:
    """Start a backup, and wait until it has begun."""
    target = target_of(url)
    process = subprocess.Popen(
        [sys.executable, "-c", MAKER, target.name, target.url, str(folder / "backups")], text=True,
        env={**os.environ, "SECRET": target.password, "PYTHONPATH": str(ROOT / "src")}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def helpers(pid: int) -> dict[int, str]:
    """Return the programs that a process has started, and theirs: number and name; none that only tells its version."""
    parents: dict[int, tuple[int, str]] = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            name, _, rest = Path(f"/proc/{entry}/stat").read_text().partition("(")[2].rpartition(")")
            state, parent = rest.split()[:2]
            words = Path(f"/proc/{entry}/cmdline").read_bytes()
            if state != "Z" and b"--version" not in words:  # Z: it has ended, and nobody has looked at it yet
                parents[int(entry)] = (int(parent), name)
    found: dict[int, str] = {}
    wanted = {pid}
    while wanted:
        young = {each: name for each, (parent, name) in parents.items() if parent in wanted and each not in found}
        found.update(young)
        wanted = set(young)
    return found


def kill(pids: list[int]) -> bool:
    """Kill processes, of which some may have ended; return whether any was there."""
    there = False
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            there = True
    return there


def die(server: MariaDBServer, url: str, process: subprocess.Popen[str], victim: str) -> bool:
    """Let something that takes part in a backup die; return whether it was there."""
    started = helpers(process.pid)
    if victim == "maker":
        return kill([process.pid])
    if victim == "everything":
        return kill([process.pid, *started])
    if victim == "server":
        server.kill()
        server.start()
        return True
    if victim == "connections":
        sessions = fetch(server.url, f"SELECT id FROM information_schema.PROCESSLIST WHERE db = '{name_in(url)}'")
        for (number,) in sessions:
            with suppress(Exception):  # it may have ended by itself
                run(server.url, f"KILL CONNECTION {number}")
        return bool(sessions)
    return kill(programs(process, victim)[:1])


def await_program(process: subprocess.Popen[str], name: str) -> None:
    """Wait until a backup has started a program of that name, or has ended."""
    wait_until(lambda: process.poll() is not None or programs(process, name), what=name)


def programs(process: subprocess.Popen[str], name: str) -> list[int]:
    """Return the programs of that name that a backup has started."""
    return [pid for pid, each in helpers(process.pid).items() if each == name]


PROGRAMS = ("mariadb-dump", "zstd")
VICTIMS = ("maker", "everything", *PROGRAMS, "connections", "server")


def test_whatever_dies_no_backup_looks_good_that_is_not(
    mortal_mariadb: MariaDBServer, noisy: str, tmp_path: Path
) -> None:
    began = time.monotonic()
    whole = maker(noisy, tmp_path)
    assert whole.wait() == 0, whole.communicate()[1]
    takes = time.monotonic() - began
    hit: Counter[str] = Counter()
    made = 0
    tries = many(6, 100)
    for number in range(tries):
        victim, chance = VICTIMS[number % len(VICTIMS)], dice("dying", number)
        process = maker(noisy, tmp_path)
        if victim in PROGRAMS:
            await_program(process, victim)
            moment = chance.choice((0.0, 0.0, 0.02, 0.05, 0.1, 0.3))
        else:
            moment = chance.uniform(0, takes) if number else 0.0
        with suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        was_there = process.poll() is None and die(mortal_mariadb, noisy, process, victim)
        said = process.communicate()[1].strip()
        hit[victim] += was_there and process.returncode != 0
        made += process.returncode == 0
        stand(noisy, tmp_path)
        if process.returncode > 0:
            assert _SAID.match(said), (victim, said)
            assert target_of(noisy).password not in said
            assert left_behind(tmp_path) == ids(noisy, tmp_path), (victim, said)
    assert hit["maker"]
    # What outlived its maker ends by itself, and the next backup clears all remains.
    wait_until(lambda: not under_way(tmp_path), what="the programs of dead makers to end")
    last = make(noisy, tmp_path)
    assert left_behind(tmp_path) == ids(noisy, tmp_path)
    assert bring_back(noisy, last, f"{name_in(noisy)}_side")["differences"] == []
    mortal_mariadb.drop_database(f"{name_in(noisy)}_side")
    print(f"{tries} tries, {made} backups made; broken: {dict(sorted(hit.items()))}")


def test_a_packer_that_is_long_in_dying_is_named(noisy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dump program is dead before it, and of it."""
    script = "head -c 1000 >/dev/null; exec 0<&-; sleep 0.5; echo 'No space left on device' >&2; exit 1"
    packer = tmp_path / "bin" / "zstd"
    packer.parent.mkdir()
    packer.write_text(f'#!/bin/sh\ncase "$*" in *-dc*) exec {shutil.which("zstd")} "$@";; esac\n{script}\n')
    packer.chmod(0o755)
    path_with(str(packer.parent), monkeypatch)
    with pytest.raises(WindlassError, match="filled up in the middle") as caught:
        make(noisy, tmp_path)
    assert caught.value.code == "space_missing" and left_behind(tmp_path) == []


def stand(url: str, folder: Path) -> None:
    """Hold every backup that stands to its manifest."""
    for entry in backup.catalogue(str(folder / "backups"), name_in(url)):
        assert entry["state"] == "complete", entry
        assert backup.check(entry["path"])["tables"] == _TABLES


def ids(url: str, folder: Path) -> list[str]:
    """Return the backups that stand."""
    return sorted(entry["id"] for entry in backup.catalogue(str(folder / "backups"), name_in(url)))


def under_way(folder: Path) -> list[Path]:
    """Return what somebody still writes."""
    return [
        path
        for path in folder.glob("backups/*/.partial-*.lock")
        if backup_store.is_under_way(str(path.parent), path.name[len(".partial-") : -len(".lock")])
    ]


def test_a_byte_flipped_anywhere_is_found(
    mortal_mariadb: MariaDBServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dumping, "_WORTH_A_PART", 1)
    with mortal_mariadb.database() as url:
        fill(url, *REACHING)
        run(url, "DROP TABLE numbered")  # with a default that asks a sequence there is but one part
        path = Path(make(url, tmp_path)["path"])
    files = {each.name for each in path.rglob("*") if each.is_file()}
    assert {"part-001.sql.zst", "part-002.sql.zst", "code.json", "code.sql"} < files
    each_flip_is_found(path, "flipped bytes of MariaDB")


@contextmanager
def disk(place: Path, size: int) -> Iterator[Path]:
    """Give a small file system of so many bytes."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("mounting a small file system takes root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_two_at_once_on_a_disk_for_one(noisy: str, tmp_path: Path) -> None:
    """One fails, in the middle or before it begins where the other was first: whatever stands afterwards is whole."""
    size = sum(path.stat().st_size for path in Path(make(noisy, tmp_path)["path"]).rglob("*") if path.is_file())
    with disk(tmp_path / "disk", size * 3 // 2) as place:
        makers = [maker(noisy, place) for _ in range(2)]
        said = [each.communicate()[1] for each in makers]
        codes = [each.returncode for each in makers]
        assert any("filled up in the middle" in words or "are free" in words for words in said), said
        assert all(words.startswith("space_missing: ") for words, code in zip(said, codes, strict=True) if code), said
        stand(noisy, place)
        assert len(ids(noisy, place)) == codes.count(0) < 2
        assert left_behind(place) == ids(noisy, place)


def test_the_disk_fills_up_in_the_middle(noisy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "_SPARE_BYTES", 0)
    with disk(tmp_path / "disk", 2 << 20) as place:
        with pytest.raises(WindlassError, match="filled up in the middle") as caught:
            make(noisy, place, space_factor=0.0)
        assert caught.value.code == "space_missing"
        assert left_behind(place) == []
        with pytest.raises(WindlassError, match=r"needs about [\d.]+ MB in .*, and [\d.]+ MB are free") as caught:
            make(noisy, place, space_factor=1.0)
        assert caught.value.code == "space_missing"


@pytest.fixture
def cramped(monkeypatch: pytest.MonkeyPatch) -> Iterator[MariaDBServer]:
    """A server whose data lies on a file system of its own."""
    pytest.importorskip("pymysql", reason="the driver is missing: pip install PyMySQL")
    from tests.servers import mariadb as module

    if not (module.program("mariadbd") and module.program("mariadb-install-db")):
        pytest.skip("no MariaDB server: apt-get install mariadb-server")
    # Below a folder that the server's account may search: the suite's own it may not.
    with tempfile.TemporaryDirectory() as parent, disk(Path(parent, "disk"), 1 << 30) as place:
        Path(parent).chmod(0o711)
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        own = module.MariaDBServer()
        monkeypatch.undo()
        try:
            own.start()
            yield own
        finally:
            own.remove()


def test_a_restore_onto_a_full_disk(cramped: MariaDBServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused, or it fails in the middle and takes back what it made; with room the same backup comes back."""
    place = cramped.folder.parent
    url = cramped.create_database("app")
    noise = ", ".join(["RANDOM_BYTES(1024)"] * 32)
    run(url, "CREATE TABLE noise (id int PRIMARY KEY, raw longblob)")
    run(url, f"INSERT INTO noise SELECT seq, CONCAT({noise}) FROM seq_1_to_1000", "ANALYZE TABLE noise")
    made = make(url, tmp_path)
    resize(place, used(place) + (8 << 20))
    with pytest.raises(WindlassError, match=r"would take about [\d.]+ MB in the server's data folder") as caught:
        bring_back(url, made, "app_restored")
    assert caught.value.hint.startswith("nothing was touched")
    monkeypatch.setattr(outlook, "free", lambda *_: None)
    with pytest.raises(WindlassError, match=r"mariadb ended with exit status 1: ERROR") as caught:
        bring_back(url, made, "app_restored")
    assert caught.value.code == "restore_failed"
    resize(place, 1 << 30)
    if not cramped.is_running:  # a full disk is the end of some servers
        assert "could not be dropped again" in caught.value.hint
        cramped.start()
        exchange.drop(target_of(url), "app_restored")
    assert "app_restored" not in databases(cramped)
    assert fetch(url, "SELECT COUNT(*) FROM noise") == [(1000,)]
    assert bring_back(url, made, "app_restored")["differences"] == []


def resize(place: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(place)], check=True)


def used(place: Path) -> int:
    return shutil.disk_usage(place).used
