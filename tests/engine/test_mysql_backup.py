"""What MySQL has of its own goes through a backup, a restore beside the original, a swap and back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.mariadb_backups import (
    CODE,
    EXACT,
    REACHING,
    ROWS,
    TABLES,
    bring_back,
    code,
    contents,
    fetch,
    make,
    name_in,
    run,
    silent,
    target_of,
)
from windlass_engine import session
from windlass_engine.backups import backup, restore
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import manifest
from windlass_engine.schema import introspect

if TYPE_CHECKING:
    from tests.servers.mysql import MySQLServer

_MARIADB_ALONE = re.compile(r"(?i)sequence|nextval|numbered|versioned|EXECUTE IMMEDIATE")
OWN = (
    "CREATE TABLE hidden_key (n int) COLLATE utf8mb4_0900_as_cs",
    "CREATE TABLE spelled (id int PRIMARY KEY, a varchar(20) DEFAULT 'it''s', u char(36) DEFAULT (uuid()) INVISIBLE, "
    "j json DEFAULT (json_array('x''y')), at datetime(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), "
    "KEY by_length ((length(concat(a, 'q''')))), KEY unused (a) INVISIBLE, CHECK (id > 0) NOT ENFORCED)",
    "INSERT INTO spelled (id) VALUES (1), (2)",
    "INSERT INTO hidden_key VALUES (5), (6)",
    "CREATE FUNCTION how_many() RETURNS int READS SQL DATA RETURN (SELECT COUNT(*) FROM spelled)",
)


@pytest.fixture
def url(mysql: MySQLServer) -> Iterator[str]:
    """A database with everything awkward, on a server that gives a table a key."""
    with mysql.database("windlass own-" + name_in(mysql.create_database())) as found:
        own = [each for each in (*TABLES, *ROWS, *CODE) if not _MARIADB_ALONE.search(each)]
        run(found, *own, "SET SESSION sql_generate_invisible_primary_key = 1", *OWN)
        place = f"`{name_in(found)}`"
        reaching = [each.format(db=place) for each in REACHING if not _MARIADB_ALONE.search(each)]
        run(found, *(each.replace("RETURNS int RETURN", "RETURNS int READS SQL DATA RETURN") for each in reaching))
        yield found
        keeper = backup.keeper_of(target_of(found))
        for name in keeper.databases(target_of(found), f"{name_in(found)}_"):
            mysql.drop_database(name)


def schema(url: str) -> Any:
    with session.connect(target_of(url)) as opened:
        return introspect.fingerprint(introspect.snapshot(opened))


def test_everything_comes_back(mysql: MySQLServer, url: str, tmp_path: Path) -> None:
    before, names, shape = contents(url), code(url), schema(url)
    made = make(url, tmp_path, client_bin=mysql.client_bin)
    known = manifest.load(made["path"])
    assert (known["counted"], known["held_by"]) == (EXACT, "FLUSH TABLES WITH READ LOCK"), known["not_held_because"]
    side = mysql.url_of(f"{name_in(url)}_side")
    done = bring_back(url, made, name_in(side), client_bin=mysql.client_bin)
    waiting = {"function reaching", "procedure reaching_too", "trigger reaching", "view over_reaching"}
    assert {re.split(" names the schema| waits for", line)[0] for line in done["differences"]} == waiting
    assert contents(side) == before
    run(url, "DELETE FROM spelled", "DROP TABLE hidden_key")
    kept = restore.swap(target_of(url), name_in(side), silent)["kept_as"]
    assert (contents(url), code(url), schema(url)) == (before, names, shape)
    assert fetch(url, "SELECT COUNT(my_row_id) FROM hidden_key") == [(2,)]
    restore.undo_swap(target_of(url), silent, kept)
    assert fetch(url, "SELECT COUNT(*) FROM spelled") == [(0,)]


def test_a_login_without_reload_locks_the_tables(mysql: MySQLServer, url: str, tmp_path: Path) -> None:
    run(url, "DROP USER IF EXISTS small", "CREATE USER small IDENTIFIED BY 'of-no-use-1'")
    run(url, f"GRANT SELECT, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT ON `{name_in(url)}`.* TO small")
    limited = mysql.url_of(name_in(url), user="small", password="of-no-use-1")
    with pytest.raises(WindlassError, match="lacks SHOW_ROUTINE") as refused:
        make(limited, tmp_path, client_bin=mysql.client_bin)
    assert "GRANT SHOW_ROUTINE ON *.*" in refused.value.hint
    run(url, "GRANT SHOW_ROUTINE ON *.* TO small")
    known = manifest.load(make(limited, tmp_path, client_bin=mysql.client_bin)["path"])
    assert (known["counted"], known["held_by"]) == (EXACT, "LOCK TABLES")
