"""What is in a database at one moment: an exported snapshot, the rows of each table, the sequences.

Counting works through tables in sub-transactions that are taken back, so that its locks do not pile up.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Callable, Optional, Protocol

from ...model import Wire
from .text import literal

Tick = Callable[[float], None]

#: Up to so many tables are locked at once against changes of their schema; more could fill the server's lock table.
_LOCKED_AT_MOST = 1000
#: How long a look at somebody's locked table may wait.
LOCK_WAIT_MS = 60_000
_BATCH = 100
_USER_SCHEMA = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'"

#: Tables whose rows a dump holds: extensions make their own ones anew.
_TABLES = f"""
SELECT c.oid::bigint, quote_ident(n.nspname) || '.' || quote_ident(c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {_USER_SCHEMA}
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.relpages, 2"""

#: Tables with their out-of-line values and large objects; indexes are not dumped.
_DATA_BYTES = f"""
SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint + pg_table_size('pg_largeobject')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND {_USER_SCHEMA}"""

#: (sequence, table, column, ascending) of those that feed a whole-number column: its own ones (serial, identity), and
#: others that its default asks.  One that cycles is never behind.
_FEEDING_SEQUENCES = """
SELECT quote_ident(sn.nspname) || '.' || quote_ident(s.relname),
       quote_ident(n.nspname) || '.' || quote_ident(t.relname), quote_ident(a.attname), q.seqincrement > 0
FROM (SELECT d.objid AS seq, d.refobjid AS tab, d.refobjsubid AS col FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
      UNION
      SELECT d.refobjid, f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
      WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'n'
        AND pg_get_expr(f.adbin, f.adrelid) ~ '^nextval\\(''[^'']+''::regclass\\)$') d
JOIN pg_class s ON s.oid = d.seq AND s.relkind = 'S'
JOIN pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_sequence q ON q.seqrelid = s.oid AND NOT q.seqcycle
JOIN pg_class t ON t.oid = d.tab AND t.relkind IN ('r', 'p')
JOIN pg_namespace n ON n.oid = t.relnamespace
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.col AND NOT a.attisdropped
WHERE a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) AND s.relpersistence <> 't'
ORDER BY 1"""


class Asked(Protocol):
    """The part of a session that is needed here."""

    @property
    def server_version(self) -> int:
        """Return the server's version as a number."""

    def run(self, sql: str, tick: Optional[Tick] = None) -> list[int]:
        """Send one message."""

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return rows."""


def begin_reading(session: Asked, lock_wait_ms: int) -> None:
    """Open a read-only transaction with one view of everything and no limit in time.  Raise ServerError."""
    lasting = "; SET LOCAL transaction_timeout = 0" if session.server_version >= 170000 else ""
    session.run(
        "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0; "
        f"SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = {lock_wait_ms:d}; "
        f"SET LOCAL row_security = off; SET LOCAL search_path = ''{lasting}"
    )


def export_snapshot(session: Asked) -> str:
    """Return the name under which others can share the open transaction's view.  Raise ServerError."""
    return str(session.query("SELECT pg_export_snapshot()")[0][0])


def tables(session: Asked) -> dict[int, str]:
    """Return the full names of all tables with rows of their own by their oid, small ones first."""
    return {int(oid): str(name) for oid, name in session.query(_TABLES)}


def hold_still(session: Asked, names: Sequence[str]) -> None:
    """Keep the tables' schema from changing until the transaction ends.  Raise ServerError."""
    if 0 < len(names) <= _LOCKED_AT_MOST:
        session.run(f"LOCK TABLE ONLY {', ONLY '.join(names)} IN ACCESS SHARE MODE")


def sizes(session: Asked) -> tuple[int, int]:
    """Return the bytes of the whole database, and those of the data that a dump holds."""
    whole = session.query("SELECT pg_database_size(current_database())")[0][0]
    return int(whole), int(session.query(_DATA_BYTES)[0][0])


def count_rows(session: Asked, names: Sequence[str], tick: Optional[Tick] = None) -> Wire:
    """Return the rows of each table, in the view of the open transaction."""
    found: Wire = {}
    for batch in _batches(names):
        found.update((row["name"], row["n"]) for row in _watched(session, _counting(batch), tick))
    return dict(sorted(found.items()))


def counts(session: Asked, names: Sequence[str]) -> dict[str, int]:
    """Return the rows of some tables as fast as the server can; the locks stay until the transaction ends."""
    return {str(name): int(rows) for name, rows in session.query(_counting(names))}


def _counting(names: Sequence[str]) -> str:
    return " UNION ALL ".join(f"SELECT {literal(name)} AS name, count(*) AS n FROM ONLY {name}" for name in names)


def count_large_objects(session: Asked) -> int:
    """Return how many large objects there are."""
    return int(session.query("SELECT count(*) FROM pg_largeobject_metadata")[0][0])


def sequences_behind(session: Asked, tick: Optional[Tick] = None) -> list[str]:
    """Return one line for each sequence whose next value may be in its column already."""
    lines: list[str] = []
    for batch in _batches(session.query(_FEEDING_SEQUENCES)):
        looks = " UNION ALL ".join(_look_at(*owned) for owned in batch)
        late = f"SELECT * FROM ({looks}) x WHERE up AND edge > last OR NOT up AND edge < last"
        lines += [
            f"sequence {row['seq']} stands at {row['last']}, {row['col']} holds {row['edge']}"
            for row in _watched(session, late, tick)
        ]
    return sorted(lines)


def _look_at(sequence: str, table: str, column: str, up: bool) -> str:
    """Return the query for the last value given out and the outermost value in use."""
    # A sequence that was never asked gives out last_value itself.
    unused = "last_value::numeric - 1" if up else "last_value::numeric + 1"
    return (
        f"SELECT {literal(sequence)} AS seq, {literal(f'{table}.{column}')} AS col, {up} AS up, "
        f"(SELECT {'max' if up else 'min'}({column}) FROM {table})::numeric AS edge, "
        f"(SELECT CASE WHEN is_called THEN last_value::numeric ELSE {unused} END FROM {sequence}) AS last"
    )


def _watched(session: Asked, select: str, tick: Optional[Tick]) -> list[Wire]:
    """Return the rows of a long query as dicts, with ``tick`` called while it works, and its locks given back."""
    session.run(
        "SAVEPOINT watched; SELECT pg_catalog.set_config('windlass.found', "
        f"coalesce(pg_catalog.json_agg(f)::text, '[]'), true) FROM ({select}) f",
        tick,
    )
    rows: list[Wire] = json.loads(session.query("SELECT pg_catalog.current_setting('windlass.found')")[0][0])
    session.run("ROLLBACK TO SAVEPOINT watched; RELEASE SAVEPOINT watched")
    return rows


def _batches(items: Sequence[Any]) -> list[Sequence[Any]]:
    """Return the items in batches."""
    return [items[at : at + _BATCH] for at in range(0, len(items), _BATCH)]
