"""The words of copying rows into an archive."""

from __future__ import annotations

from collections.abc import Sequence

from ...model import Archive, Loss
from .journal_sql import ARCHIVE_PREFIX
from .text import quoted

#: The manifest.
LISTED = quoted(f"{ARCHIVE_PREFIX}manifest")
NUMBER = "windlass_row"
_MODE = "'NO_AUTO_VALUE_ON_ZERO'"
#: Dates such as 0000-00-00 and whatever else stands in a table must be let into a copy of it.  The session may be in
#: the middle of a script, whose own mode it gets back, also when a copy broke off before.
LENIENT = (
    f"SET @windlass_mode = IF(@@SESSION.sql_mode = {_MODE} AND @windlass_mode IS NOT NULL, @windlass_mode, "
    f"@@SESSION.sql_mode), SESSION sql_mode = {_MODE}"
)
USUAL = "SET SESSION sql_mode = @windlass_mode"


def table_of(archive: str) -> str:
    """Return an archive's table."""
    return quoted(ARCHIVE_PREFIX + archive)


def second_name(archive: Archive) -> str:
    """Return the name under which a statement looks into an archive that it writes to."""
    return quoted(f"there_{archive.name}")


def copied(loss: Loss) -> tuple[str, ...]:
    """Return the names of the columns to copy: keys, and what is lost."""
    return tuple(dict.fromkeys((*loss.keys, *loss.columns)))


def into(archive: Archive, columns: Sequence[str]) -> str:
    """Return the INSERT without its rows."""
    return f"INSERT INTO {table_of(archive.name)} ({', '.join(map(quoted, columns))})"


def select(loss: Loss, columns: Sequence[str], name: str) -> str:
    """Return the SELECT from a loss's table, which is called ``name`` there."""
    listed = ", ".join(f"{name}.{quoted(column)}" for column in columns)
    return f"SELECT {listed} FROM {loss.table}" + (f" {name}" if name != loss.table else "")


def same_key(loss: Loss, ours: str, theirs: str) -> str:
    """Return the condition that two tables' rows have the same key."""
    return " AND ".join(f"{ours}.{quoted(key)} = {theirs}.{quoted(key)}" for key in loss.keys)


def where(*conditions: str) -> str:
    """Return the WHERE of those conditions that are not empty."""
    found = " AND ".join(filter(None, conditions))
    return f" WHERE {found}" if found else ""
