"""A SQL Server that is only played: databases, files and answers as the documents tell them, every statement noted.

No server that can BACKUP is at hand where the tests run.  What is proved with this one is what Windlass sends, in which
order, and what it does when something fails; not that Microsoft's server takes it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlglot
from sqlglot.errors import ErrorLevel

from windlass_engine.dialects.link import ServerError, Tick
from windlass_engine.dialects.mssql import databases as names
from windlass_engine.dialects.mssql.contents import _NAMES
from windlass_engine.errors import WindlassError
from windlass_engine.model import Target

FOLDER = "/var/opt/mssql/backup"
DATA = "/var/opt/mssql/data"
_SETTINGS = {
    "compatibility_level": 160, "collation_name": "Latin1_General_100_CI_AS", "recovery_model_desc": "FULL",
    "is_read_committed_snapshot_on": True, "snapshot_isolation_state_desc": "OFF", "containment_desc": "NONE",
    "is_read_only": False, "is_trustworthy_on": False, "is_db_chaining_on": False, "is_broker_enabled": False,
    "is_encrypted": False,
}  # fmt: skip


@dataclass
class Database:
    """A database of the played server."""

    rows: dict[tuple[str, str], int] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=lambda: dict(_SETTINGS))
    owner: str = "app_owner"
    access: str = "MULTI_USER"
    state: str = "ONLINE"
    properties: dict[str, str] = field(default_factory=dict)
    sessions: list[int] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    replicated: bool = False
    snapshots: int = 0

    def copy(self, files: list[str]) -> Database:
        """What RESTORE makes of it: without owner, TRUSTWORTHY, chaining and broker."""
        lost = {"is_trustworthy_on": False, "is_db_chaining_on": False, "is_broker_enabled": False}
        return Database(dict(self.rows), {**self.settings, **lost}, "deployer", "RESTRICTED_USER", files=files)


@dataclass
class Backup:
    """A file on the played server."""

    database: str
    of: Database
    number: int
    whole: bool = True
    damaged: bool = False
    size: int = 4096

    @property
    def guid(self) -> str:
        return f"00000000-0000-0000-0000-{self.number:012d}"


class Server:
    """The played server.  ``fail`` lets statements that fit a pattern fail, once or as often as it says."""

    def __init__(self, version: int = 160_000, edition: str = "Developer Edition (64-bit)", engine: int = 3) -> None:
        self.version, self.edition, self.engine = version, edition, engine
        self.name = "db1"
        self.databases: dict[str, Database] = {}
        self.files: dict[str, Backup] = {}
        self.logins = {"0x01": "app_owner"}
        self.users = [("app", "0x01")]
        self.free = 1 << 40
        self.may_save = self.may_make = self.is_sysadmin = 1
        self.default_folder: str | None = FOLDER
        self.sees_folder = True
        #: What others have in their hands: application locks.
        self.held: set[str] = set()
        self.sent: list[str] = []
        self.failures: list[tuple[re.Pattern[str], ServerError, int]] = []
        #: After so many statements the connection is gone, as when Windlass is killed.
        self.dies_after: int | None = None
        self.copies: Callable[[str, Backup | None], None] = lambda path, backup: None
        self._pids = itertools.count(51)
        self._numbers = itertools.count(1)

    def connect(self, target: Target, application: str, timeout_s: int) -> Link:
        name = names.name_of(target.url)
        if self.dies_after is not None and self.dies_after <= 0:
            raise WindlassError("database_unreachable", "nobody answers", where={"database": target.name})
        if name not in ("master", *self.databases):
            raise WindlassError("login_refused", f"cannot open database {name!r}", where={"database": target.name})
        return Link(self, name, next(self._pids))

    def fail(self, pattern: str, error: ServerError, times: int = 1) -> None:
        self.failures.append((re.compile(pattern), error, times))

    def statements(self, *words: str) -> list[str]:
        """What was sent that begins with one of these words, without Windlass's looks at the catalogue."""
        return [text for text in self.sent if text.startswith(words)]

    def answer(self, link: Link, sql: str) -> list[dict[str, Any]]:
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after < 0:
                raise ServerError("the connection is broken", number=10054, lost=True)
        self.sent.append(str(sql))
        for number, (fits, error, times) in enumerate(self.failures):
            if fits.search(sql) and times:
                self.failures[number] = (fits, error, times - 1)
                raise error
        for pattern, handler in _HANDLERS:
            match = re.search(pattern, sql, re.DOTALL)
            if match:
                read(sql)
                return handler(self, link, match, sql) or []
        return []


class Link:
    """A session of the played server."""

    def __init__(self, server: Server, database: str, pid: int) -> None:
        self.server, self.database, self.backend_pid = server, database, pid
        self.server_version = server.version
        self.application = ""

    def run(self, sql: str | Iterable[str], tick: Tick | None = None) -> list[int]:
        texts = [sql] if isinstance(sql, str) else list(sql)
        if tick:
            tick(0)
        for text in texts:
            self.server.answer(self, text)
        return [0 for _ in texts]

    def stream(
        self, messages: Iterable[str | Iterable[str]], ahead: int, tick: Tick | None = None
    ) -> Generator[list[int], None, None]:
        for message in messages:
            yield self.run(message, tick)

    def copy_in(self, command: str, data: str, tick: Tick | None = None) -> int:
        raise ServerError("no COPY here")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.server.answer(self, sql)]

    def named(self, sql: str) -> list[dict[str, Any]]:
        return self.server.answer(self, sql)

    def ask(self, sql: str) -> tuple[int, list[tuple[Any, ...]] | None]:
        return 0, self.query(sql)

    def close(self) -> None:
        pass


# ---------------------------------------------------------------- what is sent

_FILE = r"FROM DISK = N'(?:[^']|'')+'"
_OPTION = (
    r"(?:COPY_ONLY|CHECKSUM|COMPRESSION|NO_COMPRESSION|FORMAT|INIT|SKIP|RECOVERY|RESTRICTED_USER|FILE = 1|STATS = \d+"
    r"|MAXTRANSFERSIZE = \d+|NAME = N'(?:[^']|'')+'|MOVE N'(?:[^']|'')+' TO N'(?:[^']|'')+')"
)
_OPTIONS = rf" WITH {_OPTION}(?:, {_OPTION})*"
#: What the parser does not know, as Microsoft's pages give its form.
_FORMS = (
    rf"BACKUP DATABASE \[[^\]]+\] TO DISK = N'(?:[^']|'')+'{_OPTIONS}",
    rf"RESTORE (?:HEADERONLY|(?:VERIFYONLY|FILELISTONLY)) {_FILE}(?:{_OPTIONS})?",
    rf"RESTORE DATABASE \[[^\]]+\] {_FILE}{_OPTIONS}",
    r"DBCC CHECKDB \(N'(?:[^']|'')+'\) WITH NO_INFOMSGS, ALL_ERRORMSGS, PHYSICAL_ONLY",
    r"KILL \d+",
    r"ALTER DATABASE \[[^\]]+\] (?:MODIFY NAME = \[[^\]]+\]|SET (?:SINGLE_USER WITH ROLLBACK IMMEDIATE|MULTI_USER"
    r"|RESTRICTED_USER|TRUSTWORTHY (?:ON|OFF)|DB_CHAINING (?:ON|OFF)|(?:EN|DIS)ABLE_BROKER WITH ROLLBACK IMMEDIATE))",
    r"ALTER AUTHORIZATION ON DATABASE::\[[^\]]+\] TO \[[^\]]+\]",
    r"CREATE DATABASE \[[^\]]+\] COLLATE \w+; ALTER DATABASE \[[^\]]+\] SET RECOVERY SIMPLE",
)
_UNKNOWN = ("BACKUP", "RESTORE", "DBCC", "KILL", "ALTER DATABASE", "ALTER AUTHORIZATION", "CREATE DATABASE")


def read(sql: str) -> None:
    """Read a statement whole, by a parser or, where it has never heard of it, by the form in the documents."""
    if sql.startswith(_UNKNOWN):
        assert any(re.fullmatch(form, sql) for form in _FORMS), sql
    else:
        sqlglot.parse(sql, read="tsql", error_level=ErrorLevel.RAISE)


# ---------------------------------------------------------------- answers

_Handler = Callable[[Server, Link, "re.Match[str]", str], "list[dict[str, Any]] | None"]


def _text(literal: str) -> str:
    return literal.replace("''", "'")


def _row(*values: Any) -> list[dict[str, Any]]:
    return [{str(number): value for number, value in enumerate(values)}]


def _backup(server: Server, link: Link, match: re.Match[str], sql: str) -> None:
    name, path = match[1], _text(match[2])
    made = Backup(name, server.databases[name], next(server._numbers))
    server.files[path] = made
    server.copies(path, made)


def _opened(server: Server, path: str) -> Backup:
    found = server.files.get(path)
    if found is None:
        raise ServerError(f"Cannot open backup device '{path}'. Operating system error 2.", number=3201)
    if not found.whole:
        raise ServerError(f"The media family on device '{path}' is incorrectly formed.", number=3241)
    return found


def _verify(server: Server, link: Link, match: re.Match[str], sql: str) -> None:
    if _opened(server, _text(match[1])).damaged:
        raise ServerError("RESTORE detected an error on page (1:42) in database.", number=3183)


def _header(server: Server, link: Link, match: re.Match[str], sql: str) -> list[dict[str, Any]]:
    found = _opened(server, _text(match[1]))
    major = server.version // 10_000
    return [{
        "BackupName": "windlass", "BackupType": 1, "Compressed": 1, "Position": 1, "ServerName": server.name,
        "DatabaseName": found.database, "DatabaseVersion": 900 + major, "BackupSize": Decimal(found.size * 4),
        "FirstLSN": Decimal(37000000012300000 + found.number), "LastLSN": Decimal(37000000012400000),
        "CheckpointLSN": Decimal(37000000012300000 + found.number), "BackupStartDate": datetime(2026, 1, 2, 3, 4, 5),
        "BackupFinishDate": datetime(2026, 1, 2, 3, 5, 5), "HasBackupChecksums": True, "IsDamaged": False,
        "IsCopyOnly": True, "HasIncompleteMetaData": False, "BackupSetGUID": found.guid,
        "CompressedBackupSize": Decimal(found.size), "Collation": found.of.settings["collation_name"],
        "EncryptorThumbprint": None,
    }]  # fmt: skip


def _file_list(server: Server, link: Link, match: re.Match[str], sql: str) -> list[dict[str, Any]]:
    found = _opened(server, _text(match[1]))
    thumbprint = b"\x0a\x0b" if found.of.settings["is_encrypted"] else None
    listed = (("shop", "D", 8 << 20), ("shop_log", "L", 2 << 20), ("shop_more", "D", 1 << 20), ("shop_fs", "S", 0))
    return [
        {"LogicalName": name, "PhysicalName": f"{DATA}/{name}", "Type": kind, "Size": Decimal(size),
         "TDEThumbprint": thumbprint}
        for name, kind, size in listed
    ]  # fmt: skip


def _restore(server: Server, link: Link, match: re.Match[str], sql: str) -> None:
    name, found = match[1], _opened(server, _text(match[2]))
    if name in server.databases:
        raise ServerError(f"The tail of the log for the database {name} has not been backed up.", number=3159)
    moved = [_text(path) for path in re.findall(r" TO N'((?:[^']|'')*)'", sql)]
    server.databases[name] = found.of.copy(moved)


def _rename(server: Server, link: Link, match: re.Match[str], sql: str) -> None:
    if match[2] in server.databases:
        raise ServerError(f"The database {match[2]} already exists.", number=1801)
    server.databases[match[2]] = server.databases.pop(match[1])


def _set(server: Server, link: Link, match: re.Match[str], sql: str) -> None:
    found, option = server.databases[match[1]], match[2]
    if option in ("SINGLE_USER", "RESTRICTED_USER", "MULTI_USER"):
        if option == "SINGLE_USER":
            found.sessions.clear()
        found.access = option
    elif option in ("TRUSTWORTHY", "DB_CHAINING"):
        found.settings[f"is_{option.lower()}_on"] = sql.endswith(" ON")
    elif option in ("ENABLE_BROKER", "DISABLE_BROKER"):
        found.settings["is_broker_enabled"] = option == "ENABLE_BROKER"


def _drop(server: Server, link: Link, match: re.Match[str], sql: str) -> None:
    server.databases.pop(_text(match[1]), None)


def _create(server: Server, link: Link, match: re.Match[str], sql: str) -> None:
    server.databases[match[1]] = Database(owner="deployer")


def _into(server: Server, link: Link, match: re.Match[str], sql: str) -> None:
    into, source = server.databases[match[1]], server.databases[match[4]]
    into.rows[match[2], match[3]] = source.rows[match[5], match[6]]


def _counted(server: Server, link: Link, match: re.Match[str], sql: str) -> list[dict[str, Any]]:
    rows = server.databases[link.database].rows
    return [row for (schema, name), count in sorted(rows.items()) for row in _row(schema, name, False, count)]


def _exact(server: Server, link: Link, match: re.Match[str], sql: str) -> list[dict[str, Any]]:
    found = []
    parts = re.findall(r"SELECT N'([^']*)', COUNT_BIG\(\*\) FROM (?:\[([^\]]*)\]\.)?\[([^\]]*)\]\.\[([^\]]*)\]", sql)
    for shown, place, schema, name in parts:
        found += _row(shown, server.databases[place or link.database].rows[schema, name])
    return found


def _settings(server: Server, link: Link, match: re.Match[str], sql: str) -> list[dict[str, Any]]:
    found = server.databases.get(_text(match[1]))
    return _row(*(found.settings[name] for name in _NAMES), found.owner) if found else []


def _state(server: Server, link: Link, match: re.Match[str], sql: str) -> list[dict[str, Any]]:
    found = server.databases[_text(match[1])]
    return _row(found.state, found.access, int(found.replicated), 0, found.snapshots)


def _sessions(server: Server, link: Link, match: re.Match[str], sql: str) -> list[dict[str, Any]]:
    found = server.databases.get(_text(match[1]))
    return [row for each in (found.sessions if found else ()) for row in _row(each)]


def _who(server: Server, link: Link, match: re.Match[str], sql: str) -> list[dict[str, Any]]:
    found = server.databases[_text(match[1])]
    return _row("till", "app", len(found.sessions)) if found.sessions else []


def _kill(server: Server, link: Link, match: re.Match[str], sql: str) -> None:
    for each in server.databases.values():
        each.sessions = [session for session in each.sessions if session != int(match[1])]


def _property(server: Server, link: Link, match: re.Match[str], sql: str) -> list[dict[str, Any]]:
    found = server.databases[match[1]]
    if found.access == "SINGLE_USER" and found.sessions:
        raise ServerError(f"Database '{match[1]}' is already open and can only have one user at a time.", number=924)
    text = found.properties.get(match[2])
    return [] if text is None else _row(text)


def _add_property(server: Server, link: Link, match: re.Match[str], sql: str) -> None:
    server.databases[match[1]].properties[match[2]] = _text(match[3])


def _drop_property(server: Server, link: Link, match: re.Match[str], sql: str) -> None:
    server.databases[match[1]].properties.pop(match[2], None)


def _owner(server: Server, link: Link, match: re.Match[str], sql: str) -> None:
    server.databases[match[1]].owner = match[2]


def _delete(server: Server, link: Link, match: re.Match[str], sql: str) -> None:
    path = _text(match[1])
    found = server.files.get(path)
    if found and (found.whole or "xp_delete_files" in sql):
        del server.files[path]
        server.copies(path, None)


_NAME = r"N'((?:[^']|'')*)'"
_HANDLERS: list[tuple[str, _Handler]] = [
    (rf"^BACKUP DATABASE \[([^\]]+)\] TO DISK = {_NAME}", _backup),
    (rf"^RESTORE VERIFYONLY FROM DISK = {_NAME}", _verify),
    (rf"^RESTORE HEADERONLY FROM DISK = {_NAME}", _header),
    (rf"^RESTORE FILELISTONLY FROM DISK = {_NAME}", _file_list),
    (rf"^RESTORE DATABASE \[([^\]]+)\] FROM DISK = {_NAME}", _restore),
    (r"^ALTER DATABASE \[([^\]]+)\] MODIFY NAME = \[([^\]]+)\]$", _rename),
    (r"^ALTER DATABASE \[([^\]]+)\] SET (\w+)", _set),
    (r"^ALTER AUTHORIZATION ON DATABASE::\[([^\]]+)\] TO \[([^\]]+)\]$", _owner),
    (rf"^IF DB_ID\({_NAME}\) IS NOT NULL BEGIN .*DROP DATABASE", _drop),
    (r"^CREATE DATABASE \[([^\]]+)\]", _create),
    (r"^SELECT \* INTO \[([^\]]+)\]\.\[([^\]]+)\]\.\[([^\]]+)\] FROM \[([^\]]+)\]\.\[([^\]]+)\]\.\[([^\]]+)\]$", _into),
    (r"^KILL (\d+)$", _kill),
    (rf"= sys\.sp_getapplock @Resource = {_NAME}", lambda s, k, m, q: _row(-1 if _text(m[1]) in s.held else 0)),
    (r"sp_dropextendedproperty", lambda s, k, m, q: _drop_property(
        s, k, re.search(r"EXEC \[([^\]]+)\]\.sys\.sp_dropextendedproperty @name = N'(\w+)'", q), q)),  # type: ignore
    (rf"^EXEC \[([^\]]+)\]\.sys\.sp_addextendedproperty @name = N'(\w+)', @value = {_NAME}$", _add_property),
    (r"FROM \[([^\]]+)\]\.sys\.extended_properties WHERE class = 0 AND name = N'(\w+)'$", _property),
    (rf"xp_delete_files? (?:0, )?{_NAME}", _delete),
    (rf"file_is_a_directory AS int.*dm_os_file_exists\({_NAME}\)", lambda s, k, m, q: _row(int(s.sees_folder))),
    (r"IS_SRVROLEMEMBER\('sysadmin'\)", lambda s, k, m, q: _row(s.is_sysadmin)),
    (rf"dm_os_file_exists\({_NAME}\)", lambda s, k, m, q: _row(int(_text(m[1]) in s.files), int(s.sees_folder))),
    (rf"SELECT 1 WHERE DB_ID\({_NAME}\) IS NOT NULL", lambda s, k, m, q: _row(1) if _text(m[1]) in s.databases else []),
    (r"FROM sys\.master_files WHERE database_id = DB_ID\(N'([^']*)'\)", lambda s, k, m, q: _row(1) if any(
        f"N'{path}'" in q for path in getattr(s.databases.get(m[1]), "files", ())) else []),
    (rf"d\.state_desc, d\.user_access_desc.*WHERE d\.name = {_NAME}", _state),
    (rf"FROM sys\.databases d WHERE d\.name = {_NAME}", _settings),
    (rf"COUNT\(\*\) FROM sys\.dm_exec_sessions s\s+WHERE s\.database_id = DB_ID\({_NAME}\)", _who),
    (rf"SELECT session_id FROM sys\.dm_exec_sessions WHERE database_id = DB_ID\({_NAME}\)", _sessions),
    (r"FROM sys\.databases WHERE user_access_desc = N'SINGLE_USER'", lambda s, k, m, q: [
        row for name, each in s.databases.items() if each.access == "SINGLE_USER" for row in _row(name)]),
    (r"FROM sys\.databases WHERE LEFT\(name, \d+\) = N'([^']*)'", lambda s, k, m, q: [
        row for name in sorted(s.databases) if name.startswith(m[1]) for row in _row(name)]),
    (r"^SELECT DB_NAME\(\), CAST\(SERVERPROPERTY\('Edition'\)", lambda s, k, m, q: _row(
        k.database, s.edition, s.engine, f"{s.version // 10_000}.0.4135.4", s.may_save, s.may_make)),
    (r"^SELECT CAST\(SERVERPROPERTY\('Edition'\)", lambda s, k, m, q: _row(
        s.edition, s.engine, f"{s.version // 10_000}.0.4135.4", 900 + s.version // 10_000, s.may_make)),
    (r"SERVERPROPERTY\(N'ServerName'\)", lambda s, k, m, q: _row(s.name)),
    (r"SERVERPROPERTY\(N'InstanceDefaultBackupPath'\)", lambda s, k, m, q: _row(s.default_folder)),
    (r"SERVERPROPERTY\(N'InstanceDefault(Data|Log)Path'\)", lambda s, k, m, q: _row(DATA + "/")),
    (r"xp_instance_regread", lambda s, k, m, q: _row("BackupDirectory", "C:\\SQL\\Backup")),
    (r"sys\.dm_os_volume_stats", lambda s, k, m, q: _row("/", s.free)),
    (r"SUM\(a\.used_pages\)", lambda s, k, m, q: _row(16 << 20, 10 << 20)),
    (r"FROM sys\.dm_db_partition_stats", _counted),
    (r"COUNT_BIG\(\*\) FROM", _exact),
    (r"authentication_type IN", lambda s, k, m, q: [row for user in s.users for row in _row(*user)]),
    (r"sys\.server_principals WHERE sid", lambda s, k, m, q: [row for sid in s.logins for row in _row(sid)]),
    (r"FROM msdb\.dbo\.backupset", lambda s, k, m, q: [row for path, each in s.files.items() if f"N'{path}'" in q
        for row in _row(Decimal(each.size * 4), Decimal(each.size), each.guid.upper(), 1, 0)]),
]  # fmt: skip
