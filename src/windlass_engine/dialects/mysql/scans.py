"""Which tables a query reads from end to end, as the optimizer says."""

from __future__ import annotations

from collections.abc import Iterator

from ..link import Link

#: So many columns has the table that MySQL gives, with partitions after the table; MariaDB has ten.
_MYSQL = 12


def full_scans(link: Link, sql: str) -> Iterator[tuple[str, int]]:
    """Yield (table, rows by the optimizer's estimate) of each full scan; a table is named as the query does."""
    for row in link.query(f"EXPLAIN FORMAT=TRADITIONAL {sql}"):
        table, way, rows = (row[2], row[4], row[9]) if len(row) >= _MYSQL else (row[2], row[3], row[8])
        if way == "ALL" and table and not str(table).startswith("<"):
            yield str(table), int(rows or 0)
