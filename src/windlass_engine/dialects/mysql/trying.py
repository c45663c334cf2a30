"""Whom a table lock keeps waiting, where the server does not tell its locks: reads and writes are tried.

A read and a write that touch no row need the table's metadata lock like any other, and are refused at once where it is
taken.  MariaDB only: MySQL cannot give up in less than a second.
"""

from __future__ import annotations

from typing import Optional

from ..answers import HeldLock
from ..link import Link, ServerError
from .text import identifier

#: What the server says to who will not wait.
_REFUSED = 1205
#: Tables of this database that the session's statement names.  A try could fail one that will not wait itself.
_TABLES = """
SELECT t.TABLE_NAME, COALESCE(p.STATE, '') FROM information_schema.PROCESSLIST p
JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = DATABASE() AND LOCATE(t.TABLE_NAME, p.INFO) > 0
WHERE p.ID = {pid:d} AND p.INFO NOT LIKE '%NOWAIT%' AND t.TABLE_NAME NOT LIKE 'windlass\\_%'
"""
_AT_ONCE = "SET STATEMENT lock_wait_timeout = 0, innodb_lock_wait_timeout = 0 FOR"
_READ = "SELECT 1 FROM {} LIMIT 0"
_WRITE = "DELETE FROM {} WHERE 1 = 0"


def locks(link: Link, pid: int) -> Optional[tuple[HeldLock, ...]]:
    """Return whom session ``pid`` keeps waiting, None where that cannot be tried.  Raise ServerError (lost)."""
    try:
        named = link.query(_TABLES.format(pid=pid))
    except ServerError as error:
        if error.lost:
            raise
        return None
    found = [(str(table), _blocked(link, identifier(str(table))), str(state)) for table, state in named]
    return tuple(
        HeldLock(table, "metadata lock", blocks, granted="metadata lock" not in state)
        for table, blocks, state in found
        if blocks
    )


def _blocked(link: Link, table: str) -> str:
    """Return who could not work on a table now."""
    if _is_refused(link, _READ.format(table)):
        return "reads and writes"
    return "writes" if _is_refused(link, _WRITE.format(table)) else ""


def _is_refused(link: Link, statement: str) -> bool:
    """Return whether a statement would have had to wait; what fails otherwise (a view, no right) tells nothing."""
    try:
        link.ask(f"{_AT_ONCE} {statement}")
    except ServerError as error:
        if error.lost:
            raise
        return error.number == _REFUSED
    return False
