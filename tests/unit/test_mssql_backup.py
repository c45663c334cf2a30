"""SQL Server's backups, on a server that is only played: what is sent, in which order, and what a failure leaves."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import re
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from testbed.waiting import LIMIT_S
from tests.unit.mssql_stage import FOLDER, Backup, Database, Server
from windlass_engine.backups import backup
from windlass_engine.backups.backup import BackupSettings
from windlass_engine.dialects.link import ServerError
from windlass_engine.dialects.mssql import driver, dumping
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import catalogue, copying, manifest, marks, offsite, outside, pruning, retention
from windlass_engine.model import Target, Wire

URL = "mssql://deployer@db1/shop"
TARGET = Target("shop", "shop", URL)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    played = Server()
    played.databases["shop"] = Database(rows={("dbo", "item"): 3, ("sales", "order"): 5})
    monkeypatch.setattr(driver, "connect", played.connect)
    return played


@pytest.fixture
def shared(server: Server, tmp_path: Path) -> tuple[Path, Target]:
    """A folder of this host that is the server's folder for backups, and the target that says so."""
    share = tmp_path / "share"
    share.mkdir()

    def copies(path: str, made: Backup | None) -> None:
        place = share / path.rpartition("/")[2]
        place.write_bytes(os.urandom(200_000)) if made else place.unlink()

    server.copies = copies
    return share, Target("shop", "shop", f"{URL}?backup_folder={FOLDER}&backup_share={share}")


def make(folder: Path, target: Target = TARGET, emit: Callable[[Wire], None] = lambda _: None, **more: Any) -> Wire:
    return backup.make(target, BackupSettings(str(folder / "backups"), who="anna", why="asked for", **more), emit)


def left(folder: Path) -> list[str]:
    """What a run left beside the backups: folders, and notes of files on the server."""
    home = folder / "backups" / "shop"
    return sorted(path.name for path in home.iterdir() if path.name not in (".lock", ".outside", ".marks"))


# ---------------------------------------------------------------- what is sent and kept


def test_what_is_sent_in_its_order(server: Server, tmp_path: Path) -> None:
    made = make(tmp_path)
    path = f"{FOLDER}/windlass-shop-{made['id']}.bak"
    assert server.statements("BACKUP", "RESTORE", "KILL", "EXEC master") == [
        f"BACKUP DATABASE [shop] TO DISK = N'{path}' WITH COPY_ONLY, CHECKSUM, COMPRESSION, FORMAT, INIT, SKIP, "
        f"NAME = N'windlass {made['id']}', STATS = 5",
        f"RESTORE VERIFYONLY FROM DISK = N'{path}' WITH FILE = 1, CHECKSUM, STATS = 5",
        f"RESTORE HEADERONLY FROM DISK = N'{path}'",
        f"RESTORE FILELISTONLY FROM DISK = N'{path}' WITH FILE = 1",
    ]
    counted = next(number for number, text in enumerate(server.sent) if "dm_db_partition_stats" in text)
    assert counted < server.sent.index(f"RESTORE HEADERONLY FROM DISK = N'{path}'")


def test_the_manifest_says_where_the_data_is_and_how_near_the_counts_are(server: Server, tmp_path: Path) -> None:
    made = make(tmp_path)
    known = manifest.load(made["path"])
    assert known["server_file"] == f"{FOLDER}/windlass-shop-{made['id']}.bak" == made["server_file"]
    assert (known["engine"], known["method"], known["compression"]) == ("mssql", "BACKUP DATABASE", "the server's own")
    assert (known["bytes"], known["server_checksum"], known["server_name"]) == (4096, True, "db1")
    assert known["rows"] == {"dbo.item": 3, "sales.order": 5}
    assert known["counted"] == "approximate" and "near" in known["not_held_because"]
    assert known["header"]["BackupSetGUID"] == server.files[known["server_file"]].guid
    assert [each["LogicalName"] for each in known["file_list"]] == ["shop", "shop_log", "shop_more", "shop_fs"]
    assert (known["who"], known["why"], known["database_bytes"]) == ("anna", "asked for", 16 << 20)
    assert sorted(known["files"]) == ["dump/header.json", "schema.json"]
    assert json.loads(Path(made["path"], "dump", "header.json").read_text())["path"] == known["server_file"]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in Path(made["path"]).rglob("*") if path.is_file()}
    assert modes == {0o600}


@pytest.mark.parametrize(
    ("engine", "edition", "option"),
    [
        (3, "Enterprise Edition: Core-based Licensing (64-bit)", "COMPRESSION"),
        (2, "Standard Edition (64-bit)", "COMPRESSION"),
        (2, "Web Edition (64-bit)", "NO_COMPRESSION"),
        (4, "Express Edition (64-bit)", "NO_COMPRESSION"),
    ],
)
def test_compression_goes_by_the_edition(
    server: Server, tmp_path: Path, engine: int, edition: str, option: str
) -> None:
    server.engine, server.edition = engine, edition
    made = make(tmp_path)
    assert f", CHECKSUM, {option}, FORMAT" in server.statements("BACKUP")[0]
    assert made["compression"] == ("the server's own" if option == "COMPRESSION" else "none")


def test_a_database_with_transparent_encryption_is_compressed_before_it_is_encrypted(
    server: Server, tmp_path: Path
) -> None:
    server.databases["shop"].settings["is_encrypted"] = True
    make(tmp_path)
    assert "SKIP, MAXTRANSFERSIZE = 131072, NAME" in server.statements("BACKUP")[0]


def test_the_folder_of_an_older_server_is_read_where_it_keeps_it(server: Server, tmp_path: Path) -> None:
    server.default_folder = None
    made = make(tmp_path)
    assert made["server_file"] == f"C:\\SQL\\Backup\\windlass-shop-{made['id']}.bak"


def test_the_url_names_another_folder(server: Server, tmp_path: Path) -> None:
    made = make(tmp_path, Target("shop", "shop", f"{URL}?backup_folder=%2Fmnt%2Fb"))
    assert made["server_file"].startswith("/mnt/b/windlass-shop-")


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"engine": 5}, "backup_failed", "Azure SQL Database writes no backups to a disk"),
        ({"engine": 8}, "backup_failed", "Azure SQL Managed Instance"),
        ({"may_save": 0}, "backup_failed", "may not back this database up"),
        ({"may_make": 0}, "backup_failed", "none could be verified"),
        ({"sees_folder": False}, "backup_failed", f"does not see its folder for backups, {FOLDER}"),
        ({"free": 1 << 20}, "space_missing", f"MB in {FOLDER} of the server, and 1 MB are free"),
    ],
)
def test_what_cannot_end_well_does_not_begin(
    server: Server, tmp_path: Path, change: dict[str, Any], code: str, words: str
) -> None:
    for key, value in change.items():
        setattr(server, key, value)
    with pytest.raises(WindlassError, match=re.escape(words)) as refused:
        make(tmp_path)
    assert (refused.value.code, server.statements("BACKUP"), server.files) == (code, [], {})
    assert refused.value.hint


def test_encryption_of_what_this_host_cannot_read_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("windlass_engine.keeping.encryption.program", lambda: "/usr/bin/age")
    with pytest.raises(WindlassError, match="which this host cannot read") as refused:
        make(tmp_path, recipients=("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",))
    assert "backup_share" in refused.value.hint and server.statements("BACKUP") == []


def test_a_copy_off_site_that_cannot_be_made_is_refused_before_the_backup(server: Server, tmp_path: Path) -> None:
    with pytest.raises(WindlassError, match=r"to be copied off-site, .* which this host cannot read") as refused:
        make(tmp_path, offsite=True)
    assert "windlass_offsite to {}" in refused.value.hint and server.statements("BACKUP") == []
    with pytest.raises(WindlassError, match="to be copied off-site"):  # the dry run says the same
        backup.foresee(TARGET, BackupSettings(str(tmp_path / "backups"), offsite=True))
    assert backup.foresee(TARGET, BackupSettings(str(tmp_path / "backups")))["elsewhere"].endswith(FOLDER)


def test_a_copy_off_site_and_a_download_are_refused(server: Server, tmp_path: Path) -> None:
    made = make(tmp_path)
    repository = offsite.Repository(str(tmp_path / "nowhere"), "secret")
    catalogued = catalogue.read(str(tmp_path / "backups"), ["shop"])["shop"]

    def joined(*_: Any) -> dict[str, list[Wire]]:
        return {"shop": catalogued}

    with pytest.MonkeyPatch.context() as patch, pytest.raises(WindlassError, match="cannot be copied off-site") as one:
        patch.setattr(catalogue, "with_offsite", joined)
        copying.carry_out(repository, str(tmp_path / "backups"), "shop", copying.Wish(), False, lambda _: None)
    with pytest.raises(WindlassError, match="cannot be downloaded") as other:
        outside.require_here(catalogued[0], "downloaded", "backup_failed")
    assert (one.value.code, other.value.code) == ("offsite_failed", "backup_failed")
    assert made["server_file"] in one.value.message


@pytest.mark.parametrize("options", ["backup_share=/mnt/b", "backup_folder=/b&backup_share=mnt"])
def test_a_share_needs_both_names(server: Server, tmp_path: Path, options: str) -> None:
    with pytest.raises(WindlassError, match="backup_share is a path of this host") as refused:
        make(tmp_path, Target("shop", "shop", f"{URL}?{options}"))
    assert refused.value.code == "inventory_invalid"


# ---------------------------------------------------------------- what a failure leaves


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("^BACKUP", ServerError("There is not enough space on the disk. Operating system error 112.", number=3202)),
        ("^RESTORE VERIFYONLY", ServerError("RESTORE detected an error on page (1:42).", number=3183)),
        ("^RESTORE HEADERONLY", ServerError("The media family is incorrectly formed.", number=3241)),
        ("^RESTORE FILELISTONLY", ServerError("BACKUP DATABASE is terminating abnormally.", number=3013)),
        ("sys.identity_columns", ServerError("the connection is broken", lost=True)),
    ],
)
def test_a_failure_leaves_neither_a_backup_nor_a_file(
    server: Server, tmp_path: Path, where: str, error: ServerError
) -> None:
    server.fail(where, error)
    with pytest.raises(WindlassError, match=re.escape(error.message)) as failed:
        make(tmp_path)
    assert failed.value.code == ("connection_lost" if error.lost else "backup_failed")
    assert (left(tmp_path), server.files) == ([], {})
    assert outside.remains(str(tmp_path / "backups" / "shop")) == {}
    assert make(tmp_path)["id"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("IsDamaged", True), ("HasBackupChecksums", False), ("DatabaseName", "other"), ("BackupType", 5),
        ("IsCopyOnly", False), ("HasIncompleteMetaData", True),
    ],
)  # fmt: skip
def test_a_header_that_is_not_what_was_asked_for(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: Any
) -> None:
    answer = server.answer

    def changed(link: Any, sql: str) -> list[dict[str, Any]]:
        return [{**row, key: value} for row in answer(link, sql)] if "HEADERONLY" in sql else answer(link, sql)

    monkeypatch.setattr(server, "answer", changed)
    with pytest.raises(WindlassError, match=f"is no good backup: its header says that {key} is {value!r}"):
        make(tmp_path)
    assert (left(tmp_path), server.files) == ([], {})


def test_msdb_knows_another_file_of_that_name(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count()
    monkeypatch.setattr(Backup, "guid", property(lambda _: f"{next(numbers)}"))
    with pytest.raises(WindlassError, match="msdb knows another or a damaged backup"):
        make(tmp_path)
    assert server.files == {}


def test_a_login_that_may_not_read_msdb_takes_the_headers_word(server: Server, tmp_path: Path) -> None:
    server.fail("msdb", ServerError("The SELECT permission was denied.", number=229))
    assert make(tmp_path)["bytes"] == 4096


def test_a_file_that_cannot_be_deleted_is_told_of_and_goes_with_the_next_run(server: Server, tmp_path: Path) -> None:
    server.fail("^RESTORE VERIFYONLY", ServerError("RESTORE detected an error.", number=3183))
    server.fail("xp_delete_file", ServerError("The EXECUTE permission was denied.", number=229), 2)
    told: list[Wire] = []
    with pytest.raises(WindlassError):
        make(tmp_path, emit=told.append)
    (path,) = server.files
    (warning,) = [event["text"] for event in told if event["event"] == "backup_warning"]
    assert path in warning and "EXECUTE permission was denied" in warning and left(tmp_path) == []
    told.clear()
    kept = make(tmp_path, emit=told.append)["server_file"]  # still denied at its beginning, not at its end
    assert list(server.files) == [kept] and [e for e in told if e["event"] == "backup_warning"] == []


def test_a_file_in_a_folder_that_is_away_is_not_forgotten(server: Server, tmp_path: Path) -> None:
    old, new = make(tmp_path), make(tmp_path)
    server.sees_folder = False
    (told,) = prune(tmp_path, retention.Policy(last=1))["left_on_server"]
    assert old["server_file"] in told and "does not see that folder now" in told
    server.sees_folder = True
    prune(tmp_path, retention.Policy(last=1))
    assert list(server.files) == [new["server_file"]]


def test_an_older_server_does_not_delete_what_is_no_whole_backup(server: Server, tmp_path: Path) -> None:
    server.version = 140_000
    server.fail("^RESTORE VERIFYONLY", ServerError("RESTORE detected an error.", number=3183))
    server.copies = lambda path, made: setattr(made, "whole", False) if made else None
    told: list[Wire] = []
    with pytest.raises(WindlassError):
        make(tmp_path, emit=told.append)
    assert server.statements("EXEC master.dbo.xp_delete_file 0, N'")
    assert [event["text"] for event in told if event["event"] == "backup_warning"] == [
        f"a file of no backup is left on the server, delete it there: {next(iter(server.files))} "
        "(the server did not delete it: it is no whole backup, or the service may not)"
    ]


def test_what_a_killed_run_left_goes_and_what_is_being_written_stays(server: Server, tmp_path: Path) -> None:
    """A kill leaves the note of the file, and nobody holds the lock of the folder."""
    home = tmp_path / "backups" / "shop"
    first = make(tmp_path)
    names: dict[str, str] = {}
    for word in ("killed", "working"):
        name = f"20260101T00000{len(names)}Z-aaaaaa"
        names[word] = f"{FOLDER}/windlass-shop-{name}.bak"
        server.files[names[word]] = Backup("shop", server.databases["shop"], 90 + len(names))
        outside.note(str(home), name, names[word])
        (home / f".partial-{name}").mkdir()
        (home / f".partial-{name}.lock").touch()
    with (home / ".partial-20260101T000001Z-aaaaaa.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = make(tmp_path)
    assert set(server.files) == {first["server_file"], second["server_file"], names["working"]}
    make(tmp_path)
    assert names["working"] not in server.files


def test_a_backup_of_a_damaged_manifest_keeps_its_file(server: Server, tmp_path: Path) -> None:
    first = make(tmp_path)
    Path(first["path"], "manifest.json").write_text("{")
    make(tmp_path)
    assert first["server_file"] in server.files


def test_a_backup_that_breaks_off_ends_the_servers_work(server: Server, tmp_path: Path) -> None:
    """Our own look at the database fails while the server writes."""
    writing, ended = threading.Event(), threading.Event()

    def copies(path: str, made: Backup | None) -> None:
        if made:
            writing.set()
            ended.wait(LIMIT_S)

    server.copies = copies
    real = server.answer

    def answer(link: Any, sql: str) -> list[dict[str, Any]]:
        if "sys.identity_columns" in sql:
            assert writing.wait(LIMIT_S)
            raise ServerError("Transaction was deadlocked.", number=1205)
        if sql.startswith("KILL"):
            ended.set()
        return real(link, sql)

    server.answer = answer  # type: ignore[method-assign]
    with pytest.raises(WindlassError, match="deadlocked"):
        make(tmp_path)
    assert server.statements("KILL") == ["KILL 52"] and server.files == {} and left(tmp_path) == []


def test_how_far_the_server_is_is_told_while_it_writes(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()
    monkeypatch.setattr(dumping, "_PROGRESS_S", 0.0)
    monkeypatch.setattr(backup, "_PROGRESS_S", 0.0)
    server.copies = lambda path, made: (asked.wait(LIMIT_S), None)[1]
    real = server.answer

    def answer(link: Any, sql: str) -> list[dict[str, Any]]:
        if "percent_complete" not in sql:
            return real(link, sql)
        assert sql.endswith("session_id = 52")
        asked.set()
        return [{"percent": 40.0}]

    server.answer = answer  # type: ignore[method-assign]
    told: list[Wire] = []
    make(tmp_path, emit=told.append)
    assert (10 << 20) * 4 // 10 in [event["bytes"] for event in told if event["event"] == "backup_progress"]


# ---------------------------------------------------------------- a folder that the host shares


def test_a_shared_file_is_brought_here_hashed_and_gone_from_the_server(
    server: Server, tmp_path: Path, shared: tuple[Path, Target]
) -> None:
    share, target = shared
    made = make(tmp_path, target)
    known = manifest.load(made["path"])
    assert known["files"]["dump/database.bak"]["bytes"] == 200_000 and "server_file" not in known
    assert manifest.damages(made["path"], known) == []
    assert (list(share.iterdir()), server.files) == ([], {})
    assert made["bytes"] == sum(each["bytes"] for each in known["files"].values())


def test_a_shared_file_that_cannot_be_read_leaves_nothing(
    server: Server, tmp_path: Path, shared: tuple[Path, Target]
) -> None:
    share, target = shared
    plain = server.copies
    server.copies = lambda path, made: plain(path, made) if made is None else None
    (share / "x").mkdir()
    with pytest.raises(WindlassError, match="No such file") as failed:
        make(tmp_path, target)
    assert failed.value.code == "backup_failed" and left(tmp_path) == []


# ---------------------------------------------------------------- looked at again, and let go


def prune(folder: Path, policy: retention.Policy, target: Target = TARGET) -> Wire:
    return pruning.prune(str(folder / "backups"), "shop", policy, None, False, backup.server_of(target))


def test_retention_deletes_the_servers_file_too(server: Server, tmp_path: Path) -> None:
    old, new = make(tmp_path), make(tmp_path)
    done = prune(tmp_path, retention.Policy(last=1))
    assert (done["deleted"], done["left_on_server"], done["freed_bytes"]) == ([old["id"]], [], 4096)
    assert list(server.files) == [new["server_file"]]
    assert f"RESTORE VERIFYONLY FROM DISK = N'{new['server_file']}' WITH FILE = 1, CHECKSUM, STATS = 5" in server.sent


def test_what_the_server_does_not_delete_is_told_and_goes_later(server: Server, tmp_path: Path) -> None:
    old, new = make(tmp_path), make(tmp_path)
    server.fail("xp_delete_file", ServerError("Access is denied.", number=22049))
    (told,) = prune(tmp_path, retention.Policy(last=1))["left_on_server"]
    assert old["server_file"] in told and "Access is denied." in told
    assert prune(tmp_path, retention.Policy(last=1))["left_on_server"] == []
    assert list(server.files) == [new["server_file"]]


def test_nothing_goes_when_the_newest_is_damaged_on_the_server(server: Server, tmp_path: Path) -> None:
    old, new = make(tmp_path), make(tmp_path)
    server.files[new["server_file"]].damaged = True
    done = prune(tmp_path, retention.Policy(last=1))
    assert done["deleted"] == [] and "failed its check" in done["held"]
    assert "error on page" in marks.read(str(tmp_path / "backups" / "shop"), new["id"])["failed"]["reason"]
    assert set(server.files) == {old["server_file"], new["server_file"]}


def test_nothing_goes_and_nothing_is_marked_when_the_server_is_away(server: Server, tmp_path: Path) -> None:
    make(tmp_path)
    new = make(tmp_path)
    server.dies_after = 0
    with pytest.raises(WindlassError) as failed:
        prune(tmp_path, retention.Policy(last=1))
    assert failed.value.code == "database_unreachable" and len(server.files) == 2
    assert marks.read(str(tmp_path / "backups" / "shop"), new["id"]) == {}


def test_another_servers_file_says_nothing_about_the_backup(server: Server, tmp_path: Path) -> None:
    made = make(tmp_path)
    known = manifest.load(made["path"])
    keeper = backup.keeper_of(TARGET)
    server.files.clear()
    with pytest.raises(WindlassError) as here:
        keeper.recheck(TARGET, known)
    server.name = "db2"
    with pytest.raises(WindlassError, match=r"the server db2 cannot open .* of the server db1") as there:
        keeper.recheck(TARGET, known)
    assert (here.value.code, there.value.code) == ("backup_failed", "preflight_failed")
