"""Off-site copies by restic: on a disk and over SFTP, read back, found damaged, forgotten by the same rules."""

from __future__ import annotations

import getpass
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.keeping import stock
from tests.servers import sshd
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import catalogue, copying, manifest, marks, offsite, pruning, workplace
from windlass_engine.keeping.retention import Policy
from windlass_engine.model import Wire

pytestmark = pytest.mark.skipif(not shutil.which("restic"), reason="restic is missing: apt-get install restic")
SECRET = "correct horse, battery"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty repository; making one costs seconds."""
    folder = tmp_path_factory.mktemp("repository")
    assert offsite.create(offsite.Repository(str(folder / "r"), SECRET))
    return folder / "r"


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> offsite.Repository:
    shutil.copytree(template, tmp_path / "r")
    return offsite.Repository(str(tmp_path / "r"), SECRET)


def local(folder: Path) -> dict[str, list[Wire]]:
    return catalogue.read(stock.directory(folder), [stock.DATABASE])


def joined(folder: Path, repository: offsite.Repository) -> list[Wire]:
    return catalogue.with_offsite(local(folder), repository)[stock.DATABASE]


def test_a_copy_is_read_back_and_comes_back(repository: offsite.Repository, tmp_path: Path) -> None:
    known = stock.put(tmp_path, 1)
    path = stock.home(tmp_path) / known["id"]
    mark = offsite.copy(repository, str(path), known)
    assert mark["repository"] == str(tmp_path / "r")
    (entry,) = joined(tmp_path, repository)
    assert (entry["state"], entry["offsite"]["checked_at"]) == ("complete", mark["checked_at"])

    shutil.rmtree(path)
    (entry,) = joined(tmp_path, repository)
    assert (entry["id"], entry["state"], entry["path"]) == (known["id"], "off-site", "")
    fetched = offsite.fetch(repository, offsite.snapshots(repository, stock.DATABASE)[0], str(stock.home(tmp_path)))
    assert fetched == str(path)
    assert manifest.damages(fetched, manifest.load(fetched)) == []
    assert os.stat(fetched).st_mode & 0o777 == 0o700
    assert [each["state"] for each in joined(tmp_path, repository)] == ["complete"]
    assert not list(stock.home(tmp_path).glob(".partial*"))


@pytest.mark.parametrize("harm", ["a byte", "the manifest"])
def test_a_damaged_backup_makes_room_for_its_copy(repository: offsite.Repository, tmp_path: Path, harm: str) -> None:
    known = stock.put(tmp_path, 1)
    path = stock.home(tmp_path) / known["id"]
    offsite.copy(repository, str(path), known)

    def fetched(check_mode: bool = False) -> Wire:
        wish = copying.Wish(fetch=known["id"])
        return copying.carry_out(
            repository, stock.directory(tmp_path), stock.DATABASE, wish, check_mode, lambda _: None
        )

    before = os.stat(path).st_ino
    assert (fetched()["fetched"], fetched()["here"]) == ("", known["id"]), "a whole one stays"
    assert os.stat(path).st_ino == before
    if harm == "a byte":
        stock.break_one(tmp_path, known["id"])
    else:
        (path / "manifest.json").unlink()
    marks.failed(str(stock.home(tmp_path)), known["id"], "damaged")
    assert (fetched(check_mode=True)["fetched"], fetched(check_mode=True)["intended"]) == (known["id"], True)
    assert manifest.hash_files(str(path)) != known["files"] or not (path / "manifest.json").exists()
    if harm == "a byte":
        with workplace.in_use(str(path)), pytest.raises(WindlassError, match="is in use"):
            fetched()
    assert fetched()["fetched"] == known["id"]
    assert manifest.damages(str(path), manifest.load(str(path))) == []
    (entry,) = local(tmp_path)[stock.DATABASE]
    assert entry["state"] == "complete" and "failed" not in entry
    assert not list(stock.home(tmp_path).glob(".partial*"))


@pytest.mark.parametrize("check_mode", [False, True])
def test_what_is_nowhere_cannot_be_fetched(repository: offsite.Repository, tmp_path: Path, check_mode: bool) -> None:
    wish = copying.Wish(fetch=stock.id_of(1))
    with pytest.raises(WindlassError, match="has no copy of") as caught:
        copying.carry_out(repository, stock.directory(tmp_path), stock.DATABASE, wish, check_mode, lambda _: None)
    assert caught.value.code == "backup_failed"


def test_what_changed_on_the_way_is_no_copy(repository: offsite.Repository, tmp_path: Path) -> None:
    known = stock.put(tmp_path, 1)
    stock.break_one(tmp_path, known["id"])
    with pytest.raises(WindlassError, match=r"toc\.dat: its content changed") as caught:
        offsite.copy(repository, str(stock.home(tmp_path) / known["id"]), known)
    assert caught.value.code == "offsite_failed"
    assert "offsite" not in marks.read(str(stock.home(tmp_path)), known["id"])


def test_a_corrupted_repository_is_detected(repository: offsite.Repository, tmp_path: Path) -> None:
    known = stock.put(tmp_path, 1)
    offsite.copy(repository, str(stock.home(tmp_path) / known["id"]), known)
    offsite.check(repository, full=True)
    pack = max((tmp_path / "r" / "data").rglob("*"), key=lambda each: each.stat().st_size if each.is_file() else 0)
    data = bytearray(pack.read_bytes())
    data[50] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(bytes(data))
    with pytest.raises(WindlassError) as caught:
        offsite.check(repository, full=True)
    assert caught.value.code == "offsite_failed" and "damaged" in caught.value.message
    shutil.rmtree(stock.home(tmp_path) / known["id"])
    with pytest.raises(WindlassError):
        offsite.fetch(repository, offsite.snapshots(repository)[0], str(stock.home(tmp_path)))
    assert stock.ids(tmp_path) == [], "nothing that looks whole"


@pytest.mark.parametrize(
    "address", ["/nonexistent/windlass", "sftp:nobody@127.0.0.1:/nothing", "rest:http://127.0.0.1:9"]
)
def test_an_unreachable_repository_is_said_and_the_local_backup_stands(address: str, tmp_path: Path) -> None:
    known = stock.put(tmp_path, 1)
    ssh = "sftp.command=ssh -p 9 -o BatchMode=yes nobody@127.0.0.1 -s sftp"
    away = offsite.Repository(address, SECRET, options=(ssh,) if address.startswith("sftp") else ())
    with pytest.raises(WindlassError) as caught:
        offsite.copy(away, str(stock.home(tmp_path) / known["id"]), known)
    assert caught.value.code == "offsite_failed" and caught.value.hint
    assert SECRET not in json.dumps(caught.value.to_wire())
    assert manifest.damages(str(stock.home(tmp_path) / known["id"]), known) == []


def test_a_wrong_password_is_refused_and_not_shown(repository: offsite.Repository, tmp_path: Path) -> None:
    wrong = replace(repository, password="hunter2hunter2")
    with pytest.raises(WindlassError, match="wrong password") as caught:
        offsite.snapshots(wrong)
    assert "hunter2" not in str(caught.value.to_wire())


def test_retention_forgets_there_what_no_rule_keeps_here(repository: offsite.Repository, tmp_path: Path) -> None:
    made = [stock.put(tmp_path, hours) for hours in (30, 20, 10)]
    for known in made:
        offsite.copy(repository, str(stock.home(tmp_path) / known["id"]), known)
    directory = stock.directory(tmp_path)
    said = pruning.prune(directory, stock.DATABASE, Policy(last=2), repository, check_mode=True)
    assert said["offsite_going"] == [made[0]["id"]] and said["offsite_deleted"] == []
    done = pruning.prune(directory, stock.DATABASE, Policy(last=2), repository)
    assert done["deleted"] == done["offsite_deleted"] == [made[0]["id"]]
    assert [each["id"] for each in offsite.snapshots(repository)] == [made[2]["id"], made[1]["id"]]
    offsite.check(repository, full=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[sshd.Sshd]:
    if not sshd.program():
        pytest.skip("sshd is missing: apt-get install openssh-server")
    running = sshd.Sshd(more="Subsystem sftp internal-sftp\n")
    yield running
    running.remove()


def test_over_sftp(server: sshd.Sshd, template: Path, tmp_path: Path) -> None:
    shutil.copytree(template, tmp_path / "far")
    login = f"-p {server.port} -i {server.client_key} {server.common_args} {getpass.getuser()}@127.0.0.1"
    away = offsite.Repository(f"sftp:127.0.0.1:{tmp_path}/far", SECRET, options=(f"sftp.command=ssh {login} -s sftp",))
    known = stock.put(tmp_path, 1)
    offsite.copy(away, str(stock.home(tmp_path) / known["id"]), known)
    shutil.rmtree(stock.home(tmp_path) / known["id"])
    offsite.fetch(away, offsite.snapshots(away, stock.DATABASE)[0], str(stock.home(tmp_path)))
    assert stock.ids(tmp_path) == [known["id"]]


def test_the_address_is_shown_without_a_password() -> None:
    repository = offsite.Repository("rest:https://me:pass@backup.example/r", SECRET)
    assert repository.shown == "rest:https://me@backup.example/r"
    assert SECRET not in repr(repository)


@pytest.mark.parametrize(
    "raw", [{"repository": "/x"}, {"password": "x"}, "x", {"repository": "/", "password": "x", "key": 1}]
)
def test_an_incomplete_address_is_refused(raw: object) -> None:
    with pytest.raises(WindlassError) as caught:
        offsite.Repository.of(raw)
    assert caught.value.code == "inventory_invalid"
