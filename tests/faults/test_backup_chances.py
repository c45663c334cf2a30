"""Chance against backups: bytes flipped anywhere, makers killed at any moment, more tables than anybody has.

A few seeded tries each time, and a hundred where all is asked for.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from testbed.waiting import wait_until
from tests.engine.backups import fill, fill_awkwardly, fill_with_noise, left_behind, make, target_of
from tests.faults.chance import FULL, dice, many
from tests.faults.flipping import each_flip_is_found
from tests.servers.postgresql import PostgresServer
from windlass_engine.backups import backup, restore

ROOT = Path(__file__).parents[2]
MAKER = """
import os, sys
from windlass_engine.backups import backup
from windlass_engine.model import Target
directory, client_bin, name = sys.argv[1:]
backup._SPARE_BYTES = 0  # no disk is too small to begin
settings = backup.BackupSettings(directory, client_bin, 2, space_factor=0.0)
print("begun", flush=True)
backup.make(Target(name, "test", os.environ["URL"]), settings, lambda event: None)
"""


@pytest.fixture(scope="module")
def noisy(pg: PostgresServer) -> Iterator[str]:
    """A database whose backup takes a moment."""
    with pg.database() as url:
        fill_with_noise(url, 4)
        fill(url, "CREATE TABLE small AS SELECT generate_series(1, 1000) AS n")
        yield url


def test_a_byte_flipped_anywhere_is_found(database: str, pg: PostgresServer, tmp_path: Path) -> None:
    fill_awkwardly(database)
    each_flip_is_found(Path(make(database, tmp_path, pg)["path"]), "flipped bytes")


def maker(url: str, folder: Path, pg: PostgresServer, words: int | None = None) -> subprocess.Popen[bytes]:
    """Start a backup in a process group of its own, and wait until it has begun; ``words`` takes what it says."""
    name = str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
    process = subprocess.Popen(
        [sys.executable, "-c", MAKER, str(folder / "backups"), str(pg.bin), name], stdout=subprocess.PIPE,
        env={**os.environ, "URL": url, "PYTHONPATH": str(ROOT / "src")}, start_new_session=True, stderr=words,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    return process


def writers(folder: Path) -> list[int]:
    """Return the processes that work on a folder, whoever started them."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
    return found


def test_killed_at_any_moment_no_backup_looks_good_that_is_not(noisy: str, pg: PostgresServer, tmp_path: Path) -> None:
    chance = dice("killed backups")
    began = time.monotonic()
    whole = maker(noisy, tmp_path, pg)
    assert whole.wait() == 0
    takes = time.monotonic() - began
    name = str(psycopg.conninfo.conninfo_to_dict(noisy)["dbname"])
    killed = 0
    tries = many(6, 100)
    for number in range(tries):
        process = maker(noisy, tmp_path, pg)
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, takes) if number else 0)
        victims = [process.pid] if chance.random() < 0.5 else writers(tmp_path)
        for pid in victims:  # sometimes the engine alone, sometimes all at once as when the machine goes down
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        for entry in backup.catalogue(str(tmp_path / "backups"), name):
            assert entry["state"] == "complete", entry
            assert backup.check(entry["path"])["tables"] == 3
    assert killed
    # Nobody writes there any more, and the next one clears all remains.
    wait_until(lambda: not writers(tmp_path), what="what was left working to end")
    make(noisy, tmp_path, pg)
    ids = [entry["id"] for entry in backup.catalogue(str(tmp_path / "backups"), name)]
    assert left_behind(tmp_path) == sorted(ids)
    print(f"{tries} tries: {killed} makers killed, {len(ids) - 2} backups stand, each whole")


def test_two_at_once_on_a_disk_for_one(noisy: str, pg: PostgresServer, tmp_path: Path) -> None:
    """One fails, in the middle or before it begins where the other was first: whatever stands afterwards is whole."""
    size = sum(path.stat().st_size for path in Path(make(noisy, tmp_path, pg)["path"]).rglob("*") if path.is_file())
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size * 3 // 2}", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("mounting a small file system takes root")
    try:
        makers = [maker(noisy, place, pg, subprocess.PIPE) for _ in range(2)]
        said = [each.communicate()[1].decode() for each in makers]
        codes = [each.returncode for each in makers]
        assert any("filled up in the middle" in words or "are free" in words for words in said), said
        name = str(psycopg.conninfo.conninfo_to_dict(noisy)["dbname"])
        found = backup.catalogue(str(place / "backups"), name)
        assert len(found) == codes.count(0) < 2
        assert all(backup.check(entry["path"])["state"] == "complete" for entry in found)
        assert left_behind(place) == [entry["id"] for entry in found]
    finally:
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="ten thousand tables take a while: set WINDLASS_FAULTS=full to try them")
def test_ten_thousand_tables_there_and_back(pg: PostgresServer, tmp_path: Path) -> None:
    server = PostgresServer(pg.bin, {"max_locks_per_transaction": "256"})
    server.start()
    try:
        url = server.create_database("many")
        for part in range(20):
            create = "CREATE TABLE t_%s (id int PRIMARY KEY); INSERT INTO t_%s VALUES (%s)"
            loop = f"FOR i IN {part * 500 + 1}..{part * 500 + 500} LOOP EXECUTE format('{create}', i, i, i); END LOOP"
            fill(url, f"DO $$ BEGIN {loop.replace('%s', '%1$s')}; END $$")
        made = make(url, tmp_path, server)
        assert (made["tables"], made["total_rows"]) == (10_000, 10_000)
        done = restore.beside(target_of(url), made["path"], "many_2", str(server.bin), 4, lambda _: None)
        assert (done["tables"], done["total_rows"], done["differences"]) == (10_000, 10_000, [])
    finally:
        server.remove()
