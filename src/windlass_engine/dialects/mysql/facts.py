"""One look at a MySQL or MariaDB server, and the search for a pooler in between."""

from __future__ import annotations

from contextlib import suppress
from typing import Callable

from ..answers import Facts
from ..link import Link, ServerError

_FACTS = """
SELECT VERSION(), DATABASE(), CURRENT_USER(), @@global.read_only, CONNECTION_ID(),
  (SELECT CAST(COALESCE(SUM(data_length + index_length), 0) AS SIGNED) FROM information_schema.TABLES
   WHERE table_schema = DATABASE()),
  DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ'),
  EXISTS (SELECT 1 FROM information_schema.USER_PRIVILEGES WHERE privilege_type = 'CREATE')
  OR EXISTS (SELECT 1 FROM information_schema.SCHEMA_PRIVILEGES
             WHERE privilege_type = 'CREATE' AND DATABASE() LIKE table_schema)
"""
_ID = "SELECT CONNECTION_ID()"


def read(link: Link) -> Facts:
    """Look at the server once."""
    version, database, user, read_only, pid, size, clock, may_create = link.query(_FACTS)[0]
    # ON and NO_LOCK… of newer servers are words.
    standby = str(read_only).upper() not in ("0", "OFF")
    return Facts(
        link.server_version, str(version), str(database), str(user), standby, bool(may_create), pid, size, str(clock)
    )


def pooler(connect: Callable[[], Link], link: Link) -> str:
    """Return how a pooler was found, or an empty string: it may give each transaction another server session."""
    backend = link.query(_ID)[0][0]
    if backend == link.backend_pid:
        return ""
    try:
        other = connect()
    except Exception:
        return "a second session could not be had through the proxy in front of this database"
    try:
        other.run("START TRANSACTION")
        other.query(_ID)
        moved = link.query(_ID)[0][0] != backend
    except ServerError:
        moved = True
    finally:
        other.close()
    return "the server session changes between two statements of one connection" if moved else ""


def log_position(link: Link) -> str:
    """Return ``binlog.000004:1532``, or an empty string where there is no such log or the login may not ask."""
    for command in ("SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"):
        with suppress(ServerError):
            rows = link.query(command)
            return f"{rows[0][0]}:{rows[0][1]}" if rows else ""
    return ""
