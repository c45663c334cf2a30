"""SQL Server's backups in a folder that the host shares: encrypted by age and copied by restic like all others."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.mssql_stage import FOLDER, Backup, Database, Server
from windlass_engine.backups import backup, restore
from windlass_engine.backups.backup import BackupSettings
from windlass_engine.dialects.mssql import driver
from windlass_engine.keeping import catalogue, copying, offsite
from windlass_engine.model import Target, Wire

_DATA = os.urandom(50_000)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    played = Server()
    played.databases["shop"] = Database(rows={("dbo", "item"): 3})
    monkeypatch.setattr(driver, "connect", played.connect)
    return played


@pytest.fixture
def target(server: Server, tmp_path: Path) -> Target:
    """A server that writes into a folder of this host, and restores what lies there, if it is what it wrote."""
    share = tmp_path / "share"
    share.mkdir()

    def copies(path: str, made: Backup | None) -> None:
        place = share / path.rpartition("/")[2]
        place.write_bytes(_DATA) if made else place.unlink()

    real = server.answer

    def answer(link: Any, sql: str) -> list[dict[str, Any]]:
        if sql.startswith("RESTORE DATABASE"):
            (name,) = re.findall(r"windlass-restore-[0-9a-f]{12}\.bak", sql)
            assert (share / name).read_bytes() == _DATA
            server.files[f"{FOLDER}/{name}"] = Backup("shop", server.databases["shop"], 1)
        return real(link, sql)

    server.copies = copies
    server.answer = answer  # type: ignore[method-assign]
    return Target("shop", "shop", f"mssql://deployer@db1/shop?backup_folder={FOLDER}&backup_share={share}")


def make(target: Target, folder: Path, **more: Any) -> Wire:
    return backup.make(target, BackupSettings(str(folder / "backups"), **more), lambda _: None)


@pytest.mark.skipif(not shutil.which("age"), reason="age is missing: apt-get install age")
def test_encrypted_and_restored(server: Server, target: Target, tmp_path: Path) -> None:
    identity = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    public = next(line.split(": ")[1] for line in identity.splitlines() if "public key" in line)
    made = make(target, tmp_path, recipients=(public,))
    files = [path for path in Path(made["path"]).rglob("*") if path.is_file() and path.name != "manifest.json"]
    assert {path.suffix for path in files} == {".age"} and server.files == {}
    assert not any(_DATA[:64] in path.read_bytes() for path in files)
    done = restore.beside(target, made["path"], "shop_restored", "", 1, lambda _: None, identity)
    assert done["differences"] == [] and "shop_restored" in server.databases
    assert list((tmp_path / "share").iterdir()) == []


@pytest.mark.skipif(not shutil.which("restic"), reason="restic is missing: apt-get install restic")
def test_copied_off_site_and_fetched_back(server: Server, target: Target, tmp_path: Path) -> None:
    made = make(target, tmp_path, offsite=True)
    repository, place = offsite.Repository(str(tmp_path / "r"), "correct horse"), str(tmp_path / "backups")
    done = copying.carry_out(repository, place, "shop", copying.Wish(create=True), False, lambda _: None)
    assert done["copied"] == [made["id"]]
    shutil.rmtree(made["path"])
    assert catalogue.with_offsite(catalogue.read(place, ["shop"]), repository)["shop"][0]["state"] == catalogue.OFFSITE
    wish = copying.Wish(fetch=made["id"])
    assert copying.carry_out(repository, place, "shop", wish, False, lambda _: None)["fetched"] == made["id"]
    assert Path(made["path"], "dump", "database.bak").read_bytes() == _DATA
    assert restore.beside(target, made["path"], "shop_restored", "", 1, lambda _: None)["differences"] == []
