"""A look at a MySQL or MariaDB server for whatever would stop or hurt a deployment.  Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import WindlassError
from ...finding import Finding, failure, good, warning
from ..answers import Facts
from ..link import Link
from . import client, facts, rights, surroundings
from .session_state import SQL_MODE

OLDEST_MARIADB, OLDEST_MYSQL = 100_600, 80_000
OLD_TRANSACTION_S = 600
SPARE_CONNECTIONS, NEEDED_CONNECTIONS = 10, 3
_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES")
_CONNECTIONS = "SELECT @@max_connections, (SELECT COUNT(*) FROM information_schema.PROCESSLIST)"
_OLD = """
SELECT COUNT(*), COALESCE(MAX(TIMESTAMPDIFF(SECOND, trx_started, CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', 'SYSTEM'))), 0)
FROM information_schema.INNODB_TRX
WHERE trx_started < CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', 'SYSTEM') - INTERVAL {seconds:d} SECOND
"""
_OTHER_ENGINES = """
SELECT COUNT(*), MIN(table_name) FROM information_schema.TABLES
WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND engine <> 'InnoDB'
"""


def examine(link: Link, is_mariadb: bool, client_bin: str = "") -> Iterator[Finding]:
    """Look at version, rights, client programs, connections, old transactions and settings."""
    seen = facts.read(link)
    yield _version(seen, is_mariadb)
    yield _writable(seen)
    yield _rights(link, seen.database, is_mariadb)
    yield _client_programs(link.server_version, client_bin)
    yield _backup_rights(link, seen.database, is_mariadb)
    yield _connections(link)
    yield from _old_transactions(link)
    yield from _engines(link)
    yield _durability(link)
    yield good("session settings", f"sql_mode {SQL_MODE}, time zone UTC, utf8mb4: set by Windlass")


def _version(seen: Facts, is_mariadb: bool) -> Finding:
    name, oldest, words = ("MariaDB", OLDEST_MARIADB, "10.6") if is_mariadb else ("MySQL", OLDEST_MYSQL, "8.0")
    needed = f"{name} {words} or newer, where a schema change is all or nothing"
    if seen.server_version < oldest:
        return failure("version", f"{name} {seen.server_version_text}", needed, "upgrade the server")
    return good("version", f"{name} {seen.server_version_text}", needed)


def _writable(seen: Facts) -> Finding:
    if seen.read_only:
        mend = "put the primary's address into the inventory"
        return failure("read-only", "the server is read-only", "a server that may be changed", mend)
    return good("read-only", "no")


def _rights(link: Link, database: str, is_mariadb: bool) -> Finding:
    granted = rights.in_database(link, database, is_mariadb)
    lacking = [right for right in _RIGHTS if right not in granted]
    if lacking:
        mend = f"GRANT {', '.join(lacking)} ON this database to the deploying user"
        return failure("rights", f"lacks {', '.join(lacking)}", ", ".join(_RIGHTS), mend)
    if "PROCESS" not in granted:
        mend = "GRANT PROCESS ON *.* to the deploying user"
        return warning("rights", "no PROCESS: blocking sessions cannot be named", "PROCESS", mend)
    return good("rights", "all that migrations need")


def _client_programs(server_version: int, client_bin: str) -> Finding:
    name, needed = "client programs", "a dump program and a client of the server's make, as new as the server"
    try:
        found = client.find(server_version, client_bin, code="preflight_failed")
    except WindlassError as error:
        return warning(name, error.message, needed, error.hint)
    return good(name, f"{found.version}: {found.dump}", needed)


def _backup_rights(link: Link, database: str, is_mariadb: bool) -> Finding:
    try:
        surroundings.require_rights(link, database, is_mariadb)
    except WindlassError as error:
        return warning("rights for backups", error.message, "to see everything that a backup holds", error.hint)
    return good("rights for backups", "all that backups need")


def _connections(link: Link) -> Finding:
    most, used = (int(value) for value in link.query(_CONNECTIONS)[0])
    found, needed = f"{used} of {most} in use", f"{NEEDED_CONNECTIONS} free"
    mend = "end idle sessions or raise max_connections"
    if most - used < NEEDED_CONNECTIONS:
        return failure("connections", found, needed, mend)
    return (
        warning("connections", found, needed, mend) if most - used < SPARE_CONNECTIONS else good("connections", found)
    )


def _old_transactions(link: Link) -> Iterator[Finding]:
    count, oldest = (int(value) for value in link.query(_OLD.format(seconds=OLD_TRANSACTION_S))[0])
    if count:
        mend = "end them before a deployment: an ALTER waits for every one that read its table"
        yield warning("old transactions", f"{count}, the oldest {oldest} s", f"none over {OLD_TRANSACTION_S} s", mend)
    else:
        yield good("old transactions", f"none over {OLD_TRANSACTION_S} s")


def _durability(link: Link) -> Finding:
    """Look whether a commit is in the log before it is answered: marks and schema changes are in different files."""
    value = int(link.query("SELECT @@GLOBAL.innodb_flush_log_at_trx_commit")[0][0])
    needed = "1: a crash of the server may else lose the journal's mark of a change that stays"
    if value != 1:
        mend = "SET GLOBAL innodb_flush_log_at_trx_commit = 1, at least during deployments"
        return warning("durable commits", f"innodb_flush_log_at_trx_commit = {value}", needed, mend)
    return good("durable commits", "innodb_flush_log_at_trx_commit = 1", needed)


def _engines(link: Link) -> Iterator[Finding]:
    count, example = link.query(_OTHER_ENGINES)[0]
    if count:
        mend = "ALTER TABLE … ENGINE=InnoDB: what a failed migration changed there is not undone"
        yield warning("storage engines", f"{count} tables without transactions, such as {example}", "InnoDB", mend)
