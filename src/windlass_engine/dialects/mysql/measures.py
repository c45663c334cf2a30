"""How large MySQL's and MariaDB's tables are, and how much they are used."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from ...model import TableFacts
from ..link import Link, ServerError
from .text import literal

_TABLES = """
SELECT table_name, COALESCE(table_rows, 0), COALESCE(data_length, 0) + COALESCE(index_length, 0)
FROM information_schema.TABLES WHERE table_schema = DATABASE() AND table_name IN ({names})
"""
_USE = """
SELECT object_name, count_read, count_write FROM performance_schema.table_io_waits_summary_by_table
WHERE object_schema = DATABASE() AND object_name IN ({names}) AND @@performance_schema
"""


def tables(link: Link, names: Sequence[tuple[str, ...]]) -> dict[str, TableFacts]:
    """Return those tables of this database that stand, by name.  Raise ServerError."""
    wanted = ", ".join(literal(name[-1]) for name in names if len(name) == 1)
    if not wanted:
        return {}
    used = _use(link, wanted)
    return {
        str(name): TableFacts(int(rows), int(size), *used.get(str(name), (-1.0, -1.0)))
        for name, rows, size in link.query(_TABLES.format(names=wanted))
    }


def _use(link: Link, wanted: str) -> dict[str, tuple[float, float]]:
    """Return reads and writes a second since the server started, where it counts them and the login may see it."""
    with suppress(ServerError):
        rows = link.query(_USE.format(names=wanted))
        if rows:
            uptime_s = max(int(link.query("SHOW GLOBAL STATUS LIKE 'Uptime'")[0][1]), 1)
            return {str(name): (int(reads) / uptime_s, int(writes) / uptime_s) for name, reads, writes in rows}
    return {}
