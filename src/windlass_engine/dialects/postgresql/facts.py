"""One look at a PostgreSQL server, and the search for a pooler in between."""

from __future__ import annotations

from typing import Callable

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
    """Return how a transaction pooler was found, or an empty string.

    A pooler invents the process number that it sends at login, so a number that is not the backend's own betrays one.
    Whether it pools by transaction is then seen by holding a backend with a second session: a session pooler leaves
    the first one where it was.
    """
    backend = link.query(_PID)[0][0]
    if backend == link.backend_pid:
        return ""
    try:
        other = connect()
    except Exception:
        return "a second session could not be had through the pooler in front of this database"
    try:
        other.run("BEGIN")
        other.query(_PID)
        moved = link.query(_PID)[0][0] != backend
    except ServerError:
        moved = True
    finally:
        other.close()
    return "the server process changes between two statements of one session" if moved else ""


def log_position(link: Link) -> str:
    """Return ``0/15E4F28``, or an empty string where the login may not ask."""
    try:
        return str(link.query("SELECT pg_catalog.pg_current_wal_lsn()")[0][0])
    except ServerError:
        return ""
