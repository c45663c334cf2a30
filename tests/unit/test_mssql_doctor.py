"""What the doctor says of backups of SQL Server, on a server that is only played."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.mssql_stage import FOLDER, Database, Link, Server
from windlass_engine.dialects.link import ServerError
from windlass_engine.dialects.mssql import driver
from windlass_engine.dialects.mssql.keeper import SQLServerKeeper
from windlass_engine.finding import Finding
from windlass_engine.model import Target

URL = "mssql://deployer@db1/shop"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    played = Server()
    played.databases["shop"] = Database()
    monkeypatch.setattr(driver, "connect", played.connect)
    return played


def look(server: Server, url: str = URL) -> dict[str, Finding]:
    link: Any = Link(server, "shop", 51)
    return {found.name: found for found in SQLServerKeeper().examine(Target("shop", "shop", url), link)}


def test_a_server_that_lacks_nothing(server: Server) -> None:
    found = look(server)
    assert {name: each.status for name, each in found.items()} == {
        "rights for backups": "ok", "folder for backups": "ok", "deleting backups": "ok",
    }  # fmt: skip
    assert found["folder for backups"].found == f"{FOLDER} on the server, {server.free >> 20} MB free"
    assert not server.statements("BACKUP", "RESTORE", "ALTER", "EXEC")


@pytest.mark.parametrize(
    ("change", "name", "said", "mend"),
    [
        ({"may_save": 0}, "rights for backups", "may not back this database up", "db_backupoperator"),
        ({"may_make": 0}, "rights for backups", "may not look into a backup", "dbcreator"),
        ({"engine": 8}, "rights for backups", "Azure SQL Managed Instance writes no backups", "point-in-time"),
        ({"sees_folder": False}, "folder for backups", f"does not see {FOLDER}", "backup_folder="),
        ({"is_sysadmin": 0}, "deleting backups", "no sysadmin", "by hand"),
    ],
)
def test_what_is_lacking_is_said_with_its_remedy(
    server: Server, change: dict[str, Any], name: str, said: str, mend: str
) -> None:
    for key, value in change.items():
        setattr(server, key, value)
    found = look(server)
    assert [each.name for each in found.values() if each.status != "ok"] == [name]
    assert (found[name].status, said in found[name].found, mend in found[name].mend) == ("warn", True, True)


def test_a_server_that_does_not_tell_is_not_blamed(server: Server) -> None:
    server.fail("dm_os_file_exists", ServerError("The user does not have permission.", number=300))
    server.fail("IS_SRVROLEMEMBER", ServerError("no", number=229))
    found = look(server)
    assert {found["folder for backups"].status, found["deleting backups"].status} == {"skipped"}


def test_the_shared_folder_is_looked_at_from_here(server: Server, tmp_path: Path) -> None:
    shared = f"{URL}?backup_folder={FOLDER}&backup_share={tmp_path}"
    assert look(server, shared)["shared folder for backups"].status == "ok"
    (away,) = (each for name, each in look(server, f"{shared}/away").items() if name.startswith("shared"))
    assert (away.status, away.found) == ("warn", f"there is no folder {tmp_path}/away on this host")
