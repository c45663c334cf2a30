"""One look at a PostgreSQL server, and the search for a pooler in between."""

from __future__ import annotations

from typing import Callable

from .. import poolers
from ..answers import Facts
from ..link import Link, ServerError

_FACTS = """
SELECT pg_catalog.current_setting('server_version_num')::int, pg_catalog.current_setting('server_version'),
  pg_catalog.current_database()::text, current_user::text,
  pg_catalog.pg_is_in_recovery() OR pg_catalog.current_setting('default_transaction_read_only')::bool,
  pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), pg_catalog.pg_backend_pid(),
  pg_catalog.pg_database_size(pg_catalog.current_database()),
  pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
"""
_PID = "SELECT pg_catalog.pg_backend_pid()"


def read(link: Link) -> Facts:
    """Look at the server once."""
    return Facts(*link.query(_FACTS)[0])


def pooler(connect: Callable[[], Link], link: Link) -> str:
    """Return how a pooler was found, or an empty string: it may give each transaction another server session."""
    return poolers.found(connect, link, _PID, "BEGIN")


def log_position(link: Link) -> str:
    """Return ``0/15E4F28``, or an empty string where the login may not ask."""
    try:
        return str(link.query("SELECT pg_catalog.pg_current_wal_lsn()")[0][0])
    except ServerError:
        return ""
