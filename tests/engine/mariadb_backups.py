"""What the tests of MariaDB's backups share: a database with everything awkward, and a short way to each step."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from windlass_engine import session
from windlass_engine.backups import backup, restore
from windlass_engine.backups.backup import BackupSettings
from windlass_engine.model import Target

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer

Event = dict[str, Any]

TABLES = (
    "CREATE TABLE log (id int AUTO_INCREMENT PRIMARY KEY, m text)",
    "CREATE TABLE thing (id int AUTO_INCREMENT PRIMARY KEY, n int, KEY (n)) COMMENT 'things; `'",
    "CREATE TABLE `Schräg ``q``; --` (`ü` int PRIMARY KEY, `select` varchar(20) DEFAULT 'ö')",
    "CREATE TABLE parent (id int PRIMARY KEY)",
    "CREATE TABLE child (id int PRIMARY KEY, parent_id int, "
    "CONSTRAINT child_parent FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE)",
    "CREATE SEQUENCE numbers START WITH 7",
    "DO NEXTVAL(numbers)",
    "CREATE TABLE numbered (id int DEFAULT NEXTVAL(numbers), n int)",
    "CREATE TABLE versioned (id int PRIMARY KEY, n int) WITH SYSTEM VERSIONING",
    "CREATE TABLE odd (a int, b int AS (a + 1) STORED, v int AS (a * 2) VIRTUAL, c bit(7), d datetime, j json, "
    "bytes longblob, at timestamp NULL, CHECK (a > 0))",
    "CREATE TABLE parted (id int, made date NOT NULL) PARTITION BY RANGE (YEAR(made)) "
    "(PARTITION p0 VALUES LESS THAN (2025), PARTITION p1 VALUES LESS THAN MAXVALUE)",
)
ROWS = (
    "INSERT INTO numbered (n) VALUES (1), (2)",
    "INSERT INTO versioned VALUES (1, 1)",
    "UPDATE versioned SET n = 2",
    "INSERT INTO `Schräg ``q``; --` VALUES (1, 'é'), (2, '\\'')",
    "INSERT INTO parted VALUES (1, '2024-01-01'), (2, '2026-01-01')",
    "INSERT INTO parent VALUES (1), (2)",
    "INSERT INTO child VALUES (1, 1), (2, NULL)",
    f"INSERT INTO odd (a, c, j, bytes, at) VALUES (1, b'1010101', '{{\"a\": \"ü\"}}', X'{bytes(range(256)).hex()}', "
    "'2020-01-01 00:00:00')",
    "SET sql_mode = ''",
    "INSERT INTO odd (a, d) VALUES (2, '0000-00-00 00:00:00'), (3, '2020-00-01 00:00:00')",
    "SET sql_mode = DEFAULT",
    "INSERT INTO thing (n) VALUES (1), (2), (3)",
)
CODE = (
    "CREATE FUNCTION logged(a int) RETURNS int READS SQL DATA RETURN (SELECT COUNT(*) FROM log)",
    "CREATE PROCEDURE note(IN a int) COMMENT 'ü;$$' BEGIN INSERT INTO log (m) VALUES ('p;'); END",
    "CREATE VIEW z_base AS SELECT thing.id, logged(n) AS x FROM thing",
    "CREATE VIEW a_first AS SELECT * FROM z_base",
    "CREATE TRIGGER first BEFORE INSERT ON thing FOR EACH ROW INSERT INTO log (m) VALUES ('x')",
    "CREATE TRIGGER second BEFORE INSERT ON thing FOR EACH ROW FOLLOWS first INSERT INTO log (m) VALUES ('y')",
    "CREATE EVENT hourly ON SCHEDULE EVERY 1 HOUR STARTS '2030-01-01 00:00:00' DO INSERT INTO log (m) VALUES ('e')",
)
#: What names its own schema; {db} is that.
REACHING = (
    "CREATE TRIGGER {db}.reaching BEFORE UPDATE ON {db}.thing FOR EACH ROW INSERT INTO {db}.log (m) VALUES ('leak')",
    "CREATE PROCEDURE reaching_too() INSERT INTO {db}.log (m) VALUES ('leak')",
    "CREATE PROCEDURE by_text() EXECUTE IMMEDIATE 'INSERT INTO {db}.log (m) VALUES (1)'",
    "CREATE FUNCTION reaching() RETURNS int RETURN (SELECT COUNT(*) FROM {db}.log)",
    "CREATE VIEW over_reaching AS SELECT reaching() AS n",
)
EXACT = "of the dump's snapshot"


def silent(_: Event) -> None:
    pass


def name_in(url: str) -> str:
    """The database that a URL names."""
    return unquote(urlsplit(url).path[1:])


def target_of(url: str, system: str = "test") -> Target:
    """A target; its password is given beside the URL, as the inventory gives it."""
    parts = urlsplit(url)
    plain = url.replace(f":{parts.password}@", "@", 1)
    return Target(name_in(url), system, plain, unquote(parts.password or ""))


def run(url: str, *statements: str) -> None:
    """Run statements outside of Windlass."""
    with session.connect(target_of(url)) as opened:
        opened.run(statements)


def fetch(url: str, query: str) -> list[Any]:
    """Rows of a query."""
    with session.connect(target_of(url)) as opened:
        return opened.query(query)


def fill(url: str, *more: str) -> None:
    """Put everything awkward into a database; what its triggers write is there before they are."""
    name = f"`{name_in(url)}`"
    run(url, *TABLES, *ROWS, *CODE, *(statement.format(db=name) for statement in more))


def make(url: str, folder: Path, **changes: Any) -> Event:
    """Make a backup."""
    given = {"directory": str(folder / "backups"), "jobs": 2, "run_id": "run-1"}
    return backup.make(target_of(url), BackupSettings(**{**given, **changes}), silent)


def bring_back(url: str, made: Event, into: str, emit: Any = silent, client_bin: str = "", identity: str = "") -> Event:
    """Restore a backup beside its database."""
    return restore.beside(target_of(url), made["path"], into, client_bin, 2, emit, identity)


def contents(url: str) -> dict[str, Any]:
    """Every table's checksum, and where the counters and sequences stand."""
    names = [row[0] for row in fetch(url, "SHOW FULL TABLES WHERE table_type <> 'VIEW'") if row[0] != "windlass_aside"]
    found: dict[str, Any] = {}
    for name in names:
        quoted = "`" + name.replace("`", "``") + "`"
        history = " FOR SYSTEM_TIME ALL" if name == "versioned" else ""
        found[name] = fetch(url, f"SELECT * FROM {quoted}{history}")
    counters = "SELECT table_name, auto_increment FROM information_schema.TABLES WHERE table_schema = DATABASE() AND auto_increment IS NOT NULL AND table_name <> 'windlass_aside' ORDER BY 1"
    return {**found, "counters": fetch(url, counters)}


def code(url: str) -> set[tuple[str, str]]:
    """The kinds and names of a database's code."""
    return set(
        fetch(
            url,
            "SELECT 'trigger', trigger_name FROM information_schema.TRIGGERS WHERE trigger_schema = DATABASE() "
            "UNION SELECT LOWER(routine_type), routine_name FROM information_schema.ROUTINES "
            "WHERE routine_schema = DATABASE() UNION SELECT 'event', event_name FROM information_schema.EVENTS "
            "WHERE event_schema = DATABASE() UNION SELECT 'view', table_name FROM information_schema.VIEWS "
            "WHERE table_schema = DATABASE()",
        )
    )


def program(folder: Path, name: str, script: str) -> str:
    """Put a shell script in the place of a program, in a folder of its own that it returns; ``$real`` is the real one."""
    from tests.servers.mariadb import program as real

    folder.mkdir(parents=True, exist_ok=True)
    for each in ("mariadb-dump", "mariadb"):
        if not (folder / each).exists():
            (folder / each).symlink_to(real(each))
    (folder / name).unlink(missing_ok=True)
    lines = ("#!/bin/sh", f"real={real(name)}", 'case "$*" in --version) exec $real --version;; esac', script)
    (folder / name).write_text("\n".join(lines) + "\n")
    (folder / name).chmod(0o755)
    return str(folder)


def left_behind(folder: Path) -> list[str]:
    """What lies in the folder of the backups, but for locks of their own."""
    found = [path.name for path in folder.glob("backups/*/*")] + [path.name for path in folder.glob("backups/*/.p*")]
    return sorted(name for name in found if name != ".lock")


def databases(server: MariaDBServer) -> set[str]:
    """All databases of a server."""
    return {str(name) for (name,) in fetch(server.url, "SHOW DATABASES")}


def drop_all(server: MariaDBServer, begins: str) -> None:
    """Drop the databases whose names begin so."""
    for name in databases(server):
        if name.startswith(begins):
            server.drop_database(name)


def path_with(folder: str, monkeypatch: Any) -> None:
    """Let programs be looked for in a folder first."""
    monkeypatch.setenv("PATH", folder + os.pathsep + os.environ["PATH"])
