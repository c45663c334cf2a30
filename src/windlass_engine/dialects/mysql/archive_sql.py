"""Archives of MySQL and MariaDB: tables with the prefix ``windlass_archive_`` in the database itself.

Columns keep their types, which stand on nothing else here.  Schema changes commit by themselves, so the copy is made
before the script runs, and once more while nobody else can write (:mod:`.archive_hold`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Optional

from ...model import Archive, Loss, Losses, Options, Script
from ..archives import MANIFEST
from ..link import Link
from . import archive_hold, dry_run, losses
from .archive_copy import LENIENT, LISTED, NUMBER, USUAL, copied, into, same_key, second_name, select, table_of, where
from .journal_sql import ARCHIVE_PREFIX
from .text import literal, quoted

_CREATE = f"""
CREATE TABLE IF NOT EXISTS {LISTED} (
  name VARCHAR(64) NOT NULL PRIMARY KEY,
  run_id VARCHAR(255) NOT NULL,
  migration VARCHAR(255) NOT NULL,
  kind VARCHAR(16) NOT NULL,
  object VARCHAR(255) NOT NULL,
  columns_json TEXT NOT NULL,
  keys_json TEXT NOT NULL,
  state VARCHAR(16) NOT NULL,
  row_count BIGINT NOT NULL DEFAULT 0,
  kept_at DATETIME(3) NOT NULL,
  who VARCHAR(500) NOT NULL,
  put_back_rows BIGINT,
  ended_at DATETIME(3),
  ended_by VARCHAR(500)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='What undone migrations took away'"""
_STANDING = "SELECT 1 FROM information_schema.TABLES WHERE table_schema = DATABASE() AND table_name = "


class MySQLArchives:
    """The Archives of MySQL and MariaDB."""

    together = False
    holding = archive_hold.TableLocks()
    dry_run = staticmethod(dry_run.run)

    def losses(self, link: Link, downs: Sequence[Script], original: str) -> Losses:
        """Run the scripts on a copy of the tables."""
        return Losses(tuple(map(tuple, losses.find(link, downs, original))))

    def readable(self, link: Link, down: Script) -> Optional[list[Loss]]:
        """Read the script's words."""
        return losses.readable(link, down)

    def exists(self, link: Link) -> bool:
        """Return whether the manifest stands."""
        return bool(link.query(f"{_STANDING}{literal(f'{ARCHIVE_PREFIX}manifest')}"))

    def create(self) -> tuple[str, ...]:
        """Return the manifest."""
        return (_CREATE,)

    def listing(self, condition: str = "") -> str:
        """Return the manifest's lines."""
        shown = MANIFEST.replace("kept_at", "DATE_FORMAT(kept_at, '%Y-%m-%dT%H:%i:%sZ')")
        where = f" WHERE {condition}" if condition else ""
        return f"SELECT {shown} FROM {LISTED} m{where} ORDER BY m.kept_at, m.name"

    def size(self, name: str) -> str:
        """Return the query for an archive's bytes."""
        return (
            "SELECT COALESCE(SUM(data_length + index_length), 0) FROM information_schema.TABLES "
            f"WHERE table_schema = DATABASE() AND table_name = {literal(ARCHIVE_PREFIX + name)}"
        )

    def open(self, archive: Archive, loss: Loss, options: Options) -> tuple[str, ...]:
        """Return an empty table with the columns as they are."""
        columns = ", ".join(map(quoted, copied(loss)))
        number = f"({NUMBER} BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY{_key_index(loss)})"
        words = (archive.name, archive.run_id, archive.migration, archive.kind, archive.table)
        lists = (json.dumps(archive.columns), json.dumps(archive.keys), "copying", options.who)
        return (
            LENIENT,
            f"CREATE TABLE IF NOT EXISTS {table_of(archive.name)} {number} ENGINE=InnoDB "
            f"AS SELECT {columns} FROM {loss.table} WHERE 1 = 0",
            USUAL,
            f"INSERT IGNORE INTO {LISTED} (name, run_id, migration, kind, object, columns_json, keys_json, state, "
            f"who, kept_at) VALUES ({', '.join(map(literal, (*words, *lists)))}, UTC_TIMESTAMP(3))",
        )

    def copy_batch(self, link: Link, archive: Archive, loss: Loss, batch: int) -> int:
        """Copy the next rows behind the last key that is there; the server itself remembers the key."""
        keys = ", ".join(map(quoted, loss.keys))
        marks = [f"@windlass_key_{number}" for number, _ in enumerate(loss.keys)]
        link.run(f"SET {', '.join(f'{mark} = NULL' for mark in marks)}")
        link.query(
            f"SELECT {keys} INTO {', '.join(marks)} FROM {table_of(archive.name)} ORDER BY {NUMBER} DESC LIMIT 1"
        )
        behind = f"({marks[0]} IS NULL OR {_behind(loss.keys, marks)})"
        rows = f"{where(losses.filled(loss, 't.'), behind)} ORDER BY {keys} LIMIT {batch:d}"
        return link.run([LENIENT, f"{into(archive, copied(loss))} {select(loss, copied(loss), 't')}{rows}", USUAL])[1]

    def catch_up(self, archive: Archive, loss: Loss) -> tuple[str, ...]:
        """Return what copies what is missing, and takes out what is another by now.

        Tables have no other names in it than those under which they may be locked.
        """
        table, source, columns = table_of(archive.name), loss.table, copied(loss)
        everything = f"{into(archive, columns)} {select(loss, columns, source)}"
        if not loss.keys:
            return (LENIENT, f"DELETE FROM {table}", everything, USUAL)
        there = second_name(archive)
        same = same_key(loss, source, there)
        equal = " AND ".join(f"{source}.{quoted(name)} <=> {table}.{quoted(name)}" for name in columns)
        gone = f"{source}.{quoted(loss.keys[0])} IS NULL"
        stale = f"DELETE {table} FROM {table} LEFT JOIN {source} ON {equal} WHERE {gone}"
        new = where(losses.filled(loss, f"{source}."), f"{there}.{NUMBER} IS NULL")
        return (LENIENT, stale, f"{everything} LEFT JOIN {table} {there} ON {same}{new}", USUAL)

    def still_empty(self, loss: Loss) -> tuple[str, ...]:
        """Return nothing: no lock outlives a schema change."""
        return ()

    def finish(self, migration: str, run_id: str) -> tuple[str, ...]:
        """Return what marks the archives; their rows were counted when they were copied."""
        mine = f"state = 'copying' AND migration = {literal(migration)}"
        kept = f"state = 'kept', run_id = {literal(run_id)}, kept_at = UTC_TIMESTAMP(3)"
        return (f"UPDATE {LISTED} SET {kept} WHERE {mine}",)

    def put_back(self, link: Link, archive: Archive, first: int, last: int) -> int:
        """Put rows back; automatic times of the rows stay what they are."""
        rows = f"a.{NUMBER} BETWEEN {first:d} AND {last:d}"
        return link.run([LENIENT, _restoring(link, archive, rows), USUAL])[1]

    def put_back_done(self, link: Link, archive: Archive, rows: int) -> None:
        """Mark the archive; AUTO_INCREMENT goes on by itself."""
        link.run(
            f"UPDATE {LISTED} SET state = 'put back', put_back_rows = {rows:d}, ended_at = UTC_TIMESTAMP(3) "
            f"WHERE name = {literal(archive.name)}"
        )

    def highest(self, name: str) -> str:
        """Return the highest row number."""
        return f"SELECT COALESCE(MAX({NUMBER}), 0) FROM {table_of(name)}"

    def page(self, archive: Archive, after: int, limit: int) -> tuple[tuple[str, ...], str]:
        """Return the next rows as texts; what is no text in hexadecimal digits."""
        names = tuple(dict.fromkeys((*archive.keys, *archive.columns)))
        texts = ", ".join(
            f"COALESCE(CONVERT(CAST({quoted(name)} AS CHAR) USING utf8mb4), HEX({quoted(name)}))" for name in names
        )
        rows = f"WHERE {NUMBER} > {after:d} ORDER BY {NUMBER} LIMIT {limit:d}"
        return names, f"SELECT {NUMBER}, {texts} FROM {table_of(archive.name)} {rows}"

    def counted(self, name: str) -> tuple[str, ...]:
        """Return the count as an update."""
        rows = f"(SELECT COUNT(*) FROM {table_of(name)})"
        return (f"UPDATE {LISTED} SET row_count = {rows} WHERE name = {literal(name)}",)

    def purge(self, name: str, who: str) -> tuple[str, ...]:
        """Return what drops the table and notes who did it."""
        note = f"state = 'purged', ended_at = UTC_TIMESTAMP(3), ended_by = {literal(who)}"
        return (
            f"DROP TABLE IF EXISTS {table_of(name)}",
            f"UPDATE {LISTED} SET {note} WHERE name = {literal(name)}",
        )


def _key_index(loss: Loss) -> str:
    return f", KEY windlass_key ({', '.join(map(quoted, loss.keys))})" if loss.keys else ""


def _behind(keys: Sequence[str], marks: Sequence[str]) -> str:
    """Return the condition that a key lies behind the marks, written so that an index serves."""
    ways = [
        " AND ".join([*(f"t.{quoted(k)} = {m}" for k, m in zip(keys[:n], marks)), f"t.{quoted(keys[n])} > {marks[n]}"])
        for n in range(len(keys))
    ]
    return "(" + " OR ".join(f"({way})" for way in ways) + ")"


def _restoring(link: Link, archive: Archive, rows: str) -> str:
    """Return the statement that puts rows back into what the table is today."""
    bare = archive.table[1:-1].replace("``", "`")
    known = {
        str(name): "on update" in str(extra).lower()
        for name, extra in link.query(
            "SELECT column_name, extra FROM information_schema.COLUMNS WHERE table_schema = DATABASE() "
            f"AND COALESCE(generation_expression, '') = '' AND table_name = {literal(bare)}"
        )
    }
    present = [name for name in archive.columns if name in known]
    source = f"{table_of(archive.name)} a"
    if archive.kind != "columns":
        names, values = ", ".join(map(quoted, present)), ", ".join(f"a.{quoted(name)}" for name in present)
        there = " AND ".join(f"t.{quoted(key)} = a.{quoted(key)}" for key in archive.keys)
        missing = f"NOT EXISTS (SELECT 1 FROM {archive.table} t WHERE {there})" if there else ""
        return f"INSERT INTO {archive.table} ({names}) SELECT {values} FROM {source}{where(rows, missing)}"
    same = " AND ".join(f"t.{quoted(key)} = a.{quoted(key)}" for key in archive.keys)
    changes = [f"t.{quoted(name)} = a.{quoted(name)}" for name in present]
    changes += [
        f"t.{quoted(name)} = t.{quoted(name)}" for name, moves in known.items() if moves and name not in present
    ]
    return f"UPDATE {archive.table} t JOIN {source} ON {same} SET {', '.join(changes)} WHERE {rows}"
