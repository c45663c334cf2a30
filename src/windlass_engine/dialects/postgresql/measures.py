"""How large PostgreSQL's tables are, and how much they are used."""

from __future__ import annotations

from collections.abc import Sequence

from ...model import TableFacts
from ..link import Link
from .text import literal

#: Partitions count for their table.  The statistics are as old as their last reset.
_TABLES = """
SELECT w.name, pg_catalog.sum(GREATEST(c.reltuples, s.n_live_tup, 0))::int8,
  pg_catalog.sum(pg_catalog.pg_total_relation_size(c.oid))::int8,
  pg_catalog.sum(COALESCE(s.seq_tup_read, 0) + COALESCE(s.idx_tup_fetch, 0))::float8 / pg_catalog.max(d.age_s),
  pg_catalog.sum(COALESCE(s.n_tup_ins, 0) + s.n_tup_upd + s.n_tup_del)::float8 / pg_catalog.max(d.age_s)
FROM (VALUES {names}) AS w (name, oid)
CROSS JOIN LATERAL (
  SELECT w.oid AS oid UNION SELECT t.relid FROM pg_catalog.pg_partition_tree(w.oid) t
) part
JOIN pg_catalog.pg_class c ON c.oid = part.oid
LEFT JOIN pg_catalog.pg_stat_all_tables s ON s.relid = c.oid
CROSS JOIN (
  SELECT GREATEST(EXTRACT(epoch FROM pg_catalog.now() - COALESCE(stats_reset, pg_catalog.pg_postmaster_start_time())),
    1)::float8 AS age_s
  FROM pg_catalog.pg_stat_database WHERE datname = pg_catalog.current_database()
) d
GROUP BY w.name
"""


def tables(link: Link, names: Sequence[tuple[str, ...]]) -> dict[str, TableFacts]:
    """Return those tables that stand, by name with dots.  Raise ServerError."""
    if not names:
        return {}
    wanted = ", ".join(f"({literal('.'.join(name))}, {regclass(name)})" for name in names)
    found = link.query(_TABLES.format(names=wanted))
    return {str(row[0]): TableFacts(int(row[1] or 0), int(row[2] or 0), row[3] or 0.0, row[4] or 0.0) for row in found}


def regclass(table: tuple[str, ...]) -> str:
    """Return SQL that gives a table's oid, NULL where there is none."""
    return f"pg_catalog.to_regclass({literal(quoted(table))})"


def quoted(table: tuple[str, ...]) -> str:
    """Return a table's full name in quotes."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in table)
