"""Transfers of backups: resumable, hashed, private, and nothing that looks whole before it is."""

from __future__ import annotations

import fcntl
import getpass
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest

from testbed.waiting import wait_until
from tests.keeping import stock
from tests.servers import sshd
from windlass import transfer
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import manifest

Read = Callable[[str, bytes], bytes]


class Watched(transfer.LocalFiles):
    """Local files that count what is read of them, and can be cut."""

    def __init__(self, cut_after: int = 0) -> None:
        self.read = 0
        self.cut_after = cut_after

    def open(self, path: str, mode: str) -> Any:
        return _Stream(super().open(path, mode), self) if mode == "rb" else super().open(path, mode)


class _Stream:
    def __init__(self, stream: Any, files: Watched) -> None:
        self._stream, self._files = stream, files

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def seek(self, place: int) -> None:
        self._stream.seek(place)

    def read(self, count: int = -1) -> bytes:
        data: bytes = self._stream.read(min(count, 500) if count > 0 else count)
        self._files.read += len(data)
        if self._files.cut_after and self._files.read > self._files.cut_after:
            raise EOFError("the line is dead")
        return data


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return stock.home(tmp_path) / str(stock.put(tmp_path, 1)["id"])


def whole(folder: Path) -> bool:
    return manifest.damages(str(folder), manifest.load(str(folder))) == []


def test_a_cut_transfer_goes_on_where_it_ended(backup: Path, tmp_path: Path) -> None:
    to = tmp_path / "mine"
    size = sum(each.stat().st_size for each in backup.rglob("*") if each.is_file())
    with pytest.raises(EOFError):
        transfer.download(Watched(cut_after=size - 1500), str(backup), to)
    assert [each.name for each in to.iterdir()] == [f".partial-{backup.name}"], "nothing looks whole"
    rest = Watched()
    assert whole(transfer.download(rest, str(backup), to))
    assert [each.name for each in to.iterdir()] == [backup.name]
    # the manifest is always read anew: it says what is missing
    assert rest.read - (backup / "manifest.json").stat().st_size < size / 2
    assert {each.stat().st_mode & 0o777 for each in to.rglob("*") if each.is_file()} == {0o600}
    assert {each.stat().st_mode & 0o777 for each in to.rglob("*") if each.is_dir()} == {0o700}


def test_two_who_bring_one_backup_do_not_write_into_the_same_files(backup: Path, tmp_path: Path) -> None:
    """The second begins when the first is in the middle, and waits for what that one brings."""
    to, said = tmp_path / "mine", list[str]()
    other = Watched()
    second = threading.Thread(target=lambda: transfer.download(other, str(backup), to, said.append))

    class Met(Watched):
        def open(self, path: str, mode: str) -> Any:
            if self.read and not second.ident:
                second.start()
                wait_until(lambda: said, what="the second to wait")
            return super().open(path, mode)

    assert whole(transfer.download(Met(), str(backup), to))
    second.join()
    assert [each.name for each in to.iterdir()] == [backup.name]
    assert other.read == 0 and "somebody brings this backup" in said[0]


def test_a_folder_that_went_to_its_place_before_it_was_locked_is_no_place_to_write(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another ends between our making of the folder and our lock."""
    to = tmp_path / "mine"
    genuine, ended = fcntl.flock, list[bool]()

    def flock(descriptor: int, operation: int) -> None:
        if not ended:
            ended.append(True)
            transfer.download(Watched(), str(backup), to)
        genuine(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    late = Watched()
    assert whole(transfer.download(late, str(backup), to)) and late.read == 0
    assert [each.name for each in to.iterdir()] == [backup.name]


def test_what_came_damaged_is_brought_again(backup: Path, tmp_path: Path) -> None:
    to = tmp_path / "mine"
    partial = to / f".partial-{backup.name}"
    (partial / "dump").mkdir(parents=True)
    (partial / "manifest.json").write_bytes((backup / "manifest.json").read_bytes())
    (partial / "dump" / "toc.dat").write_bytes(b"something else")
    assert whole(transfer.download(Watched(), str(backup), to))


def test_a_damaged_backup_never_gets_its_name(backup: Path, tmp_path: Path) -> None:
    stock.break_one(tmp_path, backup.name)
    with pytest.raises(WindlassError, match="does not agree with the manifest"):
        transfer.download(Watched(), str(backup), tmp_path / "mine")
    assert [each.name for each in (tmp_path / "mine").iterdir()] == [f".partial-{backup.name}"]


def test_a_second_download_brings_nothing(backup: Path, tmp_path: Path) -> None:
    transfer.download(Watched(), str(backup), tmp_path / "mine")
    again = Watched()
    transfer.download(again, str(backup), tmp_path / "mine")
    assert again.read == 0


def test_a_manifest_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    evil = tmp_path / "evil" / "20260101T000000Z-aaaaaa"
    evil.mkdir(parents=True)
    entry = {"bytes": 1, "sha256": "0" * 64}
    manifest.write(str(evil), {"format": 1, "id": evil.name, "files": {"../../out": entry}, "bytes": 1})
    with pytest.raises(WindlassError, match="outside the backup"):
        transfer.download(Watched(), str(evil), tmp_path / "mine")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def server() -> Iterator[sshd.Sshd]:
    if not sshd.program():
        pytest.skip("sshd is missing: apt-get install openssh-server")
    running = sshd.Sshd(more="Subsystem sftp internal-sftp\n")
    yield running
    running.remove()


def test_there_and_back_over_sftp(server: sshd.Sshd, backup: Path, tmp_path: Path) -> None:
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(server.known_hosts))
        client.connect("127.0.0.1", server.port, getpass.getuser(), key_filename=str(server.client_key),
                       allow_agent=False, look_for_keys=False)  # fmt: skip
        far = transfer.SftpFiles(client.open_sftp())
        here = transfer.download(far, str(backup), tmp_path / "mine")
        (tmp_path / "there").mkdir()
        transfer.upload(far, here, str(tmp_path / "there" / backup.name))
    assert whole(here) and whole(tmp_path / "there" / backup.name)
    assert {each.stat().st_mode & 0o777 for each in (tmp_path / "there").rglob("*.dat")} == {0o600}
