"""SQL Server's restores, on a server that is only played: beside, compared, and nothing left of what failed."""

from __future__ import annotations

import fcntl
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.mssql_stage import DATA, FOLDER, Backup, Database, Server
from windlass_engine.backups import backup, restore, trial
from windlass_engine.backups.backup import BackupSettings
from windlass_engine.dialects.link import ServerError
from windlass_engine.dialects.mssql import driver, outlook, server_files
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import manifest
from windlass_engine.model import Target, Wire

URL = "mssql://deployer@db1/shop"
TARGET = Target("shop", "shop", URL)
SIDE = "shop_restored"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    played = Server()
    played.databases["shop"] = Database(rows={("dbo", "item"): 3, ("sales", "order"): 5})
    monkeypatch.setattr(driver, "connect", played.connect)
    return played


@pytest.fixture
def made(server: Server, tmp_path: Path) -> Wire:
    return saved(server, tmp_path)


def saved(server: Server, folder: Path, target: Target = TARGET) -> Wire:
    done = backup.make(target, BackupSettings(str(folder / "backups")), lambda _: None)
    server.sent.clear()
    return done


def bring_back(made: Wire, target: Target = TARGET, **more: Any) -> Wire:
    return restore.beside(target, made["path"], more.pop("into", SIDE), "", 1, lambda _: None, **more)


def change(made: Wire, **more: Any) -> None:
    """Change what a manifest says, as if the backup had been another."""
    folder = Path(made["path"])
    known = manifest.load(str(folder))
    (folder / "manifest.json").unlink()
    manifest.write(str(folder), {**known, **more})


def test_what_is_sent_in_its_order(server: Server, made: Wire) -> None:
    done = bring_back(made)
    assert (done["into"], done["tables"], done["total_rows"], done["differences"]) == (SIDE, 2, 8, [])
    path = made["server_file"]
    words = ("RESTORE", "DBCC", "ALTER", "CREATE", "BEGIN TRANSACTION;", "EXEC sys.sp_updatestats")
    sent = [re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{6}-(\d)", r"STAMP-\1", text) for text in server.statements(*words)]
    assert [text[:70] for text in sent[:2]] == [
        f"RESTORE HEADERONLY FROM DISK = N'{path}'"[:70],
        f"RESTORE VERIFYONLY FROM DISK = N'{path}' WITH FILE = 1, CHECKSUM, STATS = 5"[:70],
    ]
    assert sent[2:] == [
        f"RESTORE DATABASE [shop_restored] FROM DISK = N'{path}' WITH FILE = 1, "
        f"MOVE N'shop' TO N'{DATA}/shop_restored-STAMP-1.mdf', MOVE N'shop_log' TO N'{DATA}/shop_restored-STAMP-2.ldf', "
        f"MOVE N'shop_more' TO N'{DATA}/shop_restored-STAMP-3.ndf', MOVE N'shop_fs' TO N'{DATA}/shop_restored-STAMP-4', "
        "RECOVERY, CHECKSUM, RESTRICTED_USER, STATS = 5",
        "DBCC CHECKDB (N'shop_restored') WITH NO_INFOMSGS, ALL_ERRORMSGS, PHYSICAL_ONLY",
        server.statements("BEGIN TRANSACTION;")[0],
        "ALTER DATABASE [shop_restored] SET MULTI_USER",
    ]
    assert all(word in sent[4] for word in ("CREATE TABLE", "INSERT", "UPDATE", "DELETE", "ROLLBACK TRANSACTION"))
    assert server.databases["shop"].files == [] and server.databases[SIDE].access == "MULTI_USER"


def test_a_dry_run_only_looks(server: Server, made: Wire) -> None:
    found = restore.look(TARGET, made["path"], SIDE, "")
    assert list(server.databases) == ["shop"]
    assert server.statements("RESTORE DATABASE", "ALTER", "CREATE", "EXEC") == []
    assert f"RESTORE VERIFYONLY FROM DISK = N'{made['server_file']}' WITH FILE = 1, CHECKSUM, STATS = 5" in server.sent
    assert found["outlook"][0] == (
        "the backup comes from SQL Server 16.0.4135.4 (Developer Edition (64-bit)), the server is 16.0.4135.4 "
        "(Developer Edition (64-bit))"
    )


def test_statistics_are_gathered_on_a_newer_server(server: Server, made: Wire) -> None:
    server.version = 170_000
    bring_back(made)
    assert server.statements("EXEC sys.sp_updatestats")


# ---------------------------------------------------------------- obstacles and outlook


@pytest.mark.parametrize(
    ("manifested", "played", "words"),
    [
        ({}, {"version": 150_000}, "the server is SQL Server 15.0.4135.4, the backup comes from 16.0.4135.4"),
        ({}, {"may_make": 0}, "the login may not make databases"),
        ({}, {"free": 1 << 20}, f"it takes 12 MB in {DATA}/, where 1 MB are free"),
        (
            {"file_list": [{"LogicalName": "x", "Type": "D", "Size": "11000000000"}]}, {"engine": 4, "free": 1 << 50},
            "holds databases of up to 10 GB, and its data files have 11.0 GB",
        ),
        (
            {"file_list": [{"LogicalName": "x", "Type": "D", "Size": "1", "TDEThumbprint": "0x0A0B"}]}, {},
            "master lacks the certificate that encrypts it, of the thumbprint 0X0A0B",
        ),
    ],
)  # fmt: skip
def test_what_stands_in_the_way_is_said_before_anything_is_touched(
    server: Server, made: Wire, manifested: Wire, played: Wire, words: str
) -> None:
    change(made, **manifested)
    for key, value in played.items():
        setattr(server, key, value)
    with pytest.raises(WindlassError, match=re.escape(words)) as refused:
        bring_back(made)
    assert (refused.value.code, refused.value.hint) == ("restore_failed", "nothing was touched")
    assert list(server.databases) == ["shop"]


def test_a_name_that_is_taken(server: Server, made: Wire) -> None:
    with pytest.raises(WindlassError, match="a database of that name already"):
        bring_back(made, into="shop")
    server.databases[f"{SIDE}_whole"] = Database()
    with pytest.raises(WindlassError, match="shop_restored_whole already, through which the tables come"):
        bring_back(made, tables=["item"])


def test_what_is_worth_knowing(server: Server, made: Wire) -> None:
    server.users += [("old", "0x99")]
    server.edition = "Standard Edition (64-bit)"
    known = manifest.load(made["path"])
    settings = {**known["settings"], "is_trustworthy_on": True, "is_broker_enabled": True}
    users = [{"user": "app", "sid": "0x01"}, {"user": "old", "sid": "0x99"}]
    change(made, settings=settings, globals={"users": users, "features": ["InMemoryOLTP"]})
    server.databases["shop"].sessions = [60, 61]
    told = restore.look(TARGET, made["path"], SIDE, "")["outlook"]
    assert told[1:] == [
        f"it will take 12 MB in {DATA}/, where 1099.5 GB are free",
        "it uses InMemoryOLTP, which Standard Edition (64-bit) may refuse: a restore then breaks off at its end",
        "users without a login on this server: old (ALTER USER … WITH LOGIN afterwards)",
        "RESTORE does not bring back TRUSTWORTHY, Service Broker and its owner (app_owner): a swap takes over the "
        "original's",
        "2 sessions are in shop now (till of app); a restore leaves them alone, a swap ends them",
    ]


def test_a_drive_of_windows_is_measured_where_volumes_cannot_be(server: Server) -> None:
    link = server.connect(TARGET, "", 1)
    server.fail("dm_os_volume_stats", ServerError("VIEW SERVER STATE was denied", number=300))
    answers = {"xp_fixeddrives": [("C", 10), ("D", 2048)]}
    link.query = lambda sql: next((rows for word, rows in answers.items() if word in sql), [])  # type: ignore
    assert server_files.free(link, "D:\\Backup") == 2048 << 20
    assert server_files.free(link, "\\\\nas\\backup") is None


@pytest.mark.parametrize(
    ("body", "names_it"),
    [
        ("SELECT 1 FROM shop.dbo.item", True),
        ("SELECT 1 FROM [shop].[dbo].[item]", True),
        ("SELECT 1 FROM shop..item", True),
        ("INSERT INTO SHOP . dbo . item VALUES (1)", True),
        ("EXEC ('use shop')", True),
        ("IF DB_ID(N'shop') = DB_ID() PRINT 1", True),
        ("SELECT 1 FROM shop.item", False),
        ("SELECT workshop.dbo.item FROM t", False),
        ("SELECT 1 FROM other.shop.item", False),
    ],
)
def test_bodies_that_name_the_original(tmp_path: Path, body: str, names_it: bool) -> None:
    (tmp_path / "schema.json").write_text(json.dumps({"objects": [["procedure", "dbo.p", body]]}))
    told = list(outlook._bodies(str(tmp_path), "shop"))
    assert told == (["procedure dbo.p names the database shop: restored elsewhere, it still means that one"] * names_it)


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("^RESTORE DATABASE", "RESTORE detected an error on page (1:42) in database."),
        ("^DBCC", "CHECKDB found 1 allocation errors."),
        ("^BEGIN TRANSACTION;", "Could not allocate space."),
        ("SET MULTI_USER", "ALTER DATABASE statement failed."),
        ("sys.identity_columns", "VIEW DEFINITION was denied."),
    ],
)
def test_a_failure_leaves_no_database(server: Server, made: Wire, where: str, message: str) -> None:
    server.fail(where, ServerError(message, number=5069))
    with pytest.raises(WindlassError, match=re.escape(message)) as failed:
        bring_back(made)
    assert (failed.value.code, list(server.databases)) == ("restore_failed", ["shop"])
    assert bring_back(made)["into"] == SIDE


def test_a_restore_that_breaks_off_in_the_middle_is_dropped(
    server: Server, made: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is there, and RESTORING: nothing but DROP DATABASE is possible."""
    real = server.answer

    def answer(link: Any, sql: str) -> list[dict[str, Any]]:
        found = real(link, sql)
        if sql.startswith("RESTORE DATABASE"):
            server.databases[SIDE].state = "RESTORING"
            raise ServerError("The volume is full.", number=3257)
        return found

    monkeypatch.setattr(server, "answer", answer)
    with pytest.raises(WindlassError, match="The volume is full"):
        bring_back(made)
    assert list(server.databases) == ["shop"]
    (dropped,) = [text for text in server.sent if "DROP DATABASE" in text]
    assert "IF DATABASEPROPERTYEX(N'shop_restored', N'Status') = N'ONLINE' ALTER DATABASE" in dropped


def test_a_database_that_somebody_else_made_meanwhile_is_not_dropped(
    server: Server, made: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = server.answer

    def answer(link: Any, sql: str) -> list[dict[str, Any]]:
        if sql.startswith("RESTORE DATABASE"):
            server.databases[SIDE] = Database(rows={("dbo", "precious"): 1}, files=["/elsewhere.mdf"])
        return real(link, sql)

    monkeypatch.setattr(server, "answer", answer)
    with pytest.raises(WindlassError, match="The tail of the log"):
        bring_back(made)
    assert server.databases[SIDE].rows == {("dbo", "precious"): 1}


def test_what_differs_from_the_manifest(server: Server, made: Wire) -> None:
    saved_rows = server.files[made["server_file"]].of.rows
    saved_rows["dbo", "item"] = 4
    assert bring_back(made)["differences"] == ["table dbo.item: 4 rows instead of 3 (counted while it was written)"]
    server.databases.pop(SIDE)
    del saved_rows["sales", "order"]
    with pytest.raises(WindlassError, match=r"table sales\.order: no rows instead of 5"):
        bring_back(made)
    saved_rows["sales", "order"] = 5
    server.files[made["server_file"]].of.settings["recovery_model_desc"] = "SIMPLE"
    with pytest.raises(WindlassError, match="the database's recovery_model_desc is SIMPLE instead of FULL"):
        bring_back(made)
    assert list(server.databases) == ["shop"]


def test_an_identity_behind_its_column(server: Server, made: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    real = server.answer

    def answer(link: Any, sql: str) -> list[dict[str, Any]]:
        if "FROM sys.identity_columns" in sql:
            columns = [("dbo", "item", "id", 1, 7), ("dbo", "down", "id", -1, -7), ("sales", "order", "id", 5, 50)]
            return [dict(zip("abcde", row, strict=True)) for row in columns]
        if sql.startswith("SELECT 0, CAST(MAX"):
            assert "MIN([id])" in sql
            return [{"n": 0, "m": 9}, {"n": 1, "m": -7}, {"n": 2, "m": None}]
        return real(link, sql)

    monkeypatch.setattr(server, "answer", answer)
    line = "the next value of dbo.item.id is 8, and it holds 9"
    with pytest.raises(WindlassError, match=line):
        bring_back(made)
    change(made, identities_behind=[line])
    assert bring_back(made)["differences"] == [f"{line}, as in the original"]


@pytest.mark.parametrize("damage", ["gone", "other", "torn"])
def test_a_file_that_is_not_the_manifests(server: Server, made: Wire, damage: str) -> None:
    path = made["server_file"]
    if damage == "gone":
        del server.files[path]
    elif damage == "other":
        server.files[path] = Backup("shop", server.databases["shop"], 77)
    else:
        server.files[path].damaged = True
    with pytest.raises(WindlassError, match=re.escape(path)) as refused:
        bring_back(made)
    assert refused.value.code == "backup_failed" and list(server.databases) == ["shop"]
    if damage == "other":
        assert "BackupSetGUID 00000000-0000-0000-0000-000000000077 instead of" in refused.value.message


# ---------------------------------------------------------------- single tables


def test_single_tables(server: Server, made: Wire) -> None:
    done = bring_back(made, into="shop_side", tables=["sales.*"])
    assert (done["only"], done["tables"], done["total_rows"]) == (["sales.order"], 1, 5)
    side = server.databases["shop_side"]
    assert (side.rows, side.access) == ({("sales", "order"): 5}, "MULTI_USER")
    assert side.properties["windlass_partial"] == f"windlass: only some tables, of backup {made['id']}: sales.order"
    assert "shop_side_whole" not in server.databases
    words = ("CREATE DATABASE", "RESTORE DATABASE", "EXEC [shop_side]", "SELECT * INTO", "ALTER DATABASE")
    sent = server.statements(*words)
    assert sent[0] == (
        "CREATE DATABASE [shop_side] COLLATE Latin1_General_100_CI_AS; ALTER DATABASE [shop_side] SET RECOVERY SIMPLE"
    )
    assert sent[1] == "ALTER DATABASE [shop_side] SET RESTRICTED_USER" and "[shop_side_whole]" in sent[2]
    assert sent[3:] == [
        "EXEC [shop_side].sys.sp_executesql N'CREATE SCHEMA [sales]'",
        "SELECT * INTO [shop_side].[sales].[order] FROM [shop_side_whole].[sales].[order]",
        f"EXEC [shop_side].sys.sp_addextendedproperty @name = N'windlass_partial', @value = "
        f"N'windlass: only some tables, of backup {made['id']}: sales.order'",
        "ALTER DATABASE [shop_side] SET MULTI_USER",
    ]
    with pytest.raises(WindlassError, match="holds the rows of some tables only"):
        restore.swap(TARGET, "shop_side", lambda _: None)


@pytest.mark.parametrize("where", [r"SELECT \* INTO", "RESTORE DATABASE", "sp_addextendedproperty", "COUNT_BIG"])
def test_single_tables_that_fail_leave_neither_database(server: Server, made: Wire, where: str) -> None:
    server.fail(where, ServerError("no", number=50000))
    with pytest.raises(WindlassError):
        bring_back(made, into="shop_side", tables=["sales.order"])
    assert list(server.databases) == ["shop"]


# ---------------------------------------------------------------- through a shared folder


def test_a_backup_that_lies_here_goes_through_the_share(server: Server, tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    target = Target("shop", "shop", f"{URL}?backup_folder={FOLDER}&backup_share={share}")

    def copies(path: str, made: Backup | None) -> None:
        place = share / path.rpartition("/")[2]
        place.write_bytes(os.urandom(50_000)) if made else place.unlink()

    server.copies = copies
    done = saved(server, tmp_path, target)
    for word, held in (("dead", False), ("busy", True)):
        (share / f"windlass-restore-{word}.bak").touch()
        (share / f"windlass-restore-{word}.lock").touch()
        if held:
            lock = (share / f"windlass-restore-{word}.lock").open()
            fcntl.flock(lock, fcntl.LOCK_EX)
    real = server.answer

    def answer(link: Any, sql: str) -> list[dict[str, Any]]:
        if sql.startswith("RESTORE DATABASE"):
            (name,) = re.findall(r"windlass-restore-[0-9a-f]{12}\.bak", sql)
            data = (share / name).read_bytes()
            assert data == Path(done["path"], "dump", "database.bak").read_bytes()
            assert (share / name).stat().st_mode & 0o777 == 0o640
            server.files[f"{FOLDER}/{name}"] = Backup("shop", server.databases["shop"], 1)
        return real(link, sql)

    server.answer = answer  # type: ignore[method-assign]
    assert bring_back(done, target)["into"] == SIDE
    assert sorted(path.name for path in share.iterdir()) == ["windlass-restore-busy.bak", "windlass-restore-busy.lock"]
    with pytest.raises(WindlassError, match="the server reads only its own files") as refused:
        bring_back(done, into="shop_other")
    assert "backup_share" in refused.value.hint and "shop_other" not in server.databases
    lock.close()


# ---------------------------------------------------------------- restore tests


def test_a_restore_test_leaves_nothing_and_tells_a_bad_backup_from_a_lack(server: Server, made: Wire) -> None:
    good = trial.run(TARGET, trial.Trial(made["path"]), lambda _: None)
    assert (good["failed"], good["restored"]["total_rows"]) == ("", 8)
    server.files[made["server_file"]].damaged = True
    assert "error on page" in trial.run(TARGET, trial.Trial(made["path"]), lambda _: None)["failed"]
    server.files[made["server_file"]].damaged = False
    server.free = 1
    with pytest.raises(WindlassError, match="are free"):
        trial.run(TARGET, trial.Trial(made["path"]), lambda _: None)
    assert list(server.databases) == ["shop"]
