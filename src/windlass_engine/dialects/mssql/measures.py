"""How large SQL Server's tables are, and how much they are used."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from ...model import TableFacts
from ..link import Link, ServerError
from .own import Own
from .text import literal, quoted

_TABLES = """
SELECT w.name,
  (SELECT COALESCE(SUM(r.rows), 0) FROM sys.partitions r WHERE r.object_id = w.id AND r.index_id IN (0, 1)),
  (SELECT COALESCE(SUM(a.total_pages), 0) * 8192 FROM sys.partitions p JOIN sys.allocation_units a
    ON a.container_id = CASE WHEN a.type IN (1, 3) THEN p.hobt_id ELSE p.partition_id END WHERE p.object_id = w.id)
FROM ({names}) w JOIN sys.tables t ON t.object_id = w.id
"""
#: Rows are not counted by use: seeks, scans and look-ups are, since the server started.
_USE = """
SELECT w.name, SUM(u.user_seeks + u.user_scans + u.user_lookups), MAX(u.user_updates),
  MAX((SELECT DATEDIFF(second, i.sqlserver_start_time, GETDATE()) FROM sys.dm_os_sys_info i))
FROM ({names}) w JOIN sys.dm_db_index_usage_stats u ON u.object_id = w.id AND u.database_id = DB_ID() GROUP BY w.name
"""
_KEYS = """
SELECT c.name FROM sys.indexes x JOIN sys.index_columns k ON k.object_id = x.object_id AND k.index_id = x.index_id
JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE x.is_primary_key = 1 AND x.object_id = OBJECT_ID({name}) ORDER BY k.key_ordinal
"""


def tables(link: Link, names: Sequence[tuple[str, ...]]) -> dict[str, TableFacts]:
    """Return those tables that stand, by name with dots.  Raise ServerError."""
    if not names:
        return {}
    wanted = " UNION ALL ".join(
        f"SELECT {literal('.'.join(name))} AS name, OBJECT_ID({literal(_full(name))}) AS id" for name in names
    )
    used = _use(link, wanted)
    return {
        str(name): TableFacts(int(rows), int(size), *used.get(str(name), (-1.0, -1.0)))
        for name, rows, size in link.query(Own(_TABLES.format(names=wanted)))
    }


def key_columns(link: Link, table: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of a table's primary key.  Raise ServerError."""
    return tuple(str(name) for (name,) in link.query(Own(_KEYS.format(name=literal(_full(table))))))


def columns_stand(link: Link, table: tuple[str, ...], columns: Sequence[str]) -> bool:
    """Return whether a table has these columns.  Raise ServerError."""
    conditions = [f"COL_LENGTH({literal(_full(table))}, {literal(column)}) IS NOT NULL" for column in columns]
    conditions.append(f"OBJECT_ID({literal(_full(table))}) IS NOT NULL")
    return bool(link.query(Own(f"SELECT 1 WHERE {' AND '.join(conditions)}")))


def _use(link: Link, wanted: str) -> dict[str, tuple[float, float]]:
    """Return uses and changes a second, where the login may see them."""
    with suppress(ServerError):
        rows = link.query(Own(_USE.format(names=wanted)))
        return {
            str(name): (int(uses) / max(int(age), 1), int(changes) / max(int(age), 1))
            for name, uses, changes, age in rows
        }
    return {}


def _full(name: tuple[str, ...]) -> str:
    return ".".join(map(quoted, name))
