"""What every engine that can be backed up holds to: saved whole, restored beside, swapped in, and back again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.systems import Bench
from windlass_engine.backups import backup, exchange, restore
from windlass_engine.backups.backup import BackupSettings
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import manifest


@pytest.fixture(params=["pg", "pg17", "mariadb", "mariadb118", "any_mysql", "mssql"])
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Bench, Any, str]]:
    """A small database, its backup, and the folder of the client programs; what swaps make of it goes at the end."""
    server = request.getfixturevalue(request.param)
    programs = server.client_bin
    with server.database() as url:
        bench = Bench(url)
        if request.param == "mssql":
            _require_backups(bench)
        bench.deploy(bench.make.system(bench.make.migration("001_t", "CREATE TABLE t (id int PRIMARY KEY, n int)")))
        bench.run_sql("INSERT INTO t VALUES (1, 1), (2, 2)")
        yield bench, backup.make(bench.target, BackupSettings(str(tmp_path), programs), lambda _: None), programs
        keeper = backup.keeper_of(bench.target)
        for name in keeper.databases(bench.target, f"{keeper.database_name(bench.target)}_"):
            bench.run_sql(bench.make.dialect.drop_database(name))


def _require_backups(bench: Bench) -> None:
    """Skip where a server only speaks SQL Server's protocol: it writes no backups."""
    (version,) = bench.query("SELECT @@VERSION")[0]
    if "Microsoft SQL Server" not in str(version) or "Babelfish" in str(version):
        pytest.skip(f"SQL Server's backups are not tried: this is no server of Microsoft's ({version})")


def side_of(bench: Bench) -> str:
    return f"{backup.keeper_of(bench.target).database_name(bench.target)}_side"


def test_the_manifest_is_of_one_state(saved: tuple[Bench, Any, str]) -> None:
    bench, made, _ = saved
    known = manifest.load(made["path"])
    assert {name.split(".")[-1]: rows for name, rows in known["rows"].items()}["t"] == 2
    assert known["fingerprint"] == bench.fingerprint()
    assert known["journal_head"] == bench.journal().head
    assert known["journal_applied"] == "001_t"
    assert known["engine"] == bench.make.engine


def test_how_it_will_be_done_is_known_before(saved: tuple[Bench, Any, str]) -> None:
    bench, made, programs = saved
    way = backup.foresee(bench.target, backup.BackupSettings("", programs))
    assert (way["compression"], way["client_version"]) == (made["compression"], made["client_version"])
    assert way["method"] == manifest.load(made["path"])["method"]


def test_there_and_back_again(saved: tuple[Bench, Any, str]) -> None:
    bench, made, programs = saved
    events: list[str] = []

    def emit(event: Any) -> None:
        events.append(event["event"])

    bench.run_sql("DELETE FROM t")
    done = restore.beside(bench.target, made["path"], side_of(bench), programs, 2, emit)
    assert (done["into"], done["differences"], done["swapped"]) == (side_of(bench), [], False)
    assert bench.query("SELECT id FROM t") == []
    kept = restore.swap(bench.target, side_of(bench), emit)["kept_as"]
    assert bench.query("SELECT id, n FROM t ORDER BY id") == [(1, 1), (2, 2)]
    assert bench.states() == {"001_t": "applied"}
    assert bench.fingerprint() == made["fingerprint"]
    assert restore.undo_swap(bench.target, emit, kept)["swapped"]
    assert bench.query("SELECT id FROM t") == []
    keeper = backup.keeper_of(bench.target)
    own = keeper.database_name(bench.target)
    [undone] = keeper.databases(bench.target, f"{own}_undone_")
    for never in (own, undone[:-1], f"{own}_restored", f"{own}_else"):
        with pytest.raises(WindlassError, match=r"is no name that|there is no database"):
            exchange.drop(bench.target, never)
    assert exchange.drop(bench.target, undone) == {"into": own, "dropped": undone}
    assert keeper.databases(bench.target, undone) == [] and bench.query("SELECT id FROM t") == []
    assert [each for each in events if each not in ("restore_progress", "restore_outlook")] == [
        "restore_started", "restore_done", "swap_started", "swap_done", "swap_started", "swap_done",
    ]  # fmt: skip


def test_never_over_anything(saved: tuple[Bench, Any, str]) -> None:
    bench, made, programs = saved
    name = backup.keeper_of(bench.target).database_name(bench.target)
    with pytest.raises(WindlassError, match="a database of that name already") as refused:
        restore.beside(bench.target, made["path"], name, programs, 1, lambda _: None)
    assert (refused.value.code, refused.value.hint) == ("restore_failed", "nothing was touched")


def test_what_is_not_whole_is_refused_before_anything_is_made(saved: tuple[Bench, Any, str]) -> None:
    bench, made, programs = saved
    file = next(path for path in sorted(Path(made["path"], "dump").iterdir()) if path.stat().st_size > 20)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(WindlassError, match=file.name) as refused:
        restore.beside(bench.target, made["path"], side_of(bench), programs, 1, lambda _: None)
    assert refused.value.code == "backup_failed"
    keeper = backup.keeper_of(bench.target)
    assert keeper.databases(bench.target, side_of(bench)) == []
