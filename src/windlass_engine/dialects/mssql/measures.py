"""How large SQL Server's tables are, and how much they are used."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from ...model import TableFacts
from ..link import Link, ServerError
from .own import Own
from .probing import full
from .text import literal

_TABLES = """
SELECT w.name,
  (SELECT COALESCE(SUM(r.rows), 0) FROM sys.partitions r WHERE r.object_id = w.id AND r.index_id IN (0, 1)),
  (SELECT COALESCE(SUM(a.total_pages), 0) * 8192 FROM sys.partitions p JOIN sys.allocation_units a
    ON a.container_id = CASE WHEN a.type IN (1, 3) THEN p.hobt_id ELSE p.partition_id END WHERE p.object_id = w.id)
FROM ({names}) w JOIN sys.tables t ON t.object_id = w.id
"""
#: Rows are not counted by use: seeks, scans and look-ups are, since the server started.  A login that may not see them
#: is not to ask: the refusal would end a transaction that is open.
_USE = """
IF HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE') = 1
SELECT w.name, SUM(u.user_seeks + u.user_scans + u.user_lookups), MAX(u.user_updates),
  MAX(DATEDIFF(second, i.sqlserver_start_time, GETDATE()))
FROM ({names}) w JOIN sys.dm_db_index_usage_stats u ON u.object_id = w.id AND u.database_id = DB_ID()
CROSS JOIN sys.dm_os_sys_info i GROUP BY w.name
"""


def tables(link: Link, names: Sequence[tuple[str, ...]]) -> dict[str, TableFacts]:
    """Return those tables that stand, by name with dots.  Raise ServerError."""
    if not names:
        return {}
    asked = wanted(names)
    used = _use(link, asked)
    return {
        str(name): TableFacts(int(rows), int(size), *used.get(str(name), (-1.0, -1.0)))
        for name, rows, size in link.query(Own(_TABLES.format(names=asked)))
    }


def wanted(names: Sequence[tuple[str, ...]]) -> str:
    """Return the query for names and numbers of tables; the number is NULL where there is no such table."""
    return " UNION ALL ".join(
        f"SELECT {literal('.'.join(name))} AS name, OBJECT_ID({full(name)}) AS id" for name in names
    )


def _use(link: Link, asked: str) -> dict[str, tuple[float, float]]:
    """Return uses and changes a second, where the login may see them."""
    with suppress(ServerError):
        rows = link.query(Own(_USE.format(names=asked)))
        return {
            str(name): (int(uses) / max(int(age), 1), int(changes) / max(int(age), 1))
            for name, uses, changes, age in rows
        }
    return {}
