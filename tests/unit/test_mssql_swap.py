"""SQL Server's swap, on a server that is only played: killed behind each of its statements, and gone on with."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.mssql_stage import Database, Server
from windlass_engine.backups import exchange
from windlass_engine.dialects import backups
from windlass_engine.dialects.link import ServerError
from windlass_engine.dialects.mssql import driver
from windlass_engine.dialects.mssql import exchange as own
from windlass_engine.errors import WindlassError
from windlass_engine.model import Target, Wire

TARGET = Target("shop", "shop", "mssql://deployer@db1/shop")
SIDE = "shop_restored"
OLD, NEW = {("dbo", "item"): 1}, {("dbo", "item"): 2}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    played = Server()
    fill(played)
    monkeypatch.setattr(driver, "connect", played.connect)
    monkeypatch.setattr(own, "_POLL_S", 0.0)
    return played


def fill(played: Server) -> None:
    played.databases = {"shop": Database(rows=dict(OLD)), SIDE: Database(rows=dict(NEW), owner="deployer")}
    played.databases["shop"].settings.update(is_trustworthy_on=True, is_broker_enabled=True)


def swap(**more: Any) -> Wire:
    return exchange.swap(TARGET, more.get("side", SIDE), lambda _: None)


def as_before(server: Server) -> bool:
    original = server.databases.get("shop")
    return (
        set(server.databases) == {"shop", SIDE}
        and original is not None
        and original.rows == OLD
        and original.settings["is_broker_enabled"]
        and is_open(server)
    )


def is_open(server: Server) -> bool:
    """Everybody gets in, and no mark is left."""
    return all(each.access == "MULTI_USER" and not each.properties for each in server.databases.values())


def test_what_is_sent_in_its_order(server: Server) -> None:
    server.databases["shop"].sessions = [60, 61]
    done = swap()
    kept = done["kept_as"]
    assert kept.startswith("shop_before_") and done["ended_sessions"] == 2
    assert server.statements("ALTER") == [
        "ALTER DATABASE [shop] SET SINGLE_USER WITH ROLLBACK IMMEDIATE",
        "ALTER DATABASE [shop_restored] SET SINGLE_USER WITH ROLLBACK IMMEDIATE",
        "ALTER AUTHORIZATION ON DATABASE::[shop_restored] TO [app_owner]",
        "ALTER DATABASE [shop_restored] SET TRUSTWORTHY ON",
        "ALTER DATABASE [shop] SET DISABLE_BROKER WITH ROLLBACK IMMEDIATE",
        "ALTER DATABASE [shop_restored] SET ENABLE_BROKER WITH ROLLBACK IMMEDIATE",
        f"ALTER DATABASE [shop] MODIFY NAME = [{kept}]",
        "ALTER DATABASE [shop_restored] MODIFY NAME = [shop]",
        "ALTER DATABASE [shop] SET MULTI_USER",
        f"ALTER DATABASE [{kept}] SET MULTI_USER",
    ]
    assert server.databases["shop"].rows == NEW and server.databases[kept].rows == OLD
    assert server.databases["shop"].owner == "app_owner" and server.databases["shop"].settings["is_trustworthy_on"]
    assert is_open(server)


def test_there_and_back_again(server: Server) -> None:
    swap()
    undone = exchange.undo_swap(TARGET, lambda _: None)
    assert undone["kept_as"].startswith("shop_undone_")
    assert server.databases["shop"].rows == OLD and server.databases["shop"].settings["is_broker_enabled"]
    assert server.databases[undone["kept_as"]].rows == NEW and is_open(server)


def test_a_name_that_nobody_has(server: Server) -> None:
    del server.databases["shop"]
    assert swap()["kept_as"] == ""
    assert set(server.databases) == {"shop"} and is_open(server)


@pytest.mark.parametrize(
    "where",
    [
        r"\[shop\] SET SINGLE_USER",
        r"\[shop_restored\] SET SINGLE_USER",
        "ALTER AUTHORIZATION",
        "TRUSTWORTHY",
        "DISABLE_BROKER",
        "ENABLE_BROKER",
        r"\[shop\] MODIFY NAME",
        r"\[shop_restored\] MODIFY NAME",
        "sp_addextendedproperty",
    ],
)
def test_a_step_that_fails_leaves_everything_as_it_was(server: Server, where: str) -> None:
    server.fail(where, ServerError("no", number=15151))
    with pytest.raises(WindlassError, match="the swap broke off: no"):
        swap()
    assert as_before(server), server.databases


def test_when_the_way_back_fails_too_it_is_said_how_to_go_on(server: Server) -> None:
    server.fail(r"\[shop_restored\] MODIFY NAME", ServerError("no room", number=5105))
    server.fail(r"\[shop_before_\w+\] MODIFY NAME", ServerError("no way", number=5105))
    with pytest.raises(WindlassError, match="there is no database 'shop' now") as failed:
        swap()
    kept = next(name for name in server.databases if name.startswith("shop_before_"))
    assert f"ALTER DATABASE [{kept}] MODIFY NAME = [shop]; ALTER DATABASE [shop] SET MULTI_USER" in failed.value.hint
    assert "no room" in failed.value.message and "no way" in failed.value.message
    assert swap()["kept_as"] == kept
    assert server.databases["shop"].rows == NEW and server.databases[kept].rows == OLD and is_open(server)


def test_a_session_that_is_quicker_is_ended_and_it_is_tried_again(server: Server) -> None:
    server.fail(r"\[shop\] MODIFY NAME", ServerError("could not be locked", number=5061), 2)
    server.databases["shop"].sessions = [77]
    real = server.answer

    def answer(link: Any, sql: str) -> list[dict[str, Any]]:
        if "[shop] MODIFY NAME" in sql and "shop" in server.databases:
            server.databases["shop"].sessions.append(88)
        return real(link, sql)

    server.answer = answer  # type: ignore[method-assign]
    swap()
    assert server.statements("KILL") == ["KILL 88", "KILL 88"]
    assert server.databases["shop"].rows == NEW


def test_killed_behind_each_statement_it_goes_on_or_never_began(server: Server) -> None:
    """What a killed swap leaves is either the old state, or is ended by the same command given again."""
    swap()
    total = len(server.sent)
    outcomes = set()
    for after in range(1, total):
        fill(server)
        server.sent.clear()
        server.dies_after = after
        with pytest.raises(WindlassError):
            swap()
        server.dies_after = None
        halfway = [name for name in server.databases if name.startswith("shop_before_")]
        if not any(each.access == "SINGLE_USER" for each in server.databases.values()) and SIDE in server.databases:
            outcomes.add("never began")
        else:
            outcomes.add("gone on")
            left = next((name for name, each in server.databases.items() if each.access == "SINGLE_USER"), "")
            if left:
                server.databases[left].sessions = [90]  # somebody took the only place in it meanwhile
        if SIDE not in server.databases and all(each.access == "MULTI_USER" for each in server.databases.values()):
            continue  # it was killed behind its last statement
        done = swap()
        assert (halfway or [done["kept_as"]]) == [done["kept_as"]], after
        assert server.databases["shop"].rows == NEW and server.databases[done["kept_as"]].rows == OLD, after
        assert server.databases["shop"].settings["is_broker_enabled"] and len(server.databases) == 2, after
        assert is_open(server), after
    assert outcomes == {"never began", "gone on"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"access": "RESTRICTED_USER"}, "was never restored to its end"),
        ({"state": "RESTORING"}, "is restoring: only an online database can be renamed"),
        ({"replicated": True}, "availability group"),
        ({"snapshots": 2}, "has 2 database snapshots"),
    ],
)
def test_what_cannot_be_renamed_is_refused_before_anybody_is_thrown_out(
    server: Server, change: dict[str, Any], words: str
) -> None:
    for key, value in change.items():
        setattr(server.databases[SIDE], key, value)
    with pytest.raises(WindlassError, match=words) as refused:
        swap()
    assert refused.value.hint == "nothing was changed" and server.statements("ALTER") == []


def test_what_is_not_there(server: Server) -> None:
    with pytest.raises(WindlassError, match="there is no database 'elsewhere'"):
        swap(side="elsewhere")
    with pytest.raises(WindlassError, match="is the database itself"):
        swap(side="shop")
    with pytest.raises(WindlassError, match="no swap of 'shop' is there to undo"):
        exchange.undo_swap(TARGET, lambda _: None)


def test_a_deployment_keeps_a_swap_away(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "LOCK_PATIENCE_S", 0.0)
    server.held.add("windlass deployer")
    with pytest.raises(WindlassError, match="holds the deployer lock") as caught:
        swap()
    assert caught.value.code == "deploy_locked" and as_before(server)
    assert server.statements("ALTER") == []
