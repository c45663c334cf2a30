"""Keeping writers away from what is archived until it is gone.

``LOCK TABLES`` outlasts a schema change of the tables that it names, so the last copy and the change have no gap
between them.  Under it a session can use no other tables, and none twice in one statement under one name.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ...model import Archive, Loss
from ..link import Link, ServerError
from . import losses
from .archive_copy import LENIENT, LISTED, NUMBER, USUAL, copied, into, same_key, second_name, select, table_of
from .text import literal, quoted

#: A table that is not locked; no right to lock, to a database or to a table.
_BEYOND = (1100, 1044, 1142)


class TableLocks:
    """The Holding of MySQL and MariaDB."""

    def taken_by(self, link: Link, sql: str) -> list[Loss]:
        """Read the statement's words."""
        return losses.taken_by(link, sql)

    def top_up(self, link: Link, archive: Archive, loss: Loss, going: Collection[str]) -> tuple[str, ...]:
        """Return nothing where no key says which rows are new."""
        standing = _standing(link, loss.table)
        if not loss.keys or not standing.issuperset(loss.keys):
            return ()
        source, table, there = loss.table, table_of(archive.name), second_name(archive)
        columns = [name for name in copied(loss) if name in standing]
        joined = f"LEFT JOIN {table} {there} ON {same_key(loss, source, there)} WHERE {there}.{NUMBER} IS NULL"
        new = f"{into(archive, columns)} {select(loss, columns, source)} {joined}"
        changes = [f"{table}.{quoted(n)} = {source}.{quoted(n)}" for n in columns if n in going and n not in loss.keys]
        changed = f"UPDATE {table} JOIN {source} ON {same_key(loss, source, table)} SET {', '.join(changes)}"
        return (LENIENT, *([changed] if changes else []), new, USUAL)

    def take(self, tables: Sequence[str], archives: Sequence[Archive]) -> tuple[str, ...]:
        """Return LOCK TABLES."""
        names = [*tables, *([LISTED] if archives else [])]
        for archive in archives:
            names += [table_of(archive.name), f"{table_of(archive.name)} AS {second_name(archive)}"]
        return (f"LOCK TABLES {', '.join(f'{name} WRITE' for name in names)}",)

    def give(self) -> tuple[str, ...]:
        """Return UNLOCK TABLES."""
        return ("UNLOCK TABLES",)

    def has_rows(self, loss: Loss) -> str:
        """Return a look for one row."""
        condition = losses.filled(loss)
        return f"SELECT EXISTS (SELECT 1 FROM {loss.table}{f' WHERE {condition}' if condition else ''})"

    def steady(self) -> tuple[str, ...]:
        """Return the isolation in which ``INSERT … SELECT`` locks what it reads, and the gaps between."""
        return ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",)

    def is_beyond(self, error: ServerError) -> bool:
        """Look at its number."""
        return error.number in _BEYOND


def _standing(link: Link, table: str) -> set[str]:
    """Return the columns that a table has now."""
    name = table[1:-1].replace("``", "`")
    rows = link.query(
        "SELECT column_name FROM information_schema.COLUMNS "
        f"WHERE table_schema = DATABASE() AND table_name = {literal(name)}"
    )
    return {str(column) for (column,) in rows}
