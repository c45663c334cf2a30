"""Every right that a restore and an exchange use is asked for before anything is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engine.mariadb_backups import databases, make, name_in, run, target_of
from windlass_engine.backups import restore
from windlass_engine.errors import WindlassError

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer

CODE = (
    "CREATE VIEW seen AS SELECT id FROM a",
    "CREATE TRIGGER counted BEFORE INSERT ON a FOR EACH ROW SET @counted = 1",
    "CREATE FUNCTION one() RETURNS int RETURN 1",
    "CREATE EVENT hourly ON SCHEDULE EVERY 1 HOUR STARTS '2037-01-01' DO DELETE FROM a WHERE id < 0",
)
TABLES = ("SELECT", "INSERT", "CREATE", "DROP", "ALTER")
OF_CODE = ("SHOW VIEW", "CREATE VIEW", "TRIGGER", "EVENT", "CREATE ROUTINE", "ALTER ROUTINE")
IDLE = ("INDEX", "REFERENCES", "EXECUTE", "LOCK TABLES")
Granted = Callable[[str, str], None]


@pytest.fixture
def granted(mariadb: MariaDBServer, tmp_path: Path) -> Iterator[tuple[Granted, Callable[[], object]]]:
    """How to take a right from a login, on the original or beside it; and how it is asked whether it may restore."""
    with mariadb.database() as url:
        name = name_in(url)
        run(url, "CREATE TABLE a (id int PRIMARY KEY, p int, FOREIGN KEY (p) REFERENCES a (id))")
        login = f"few_{name[-8:]}"
        places = {"original": f"`{name}`.*", "beside": "`" + f"{name}_%".replace("_", "\\_") + "`.*"}

        def less(right: str, place: str) -> None:
            run(url, *(f"GRANT ALL ON {granted_on} TO {login}" for granted_on in places.values()))
            run(url, *([f"REVOKE {right} ON {places[place]} FROM {login}"] if right else []))

        run(url, f"CREATE USER {login} IDENTIFIED BY 'pw'")
        less("", "")
        few = mariadb.url_of(name, user=login, password="pw")
        run(few, *CODE)
        made = make(few, tmp_path)
        yield less, lambda: restore.require_possible(target_of(few), made["path"], f"{name}_r", "")
        run(url, f"DROP USER {login}")
        assert not [each for each in databases(mariadb) if each.startswith(f"{name}_")]


def test_each_right_is_missed_where_it_is_used(granted: tuple[Granted, Callable[[], object]]) -> None:
    less, ask = granted
    for place, rights in (("beside", (*TABLES, "UPDATE", "DELETE", *OF_CODE)), ("original", (*TABLES, *OF_CODE))):
        for right in rights:
            less(right, place)
            with pytest.raises(WindlassError, match=f"the login lacks {right} on ") as caught:
                ask()
            assert caught.value.code == "restore_failed" and "nothing was touched" in caught.value.hint
    for right in IDLE:
        less(right, "beside")
        ask()
        less(right, "original")
        ask()
