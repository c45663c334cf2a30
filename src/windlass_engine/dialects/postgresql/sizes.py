"""How large tables are between two statements, and what one of them wrote into temporary files.

What a transaction has changed has its new size in its own session alone, so this asks the session at work.  To measure
a table takes the lock that reads take, for that moment: the transaction has one on it already.
"""

from __future__ import annotations

import re
from typing import Any, Optional

from ..answers import Size, Sizes
from ..link import Link, ServerError
from .driver import PostgresLink

_KNOWN = """
  c.relkind IN ('r', 'p', 'm')
  AND n.nspname NOT IN ('windlass', 'windlass_archive', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
"""
_SIZES = "s.oid::int8, s.name, pg_catalog.pg_table_size(s.oid), pg_catalog.pg_indexes_size(s.oid)"
_ALL = f"""
SELECT {_SIZES}
FROM (
  SELECT c.oid, n.nspname || '.' || c.relname AS name
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {_KNOWN} OFFSET 0
) s
"""
# A transaction keeps a lock on all that it has touched to its end; what has no name any more was dropped.
_TOUCHED = f"""
SELECT {_SIZES}
FROM (
  SELECT l.relation AS oid, (
    SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = l.relation AND {_KNOWN}) AS name
  FROM pg_catalog.pg_locks l
  WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation'
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  GROUP BY l.relation OFFSET 0
) s
"""


def sizes(link: Link, touched: bool) -> Sizes:
    """Return the sizes of all tables, or of those that the open transaction has ``touched``.  Raise ServerError."""
    rows = link.query(_TOUCHED if touched else _ALL)
    known = {
        str(oid): Size(name, int(own) + int(indexes), int(indexes))
        for oid, name, own, indexes in rows
        if name and own is not None
    }
    return Sizes(known, frozenset(str(row[0]) for row in rows if str(row[0]) not in known), whole=not touched)


# ---------------------------------------------------------------- temporary files

#: From so many on a session can have its statistics told at once.
_TOLD_AT_ONCE = 150000
#: What the server calls the place in its source that tells of a temporary file: no language changes it.
_TELLS = "ReportTemporaryFileUsage"
# The first is for the right to say it, and the second for nobody; both are gone with the session.
_ASK = ("SET log_temp_files = 0", "SET client_min_messages = log")
_SETTINGS = "SELECT pg_catalog.current_setting('log_temp_files'), pg_catalog.current_setting('client_min_messages')"
_COUNTER = "SELECT temp_bytes FROM pg_catalog.pg_stat_database WHERE datname = pg_catalog.current_database()"


class TemporaryFiles:
    """Counts what a session's statements write into temporary files.

    The server says it of each file to the session itself, where the login may set ``log_temp_files``; each statement is
    known then.  Else its counter can be asked after each transaction, from PostgreSQL 15 on.
    """

    def __init__(self, link: PostgresLink) -> None:
        """Ask the server to tell.  Raise ServerError for a lost connection."""
        self._link = link
        self._heard = 0
        self._counted = 0
        self.told = False
        self.again()
        if self.told:
            link.on_message(self._hear)
        elif link.server_version >= _TOLD_AT_ONCE:
            self._counted = self._count()

    def again(self) -> None:
        """Ask the server to tell, in a session that was put back to what it was."""
        try:
            self._link.run(_ASK)
            self.told = True
        except ServerError as error:
            if error.lost:
                raise
            self.told = False

    def forget(self) -> None:
        """Forget what the server has told."""
        self._heard = 0

    def passed(self) -> None:
        """Set the level of messages again, which is no query either."""
        if self.told:
            self._link.run(_ASK[1])

    def take(self) -> Optional[int]:
        """Return what the server has told, None where it does not tell.  Raise ServerError."""
        heard, self._heard = self._heard, 0
        if not self.told:
            return None
        [(limit, level)] = self._link.query(_SETTINGS)
        if level != "log":  # the script has set it; it is the next statement's again
            self._link.run(_ASK[1])
        return heard if (limit, level) == ("0", "log") else heard or None

    def settle(self) -> Optional[int]:
        """Return what the server's counter has got since the last call, once the transaction is over."""
        if self.told or self._link.server_version < _TOLD_AT_ONCE or self._link.is_in_transaction():
            return None
        before, self._counted = self._counted, self._count()
        return max(self._counted - before, 0)

    def _count(self) -> int:
        """Return the server's counter of this database, with what this session wrote in it."""
        self._link.query("SELECT pg_catalog.pg_stat_force_next_flush()")
        [(counted,)] = self._link.query(_COUNTER)
        return int(counted or 0)

    def _hear(self, diagnostic: Any) -> None:
        """Take a message of the server: the size is the last number of it in every language."""
        if diagnostic.source_function == _TELLS:
            numbers = re.findall(r"\d+", diagnostic.message_primary or "")
            self._heard += int(numbers[-1]) if numbers else 0
