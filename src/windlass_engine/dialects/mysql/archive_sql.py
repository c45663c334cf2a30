"""Archives of MySQL and MariaDB: tables with the prefix ``windlass_archive_`` in the database itself.

Columns keep their types, which stand on nothing else here.  Schema changes commit by themselves, so the copy is made
before the script runs; what is written between the last look and the statement that drops it is not in it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Optional

from ...model import Archive, Loss, Losses, Options, Script
from ..archives import MANIFEST
from ..link import Link
from . import losses
from .journal_sql import ARCHIVE_PREFIX
from .text import literal, quoted

_MANIFEST = quoted(f"{ARCHIVE_PREFIX}manifest")
_NUMBER = "windlass_row"
#: Dates such as 0000-00-00 and whatever else stands in a table must be let into a copy of it.
_LENIENT = "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'"
_USUAL = "SET SESSION sql_mode = DEFAULT"
_CREATE = f"""
CREATE TABLE IF NOT EXISTS {_MANIFEST} (
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
        return f"SELECT {shown} FROM {_MANIFEST} m{where} ORDER BY m.kept_at, m.name"

    def size(self, name: str) -> str:
        """Return the query for an archive's bytes."""
        return (
            "SELECT COALESCE(SUM(data_length + index_length), 0) FROM information_schema.TABLES "
            f"WHERE table_schema = DATABASE() AND table_name = {literal(ARCHIVE_PREFIX + name)}"
        )

    def open(self, archive: Archive, loss: Loss, options: Options) -> tuple[str, ...]:
        """Return an empty table with the columns as they are."""
        columns = ", ".join(map(quoted, _copied(loss)))
        number = f"({_NUMBER} BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY{_key_index(loss)})"
        words = (archive.name, archive.run_id, archive.migration, archive.kind, archive.table)
        lists = (json.dumps(archive.columns), json.dumps(archive.keys), "copying", options.who)
        return (
            _LENIENT,
            f"CREATE TABLE IF NOT EXISTS {_table(archive.name)} {number} ENGINE=InnoDB "
            f"AS SELECT {columns} FROM {loss.table} WHERE 1 = 0",
            _USUAL,
            f"INSERT IGNORE INTO {_MANIFEST} (name, run_id, migration, kind, object, columns_json, keys_json, state, "
            f"who, kept_at) VALUES ({', '.join(map(literal, (*words, *lists)))}, UTC_TIMESTAMP(3))",
        )

    def copy_batch(self, link: Link, archive: Archive, loss: Loss, batch: int) -> int:
        """Copy the next rows behind the last key that is there; the server itself remembers the key."""
        keys = ", ".join(map(quoted, loss.keys))
        marks = [f"@windlass_key_{number}" for number, _ in enumerate(loss.keys)]
        link.run(f"SET {', '.join(f'{mark} = NULL' for mark in marks)}")
        link.query(f"SELECT {keys} INTO {', '.join(marks)} FROM {_table(archive.name)} ORDER BY {_NUMBER} DESC LIMIT 1")
        behind = f"({marks[0]} IS NULL OR {_behind(loss.keys, marks)})"
        rows = f"{loss.table} t{_where(losses.filled(loss, 't.'), behind)} ORDER BY {keys} LIMIT {batch:d}"
        return link.run([_LENIENT, f"{_into(archive, loss)} {_select(loss)} FROM {rows}", _USUAL])[1]

    def catch_up(self, archive: Archive, loss: Loss) -> tuple[str, ...]:
        """Return what copies what is missing, and takes out what is another by now."""
        table = _table(archive.name)
        if not loss.keys:
            everything = f"{_into(archive, loss)} {_select(loss)} FROM {loss.table} t"
            return (_LENIENT, f"DELETE FROM {table}", everything, _USUAL)
        same = " AND ".join(f"t.{quoted(key)} = a.{quoted(key)}" for key in loss.keys)
        equal = " AND ".join(f"t.{quoted(name)} <=> a.{quoted(name)}" for name in _copied(loss))
        stale = f"DELETE a FROM {table} a LEFT JOIN {loss.table} t ON {equal} WHERE t.{quoted(loss.keys[0])} IS NULL"
        missing = f"LEFT JOIN {table} a ON {same}{_where(losses.filled(loss, 't.'), f'a.{_NUMBER} IS NULL')}"
        return (_LENIENT, stale, f"{_into(archive, loss)} {_select(loss)} FROM {loss.table} t {missing}", _USUAL)

    def still_empty(self, loss: Loss) -> tuple[str, ...]:
        """Return nothing: no lock outlives a schema change."""
        return ()

    def finish(self, migration: str, run_id: str) -> tuple[str, ...]:
        """Return what marks the archives; their rows were counted when they were copied."""
        mine = f"state = 'copying' AND migration = {literal(migration)}"
        kept = f"state = 'kept', run_id = {literal(run_id)}, kept_at = UTC_TIMESTAMP(3)"
        return (f"UPDATE {_MANIFEST} SET {kept} WHERE {mine}",)

    def put_back(self, link: Link, archive: Archive, first: int, last: int) -> int:
        """Put rows back; automatic times of the rows stay what they are."""
        rows = f"a.{_NUMBER} BETWEEN {first:d} AND {last:d}"
        return link.run([_LENIENT, _restoring(link, archive, rows), _USUAL])[1]

    def put_back_done(self, link: Link, archive: Archive, rows: int) -> None:
        """Mark the archive; AUTO_INCREMENT goes on by itself."""
        link.run(
            f"UPDATE {_MANIFEST} SET state = 'put back', put_back_rows = {rows:d}, ended_at = UTC_TIMESTAMP(3) "
            f"WHERE name = {literal(archive.name)}"
        )

    def highest(self, name: str) -> str:
        """Return the highest row number."""
        return f"SELECT COALESCE(MAX({_NUMBER}), 0) FROM {_table(name)}"

    def page(self, archive: Archive, after: int, limit: int) -> tuple[tuple[str, ...], str]:
        """Return the next rows as texts; what is no text in hexadecimal digits."""
        names = tuple(dict.fromkeys((*archive.keys, *archive.columns)))
        texts = ", ".join(
            f"COALESCE(CONVERT(CAST({quoted(name)} AS CHAR) USING utf8mb4), HEX({quoted(name)}))" for name in names
        )
        rows = f"WHERE {_NUMBER} > {after:d} ORDER BY {_NUMBER} LIMIT {limit:d}"
        return names, f"SELECT {_NUMBER}, {texts} FROM {_table(archive.name)} {rows}"

    def counted(self, name: str) -> tuple[str, ...]:
        """Return the count as an update."""
        rows = f"(SELECT COUNT(*) FROM {_table(name)})"
        return (f"UPDATE {_MANIFEST} SET row_count = {rows} WHERE name = {literal(name)}",)

    def purge(self, name: str, who: str) -> tuple[str, ...]:
        """Return what drops the table and notes who did it."""
        note = f"state = 'purged', ended_at = UTC_TIMESTAMP(3), ended_by = {literal(who)}"
        return (f"DROP TABLE IF EXISTS {_table(name)}", f"UPDATE {_MANIFEST} SET {note} WHERE name = {literal(name)}")


def _table(name: str) -> str:
    return quoted(ARCHIVE_PREFIX + name)


def _copied(loss: Loss) -> tuple[str, ...]:
    """Return the names of the columns to copy: keys, and what is lost."""
    return tuple(dict.fromkeys((*loss.keys, *loss.columns)))


def _key_index(loss: Loss) -> str:
    return f", KEY windlass_key ({', '.join(map(quoted, loss.keys))})" if loss.keys else ""


def _into(archive: Archive, loss: Loss) -> str:
    return f"INSERT INTO {_table(archive.name)} ({', '.join(map(quoted, _copied(loss)))})"


def _select(loss: Loss) -> str:
    return "SELECT " + ", ".join(f"t.{quoted(name)}" for name in _copied(loss))


def _where(*conditions: str) -> str:
    found = " AND ".join(filter(None, conditions))
    return f" WHERE {found}" if found else ""


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
    source = f"{_table(archive.name)} a"
    if archive.kind != "columns":
        names, values = ", ".join(map(quoted, present)), ", ".join(f"a.{quoted(name)}" for name in present)
        there = " AND ".join(f"t.{quoted(key)} = a.{quoted(key)}" for key in archive.keys)
        missing = f"NOT EXISTS (SELECT 1 FROM {archive.table} t WHERE {there})" if there else ""
        return f"INSERT INTO {archive.table} ({names}) SELECT {values} FROM {source}{_where(rows, missing)}"
    same = " AND ".join(f"t.{quoted(key)} = a.{quoted(key)}" for key in archive.keys)
    changes = [f"t.{quoted(name)} = a.{quoted(name)}" for name in present]
    changes += [
        f"t.{quoted(name)} = t.{quoted(name)}" for name, moves in known.items() if moves and name not in present
    ]
    return f"UPDATE {archive.table} t JOIN {source} ON {same} SET {', '.join(changes)} WHERE {rows}"
