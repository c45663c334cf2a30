"""One look at a MySQL or MariaDB server, and the search for a pooler in between."""

from __future__ import annotations

from contextlib import suppress
from typing import Callable

from .. import poolers
from ..answers import Facts
from ..link import Link, ServerError
from . import driver, rights

_FACTS = """
SELECT VERSION(), DATABASE(), CURRENT_USER(), @@global.read_only, CONNECTION_ID(),
  (SELECT CAST(COALESCE(SUM(data_length + index_length), 0) AS SIGNED) FROM information_schema.TABLES
   WHERE table_schema = DATABASE()),
  DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')
"""
_ID = "SELECT CONNECTION_ID()"


def read(link: Link) -> Facts:
    """Look at the server once."""
    version, database, user, read_only, pid, size, clock = link.query(_FACTS)[0]
    # ON and NO_LOCK… of newer servers are words.
    standby = str(read_only).upper() not in ("0", "OFF")
    may_create = "CREATE" in rights.in_database(link, str(database), link.server_version >= driver.MARIADB)
    return Facts(
        link.server_version, str(version), str(database), str(user), standby, may_create, pid, size, str(clock)
    )


def pooler(connect: Callable[[], Link], link: Link) -> str:
    """Return how a pooler was found, or an empty string: it may give each transaction another server session."""
    return poolers.found(connect, link, _ID, "START TRANSACTION")


def log_position(link: Link) -> str:
    """Return ``binlog.000004:1532``, or an empty string where there is no such log or the login may not ask."""
    for command in ("SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"):
        with suppress(ServerError):
            rows = link.query(command)
            return f"{rows[0][0]}:{rows[0][1]}" if rows else ""
    return ""
