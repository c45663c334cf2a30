"""Two who work on the same backups at the same moment: each test makes the moment happen."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.waiting import wait_until
from tests.keeping import stock
from windlass_engine.backups import backup
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import backup_store, catalogue, copying, manifest, offsite, pruning, workplace
from windlass_engine.keeping.retention import Policy
from windlass_engine.model import Wire

needs_restic = pytest.mark.skipif(not shutil.which("restic"), reason="restic is missing: apt-get install restic")
SECRET = "correct horse, battery"


def once(happens: Callable[[], object]) -> Callable[[], None]:
    """Return what does something at its first call, and nothing while that goes on or later."""
    left = [happens]

    def now() -> None:
        if left:
            left.pop()()

    return now


def test_a_backup_that_is_deleted_while_somebody_waits_for_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retention has its lock, and deletes it; whoever has opened it meanwhile must not read what is left."""
    path = str(stock.home(tmp_path) / stock.put(tmp_path, 1)["id"])
    genuine, delete = fcntl.flock, once(lambda: workplace.remove(path))

    def flock(descriptor: int, operation: int) -> None:
        if operation == fcntl.LOCK_SH:
            delete()
        genuine(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(WindlassError, match="cannot be opened") as caught, workplace.in_use(path):
        pytest.fail("it is taken for a backup")
    assert caught.value.code == "backup_failed"


def test_a_backup_that_two_delete_at_once_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = (stock.put(tmp_path, hours)["id"] for hours in (30, 1))
    genuine = os.rename
    other = once(lambda: pruning.prune(stock.directory(tmp_path), stock.DATABASE, Policy(last=1)))

    def rename(source: str, target: str) -> None:
        os.unlink(os.path.join(source, "manifest.json"))  # the other finds nothing to hold
        other()
        genuine(source, target)

    monkeypatch.setattr(os, "rename", rename)
    with monkeypatch.context():
        done = pruning.prune(stock.directory(tmp_path), stock.DATABASE, Policy(last=1))
    assert done["deleted"] == [old] and stock.ids(tmp_path) == [new]


@pytest.fixture
def deleted_when_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Let a backup be deleted just before its manifest is read for the n-th time."""

    def arrange(name: str, number: int) -> None:
        genuine, reads = manifest.load, []

        def load(folder: str) -> Wire:
            if os.path.basename(folder) == name:
                reads.append(folder)
                if len(reads) == number:
                    workplace.remove(folder)
            return genuine(folder)

        monkeypatch.setattr(manifest, "load", load)

    return arrange


@pytest.mark.parametrize("number", [1, 2])
def test_a_backup_that_is_deleted_while_they_are_listed_is_left_out_and_not_called_broken(
    tmp_path: Path, deleted_when_read: Callable[[str, int], None], number: int
) -> None:
    old, new = (stock.put(tmp_path, hours)["id"] for hours in (30, 1))
    deleted_when_read(old, number)
    read = catalogue.read(stock.directory(tmp_path), [stock.DATABASE])[stock.DATABASE]
    found = {each["id"]: each["state"] for each in read}
    assert found == ({new: "complete"} if number == 1 else {new: "complete", old: "complete"})
    assert backup_store.find(stock.directory(tmp_path), stock.DATABASE, "latest")["id"] == new


def test_an_older_backup_that_is_deleted_does_not_fail_the_next_one(
    tmp_path: Path, deleted_when_read: Callable[[str, int], None]
) -> None:
    old, new = (stock.put(tmp_path, hours)["id"] for hours in (30, 1))
    deleted_when_read(old, 2)
    assert [each["id"] for each in backup._earlier(stock.directory(tmp_path), stock.DATABASE)] == [new]


@pytest.fixture
def repository(tmp_path: Path) -> offsite.Repository:
    made = offsite.Repository(str(tmp_path / "r"), SECRET)
    assert offsite.create(made)
    return made


def carried_out(folder: Path, repository: offsite.Repository, wish: copying.Wish) -> Wire:
    return copying.carry_out(repository, stock.directory(folder), stock.DATABASE, wish, False, lambda _: None)


@needs_restic
def test_a_backup_that_is_deleted_before_its_copy_fails_no_other(
    repository: offsite.Repository, tmp_path: Path, deleted_when_read: Callable[[str, int], None]
) -> None:
    old, new = (stock.put(tmp_path, hours)["id"] for hours in (30, 1))
    deleted_when_read(old, 2)
    assert carried_out(tmp_path, repository, copying.Wish())["copied"] == [new]


@needs_restic
def test_of_two_hosts_that_make_the_repository_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = offsite.Repository(str(tmp_path / "r"), SECRET)
    genuine, made = offsite._run, list[bool]()
    other = once(lambda: made.append(offsite.create(repository)))

    def run(asked: offsite.Repository, arguments: list[str], **more: object) -> object:
        if arguments == ["init"]:
            other()
        return genuine(asked, arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(offsite, "_run", run)
    assert (offsite.create(repository), made) == (False, [True])


@needs_restic
def test_others_who_work_on_the_repository_are_waited_for(
    repository: offsite.Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another host copies a backup there, which shuts out whoever deletes."""
    known = stock.put(tmp_path, 1)
    snapshot = offsite.copy(repository, str(stock.home(tmp_path) / known["id"]), known)["snapshot"]
    argv = [offsite.program(), "-r", repository.address, "backup", "--stdin", "--quiet"]
    environment = {**os.environ, "RESTIC_PASSWORD": SECRET}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, env=environment) as other:
        assert other.stdin
        wait_until(lambda: any((tmp_path / "r" / "locks").iterdir()), what="the other's lock")
        pauses: list[float] = []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 2:
                other.communicate(b"data")

        with monkeypatch.context() as patched:
            patched.setattr("time.sleep", sleep)
            offsite.forget(repository, [snapshot])
    assert len(pauses) >= 2 and other.returncode == 0
    assert [each["snapshot"] for each in offsite.snapshots(repository, stock.DATABASE)] == []


@needs_restic
def test_who_works_on_the_repository_for_too_long_is_told_of(
    repository: offsite.Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offsite, "LOCK_PATIENCE_S", 0.0)
    argv = [offsite.program(), "-r", repository.address, "backup", "--stdin", "--quiet"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, env={**os.environ, "RESTIC_PASSWORD": SECRET}) as other:
        wait_until(lambda: any((tmp_path / "r" / "locks").iterdir()), what="the other's lock")
        with pytest.raises(WindlassError, match="did not forget") as caught:
            offsite.forget(repository, ["0" * 64])
        other.communicate(b"data")
    assert caught.value.code == "offsite_failed" and "another works on it" in caught.value.hint


@needs_restic
@pytest.mark.parametrize("damaged", [False, True])
def test_of_two_who_fetch_one_backup_the_first_ones_stays(
    repository: offsite.Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    """The first may be read already; it is whole, so the second has nothing to put in its place."""
    known = stock.put(tmp_path, 1)
    path = stock.home(tmp_path) / known["id"]
    offsite.copy(repository, str(path), known)
    if damaged:
        stock.break_one(tmp_path, known["id"])
    else:
        shutil.rmtree(path)
    copy, home = offsite.snapshots(repository, stock.DATABASE)[0], str(stock.home(tmp_path))
    genuine, inodes = manifest.sync, list[int]()

    def fetch_first() -> None:
        offsite.fetch(repository, copy, home)
        inodes.append(path.stat().st_ino)

    first = once(fetch_first)

    def sync(folder: str) -> None:
        first()
        genuine(folder)

    monkeypatch.setattr(manifest, "sync", sync)
    with monkeypatch.context():
        assert offsite.fetch(repository, copy, home) == str(path)
    assert [path.stat().st_ino] == inodes
    assert manifest.damages(str(path), manifest.load(str(path))) == []
    assert stock.ids(tmp_path) == [known["id"]] and not list(stock.home(tmp_path).glob(".partial*"))
