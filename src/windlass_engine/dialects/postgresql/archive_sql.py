"""Archives of PostgreSQL: tables in the schema ``windlass_archive``, whose columns are texts.

Texts depend on nothing: an archive stands in the way of no type that is dropped, and goes back through the type that
the column has then.  Copying and undoing are one transaction; what large tables hold is copied before it in batches,
and inside only what has changed since.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Optional

from ...model import Archive, Loss, Losses, Options, Script
from ..archives import MANIFEST
from ..link import Link
from . import losses
from .text import literal, quoted

_SCHEMA = "windlass_archive"
_NUMBER = "windlass_row"
#: How values become texts, and texts values again: the same for everybody, whatever the login likes to see.
_SETTINGS = {"DateStyle": "'ISO, MDY'", "IntervalStyle": "'postgres'", "TimeZone": "'UTC'", "extra_float_digits": "1"}
_PLAIN = tuple(f"SET LOCAL {name} = {value}" for name, value in _SETTINGS.items())
_USUAL = tuple(f"SET LOCAL {name} TO DEFAULT" for name in _SETTINGS)
_CREATE = (
    "CREATE SCHEMA IF NOT EXISTS windlass_archive",
    """CREATE TABLE IF NOT EXISTS windlass_archive.manifest (
  name pg_catalog.text PRIMARY KEY,
  run_id pg_catalog.text NOT NULL,
  migration pg_catalog.text NOT NULL,
  kind pg_catalog.text NOT NULL CHECK (kind IN ('table', 'columns', 'rows')),
  object pg_catalog.text NOT NULL,
  columns_json pg_catalog.text NOT NULL,
  keys_json pg_catalog.text NOT NULL,
  state pg_catalog.text NOT NULL CHECK (state IN ('copying', 'kept', 'put back', 'purged')),
  row_count pg_catalog.int8 NOT NULL DEFAULT 0,
  kept_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  who pg_catalog.text NOT NULL,
  put_back_rows pg_catalog.int8,
  ended_at pg_catalog.timestamptz,
  ended_by pg_catalog.text
)""",
    "COMMENT ON SCHEMA windlass_archive IS 'What undone migrations took away; see invoke archives'",
)
#: Keeps what each change takes away; it belongs to the login, so a script's own role needs no right on the archive.
_KEEP = """CREATE OR REPLACE FUNCTION windlass_archive.keep() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $keep$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    EXECUTE format('INSERT INTO windlass_archive.%I (operation, content) SELECT %L, to_jsonb(t) FROM %I.%I t',
                   TG_ARGV[0], TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME);
    RETURN NULL;
  END IF;
  IF TG_OP = 'DELETE' OR OLD IS DISTINCT FROM NEW THEN
    EXECUTE format('INSERT INTO windlass_archive.%I (operation, content) VALUES ($1, $2)', TG_ARGV[0])
      USING TG_OP, to_jsonb(OLD);
  END IF;
  RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $keep$"""
_TRIGGER = "windlass_archive_keep"
_OPEN_OF = "state = 'copying' AND migration = {migration}"


class PostgresArchives:
    """The Archives of PostgreSQL."""

    together = True
    holding = None
    dry_run = None

    def losses(self, link: Link, downs: Sequence[Script], original: str) -> Losses:
        """Run the scripts in a transaction that is taken back."""
        return losses.find(link, downs)

    def readable(self, link: Link, down: Script) -> Optional[list[Loss]]:
        """Return None: the server is asked."""
        return None

    def exists(self, link: Link) -> bool:
        """Return whether the schema has its manifest."""
        return bool(link.query("SELECT pg_catalog.to_regclass('windlass_archive.manifest') IS NOT NULL")[0][0])

    def create(self) -> tuple[str, ...]:
        """Return the schema and its manifest."""
        return _CREATE

    def listing(self, condition: str = "") -> str:
        """Return the manifest's lines."""
        shown = MANIFEST.replace("kept_at", "to_char(kept_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
        where = f" WHERE {condition}" if condition else ""
        return f"SELECT {shown} FROM windlass_archive.manifest{where} ORDER BY manifest.kept_at, name"

    def size(self, name: str) -> str:
        """Return the query for an archive's bytes."""
        return f"SELECT coalesce(pg_catalog.pg_total_relation_size(to_regclass({literal(_table(name))})), 0)"

    def open(self, archive: Archive, loss: Loss, options: Options) -> tuple[str, ...]:
        """Return an empty table of texts, or of whole rows as JSON where only a trigger can tell which."""
        texts = [f"{quoted(name)} pg_catalog.text" for name in _copied(loss)]
        columns = texts if loss.kind != "rows" else ["operation pg_catalog.text", "content pg_catalog.jsonb"]
        number = f"{_NUMBER} pg_catalog.int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
        words = (archive.name, archive.run_id, archive.migration, archive.kind, archive.table)
        lists = (json.dumps(archive.columns), json.dumps(archive.keys), "copying")
        return (
            f"CREATE TABLE IF NOT EXISTS {_table(archive.name)} ({', '.join([number, *columns])})",
            "INSERT INTO windlass_archive.manifest (name, run_id, migration, kind, object, columns_json, keys_json, "
            f"state, who) VALUES ({', '.join(map(literal, (*words, *lists, options.who)))}) ON CONFLICT DO NOTHING",
        )

    def copy_batch(self, link: Link, archive: Archive, loss: Loss, batch: int) -> int:
        """Copy the next rows behind the last key that is there."""
        keys = ", ".join(map(quoted, loss.keys))
        last = link.query(f"SELECT {keys} FROM {_table(archive.name)} ORDER BY {_NUMBER} DESC LIMIT 1")
        ordered = ", ".join(f"t.{quoted(key)}" for key in loss.keys)
        after = f"({ordered}) > ({', '.join(map(literal, last[0]))})" if last else ""
        rows = f"{loss.table} t{losses.where(losses.filled(loss), after)} ORDER BY {ordered} LIMIT {batch:d}"
        source = f"{_select(loss)} FROM {rows}"
        return link.run(["BEGIN", *_PLAIN, f"{_into(archive, loss)} {source}", "COMMIT"])[len(_PLAIN) + 1]

    def catch_up(self, archive: Archive, loss: Loss) -> tuple[str, ...]:
        """Return what keeps writers out and copies what is missing; or lets triggers keep what is going to change."""
        if loss.kind == "rows":
            return _triggers(archive, loss)
        table = _table(archive.name)
        hold = f"LOCK TABLE {loss.table} IN SHARE MODE"
        if not loss.keys:
            everything = f"{_into(archive, loss)} {_select(loss)} FROM {loss.table} t"
            return (hold, *_PLAIN, f"DELETE FROM {table}", everything, *_USUAL)
        same = " AND ".join(f"t.{quoted(key)}::pg_catalog.text = a.{quoted(key)}" for key in loss.keys)
        equal = " AND ".join(
            f"t.{quoted(name)}::pg_catalog.text IS NOT DISTINCT FROM a.{quoted(name)}" for name in _copied(loss)
        )
        stale = f"DELETE FROM {table} a WHERE NOT EXISTS (SELECT FROM {loss.table} t WHERE {same} AND {equal})"
        missing = losses.where(losses.filled(loss), f"NOT EXISTS (SELECT FROM {table} a WHERE {same})")
        return (hold, *_PLAIN, stale, f"{_into(archive, loss)} {_select(loss)} FROM {loss.table} t{missing}", *_USUAL)

    def still_empty(self, loss: Loss) -> tuple[str, ...]:
        """Return a lock, and a look that fails as a lock does: then the whole is tried again."""
        rows = f"{loss.table} t{losses.where(losses.filled(loss))}"
        refusal = "RAISE lock_not_available USING MESSAGE = 'rows were written while nothing was to be archived'"
        look = f"DO $look$ BEGIN IF EXISTS (SELECT FROM {rows}) THEN {refusal}; END IF; END $look$"
        return (f"LOCK TABLE {loss.table} IN SHARE MODE", look)

    def finish(self, migration: str, run_id: str) -> tuple[str, ...]:
        """Return what takes the triggers away, counts the rows, and forgets archives that stayed empty."""
        mine = _OPEN_OF.format(migration=literal(migration))
        return (
            "DROP FUNCTION IF EXISTS windlass_archive.keep() CASCADE",
            f"""DO $finish$
DECLARE mine pg_catalog.text; held pg_catalog.int8;
BEGIN
  FOR mine IN SELECT name FROM windlass_archive.manifest WHERE {mine} LOOP
    EXECUTE pg_catalog.format('SELECT count(*) FROM windlass_archive.%I', mine) INTO held;
    IF held = 0 THEN
      EXECUTE pg_catalog.format('DROP TABLE windlass_archive.%I', mine);
      DELETE FROM windlass_archive.manifest WHERE name = mine;
    ELSE
      UPDATE windlass_archive.manifest SET state = 'kept', run_id = {literal(run_id)}, row_count = held,
        kept_at = pg_catalog.clock_timestamp() WHERE name = mine;
    END IF;
  END LOOP;
END $finish$""",
        )

    def put_back(self, link: Link, archive: Archive, first: int, last: int) -> int:
        """Put rows back with the table's own triggers asleep: they were at work when the rows were written."""
        asleep, awake = _triggers_off(link, archive.table)
        rows = f"{_NUMBER} BETWEEN {first:d} AND {last:d}"
        sql = _restoring(link, archive, rows)
        return link.run(["BEGIN", *_PLAIN, *asleep, sql, *awake, "COMMIT"])[1 + len(_PLAIN) + len(asleep)]

    def put_back_done(self, link: Link, archive: Archive, rows: int) -> None:
        """Let sequences go on behind the numbers that came back, and mark the archive."""
        owned = link.query(_OWNED.format(table=literal(archive.table))) if archive.kind != "columns" else []
        for column, sequence in owned:
            link.query(
                f"SELECT pg_catalog.setval({literal(sequence)}, greatest(max({column}), "
                f"(SELECT last_value FROM {sequence}))) FROM {archive.table} HAVING max({column}) IS NOT NULL"
            )
        link.run(
            f"UPDATE windlass_archive.manifest SET state = 'put back', put_back_rows = {rows:d}, "
            f"ended_at = pg_catalog.clock_timestamp() WHERE name = {literal(archive.name)}"
        )

    def highest(self, name: str) -> str:
        """Return the highest row number."""
        return f"SELECT coalesce(max({_NUMBER}), 0) FROM {_table(name)}"

    def page(self, archive: Archive, after: int, limit: int) -> tuple[tuple[str, ...], str]:
        """Return the next rows as texts."""
        names = ("operation", "content") if archive.kind == "rows" else _names(archive)
        texts = ", ".join(f"{quoted(name)}::pg_catalog.text" for name in names)
        rows = f"WHERE {_NUMBER} > {after:d} ORDER BY {_NUMBER} LIMIT {limit:d}"
        return names, f"SELECT {_NUMBER}, {texts} FROM {_table(archive.name)} {rows}"

    def counted(self, name: str) -> tuple[str, ...]:
        """Return nothing: rows are counted at the end."""
        return ()

    def purge(self, name: str, who: str) -> tuple[str, ...]:
        """Return what drops the table and notes who did it."""
        note = f"state = 'purged', ended_at = pg_catalog.clock_timestamp(), ended_by = {literal(who)}"
        update = f"UPDATE windlass_archive.manifest SET {note} WHERE name = {literal(name)}"
        return ("BEGIN", f"DROP TABLE IF EXISTS {_table(name)}", update, "COMMIT")


#: (column, sequence) of a table's columns that are numbered by a sequence of their own.
_OWNED = """
SELECT quote_ident(a.attname), d.objid::regclass::text
FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  AND d.refobjid = {table}::regclass"""
#: (name, type) of a table's columns that take values.
_TYPES = """
SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = {table}::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''"""


def _table(name: str) -> str:
    return f"{_SCHEMA}.{quoted(name)}"


def _copied(loss: Loss) -> tuple[str, ...]:
    """Return the names of the columns to copy: keys, and what is lost."""
    return tuple(dict.fromkeys((*loss.keys, *loss.columns)))


def _names(archive: Archive) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*archive.keys, *archive.columns)))


def _into(archive: Archive, loss: Loss) -> str:
    return f"INSERT INTO {_table(archive.name)} ({', '.join(map(quoted, _copied(loss)))})"


def _select(loss: Loss) -> str:
    return "SELECT " + ", ".join(f"t.{quoted(name)}::pg_catalog.text" for name in _copied(loss))


def _triggers(archive: Archive, loss: Loss) -> tuple[str, ...]:
    """Return triggers that keep what a script changes; they end with :meth:`PostgresArchives.finish`."""
    call = f"EXECUTE FUNCTION windlass_archive.keep({literal(archive.name)})"
    made = []
    for name, event, each in (("rows", "UPDATE OR DELETE", "ROW"), ("all", "TRUNCATE", "STATEMENT")):
        trigger = f"{_TRIGGER}_{name}"
        made += [
            f"DROP TRIGGER IF EXISTS {trigger} ON {loss.table}",
            f"CREATE TRIGGER {trigger} BEFORE {event} ON {loss.table} FOR EACH {each} {call}",
            f"ALTER TABLE {loss.table} ENABLE ALWAYS TRIGGER {trigger}",
        ]
    return (_KEEP, *made)


def _triggers_off(link: Link, table: str) -> tuple[list[str], list[str]]:
    """Return what puts a table's own triggers to sleep and awakes exactly these again."""
    found = link.query(
        "SELECT quote_ident(tgname), CASE tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END FROM pg_trigger "
        f"WHERE tgrelid = {literal(table)}::regclass AND NOT tgisinternal AND tgenabled IN ('O', 'A')"
    )
    change = f"ALTER TABLE {table}"
    asleep = [f"{change} DISABLE TRIGGER {name}" for name, _ in found]
    return asleep, [f"{change} {word} TRIGGER {name}" for name, word in found]


def _restoring(link: Link, archive: Archive, rows: str) -> str:
    """Return the statement that puts rows back into what the table is today."""
    types = dict(link.query(_TYPES.format(table=literal(archive.table))))
    source = _table(archive.name)
    if archive.kind == "rows":
        names = ", ".join(map(quoted, types))
        whole = f"pg_catalog.jsonb_populate_record(NULL::{archive.table}, a.content)"
        values = ", ".join(f"(r).{quoted(name)}" for name in types)
        select = f"SELECT {values} FROM (SELECT {whole} AS r FROM {source} a "
        # What was only changed stands, and may have been changed again since.
        select += f"WHERE a.operation <> 'UPDATE' AND a.{rows} ORDER BY {_NUMBER}) x"
        return f"INSERT INTO {archive.table} ({names}) OVERRIDING SYSTEM VALUE {select} ON CONFLICT DO NOTHING"
    present = [name for name in archive.columns if name in types]
    if archive.kind == "table":
        names = ", ".join(map(quoted, present))
        values = ", ".join(f"{quoted(name)}::{types[name]}" for name in present)
        select = f"SELECT {values} FROM {source} WHERE {rows} ORDER BY {_NUMBER}"
        return f"INSERT INTO {archive.table} ({names}) OVERRIDING SYSTEM VALUE {select} ON CONFLICT DO NOTHING"
    changes = ", ".join(f"{quoted(name)} = a.{quoted(name)}::{types[name]}" for name in present)
    same = " AND ".join(f"t.{quoted(key)} = a.{quoted(key)}::{types[key]}" for key in archive.keys)
    return f"UPDATE {archive.table} t SET {changes} FROM {source} a WHERE {same} AND a.{rows}"
