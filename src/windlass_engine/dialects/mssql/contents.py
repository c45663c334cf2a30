"""What a manifest says of a SQL Server database: rows, identity columns, settings, users, what its edition gives it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ...model import Wire
from ..link import Link, ServerError
from .own import Own
from .text import literal, quoted, shown

_BATCH = 50
#: Tables with rows of their own on disk; the server keeps their counts with the partitions.
_COUNTED = """
SELECT s.name, t.name, t.is_memory_optimized, COALESCE((SELECT SUM(p.{rows}) FROM {source} p
  WHERE p.object_id = t.object_id AND p.index_id IN (0, 1)), 0)
FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id
WHERE t.is_ms_shipped = 0 AND t.is_external = 0 ORDER BY s.name, t.name
"""
_ROWS = Own(_COUNTED.format(rows="row_count", source="sys.dm_db_partition_stats"))
_ROWS_OF_PARTITIONS = Own(_COUNTED.format(rows="rows", source="sys.partitions"))
_SIZES = Own("""
SELECT (SELECT COALESCE(SUM(CAST(f.size AS bigint)), 0) * 8192 FROM sys.database_files f),
  (SELECT COALESCE(SUM(a.used_pages), 0) * 8192 FROM sys.allocation_units a)
""")
_IDENTITIES = Own("""
SELECT s.name, t.name, c.name, CAST(c.increment_value AS bigint), CAST(c.last_value AS bigint)
FROM sys.identity_columns c JOIN sys.tables t ON t.object_id = c.object_id
JOIN sys.schemas s ON s.schema_id = t.schema_id
WHERE t.is_ms_shipped = 0 AND c.last_value IS NOT NULL AND TYPE_NAME(c.system_type_id) <> 'decimal'
  AND TYPE_NAME(c.system_type_id) <> 'numeric'
ORDER BY s.name, t.name
""")
#: What a restore brings back by itself and has to be the same.
RESTORED = (
    "compatibility_level", "collation_name", "recovery_model_desc", "is_read_committed_snapshot_on",
    "snapshot_isolation_state_desc", "containment_desc", "is_read_only",
)  # fmt: skip
_NAMES = (*RESTORED, "is_trustworthy_on", "is_db_chaining_on", "is_broker_enabled", "is_encrypted")
_SETTINGS = "SELECT {}, SUSER_SNAME(d.owner_sid) FROM sys.databases d WHERE d.name = {{}}".format(
    ", ".join(f"d.{name}" for name in _NAMES)
)
#: Users of a login: by SQL Server's own password, or Windows'.
_USERS = Own("""
SELECT p.name, CONVERT(varchar(172), p.sid, 1) FROM sys.database_principals p
WHERE p.type IN ('S', 'U', 'G') AND p.authentication_type IN (1, 3) AND p.principal_id > 4 AND p.sid IS NOT NULL
ORDER BY p.name
""")
_FEATURES = Own("SELECT feature_name FROM sys.dm_db_persisted_sku_features ORDER BY feature_name")


def rows(link: Link) -> Wire:
    """Return the rows of each table as the server keeps count of them.  Raise ServerError."""
    try:
        found = link.query(_ROWS)
    except ServerError:  # VIEW DATABASE STATE is needed for the one, nothing for the other
        found = link.query(_ROWS_OF_PARTITIONS)
    in_memory = [(schema, name) for schema, name, optimized, _ in found if optimized]
    counted = {shown(str(schema), str(name)): int(count) for schema, name, _, count in found}
    counted.update(exact(link, "", in_memory))
    return counted


def exact(link: Link, database: str, tables: Sequence[tuple[str, str]]) -> Wire:
    """Count the rows of tables, of the session's database where ``database`` is empty.  Raise ServerError."""
    found: Wire = {}
    place = f"{quoted(database)}." if database else ""
    for at in range(0, len(tables), _BATCH):
        asked = " UNION ALL ".join(
            f"SELECT {literal(shown(schema, name))}, COUNT_BIG(*) FROM {place}{quoted(schema)}.{quoted(name)}"
            for schema, name in tables[at : at + _BATCH]
        )
        found.update((str(name), int(count)) for name, count in link.query(Own(asked)))
    return found


def sizes(link: Link) -> tuple[int, int]:
    """Return the bytes of the database's files, and those of its pages in use.  Raise ServerError."""
    whole, used = link.query(_SIZES)[0]
    return int(whole), int(used)


def identities_behind(link: Link) -> list[str]:
    """Return one line for each identity column whose next value is in it already.  Raise ServerError."""
    every = [(str(s), str(t), str(c), int(step), int(last)) for s, t, c, step, last in link.query(_IDENTITIES)]
    lines: list[str] = []
    for at in range(0, len(every), _BATCH):
        part = every[at : at + _BATCH]
        asked = " UNION ALL ".join(
            f"SELECT {number:d}, CAST({'MAX' if step > 0 else 'MIN'}({quoted(column)}) AS bigint) "
            f"FROM {quoted(schema)}.{quoted(table)}"
            for number, (schema, table, column, step, _) in enumerate(part)
        )
        for number, reached in link.query(Own(asked)):
            schema, table, column, step, last = part[int(number)]
            if reached is not None and (int(reached) - last) * step > 0:
                lines.append(
                    f"the next value of {shown(schema, table)}.{column} is {last + step}, and it holds {int(reached)}"
                )
    return lines


def settings(link: Link, database: str) -> Wire:
    """Return a database's own settings.  Raise ServerError."""
    found = link.query(Own(_SETTINGS.format(literal(database))))
    if not found:
        raise ServerError(f"the server does not show the database {database} to this login")
    values: list[Any] = list(found[0])
    return {**dict(zip(_NAMES, values)), "owner": str(values[-1] or "")}


def users(link: Link) -> list[Wire]:
    """Return the users that stand for logins, with the login's security identifier.  Raise ServerError."""
    return [{"user": str(name), "sid": str(sid)} for name, sid in link.query(_USERS)]


def features(link: Link) -> list[str]:
    """Return what of the database not every edition can hold, as far as the login may know."""
    with suppress(ServerError):
        return [str(name) for (name,) in link.query(_FEATURES)]
    return []
