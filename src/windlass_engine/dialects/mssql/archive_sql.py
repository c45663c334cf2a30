"""Archives of SQL Server: tables in the schema ``windlass_archive``, whose columns have plain types of the server.

An alias type of the database's own would stand in the way of dropping it.  Copying and undoing are one transaction;
what large tables hold is copied before it in batches, and inside only what has changed since.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Optional

from ...model import Archive, Loss, Losses, Options, Script
from ..archives import MANIFEST
from ..link import Link
from . import losses
from .own import Own
from .text import literal, quoted

_SCHEMA = "windlass_archive"
_MANIFEST = f"{_SCHEMA}.manifest"
_NUMBER = "windlass_row"
_BINARY = "COLLATE Latin1_General_100_BIN2"
_CREATE = (
    f"IF SCHEMA_ID(N'{_SCHEMA}') IS NULL EXEC (N'CREATE SCHEMA {_SCHEMA}')",
    f"""
IF OBJECT_ID(N'{_MANIFEST}') IS NULL CREATE TABLE {_MANIFEST} (
  name nvarchar(128) {_BINARY} NOT NULL,
  run_id nvarchar(255) {_BINARY} NOT NULL,
  migration nvarchar(255) {_BINARY} NOT NULL,
  kind nvarchar(16) NOT NULL,
  object nvarchar(600) NOT NULL,
  columns_json nvarchar(max) NOT NULL,
  keys_json nvarchar(max) NOT NULL,
  state nvarchar(16) {_BINARY} NOT NULL,
  row_count bigint NOT NULL,
  kept_at datetime2(3) NOT NULL,
  who nvarchar(500) NOT NULL,
  put_back_rows bigint NULL,
  ended_at datetime2(3) NULL,
  ended_by nvarchar(500) NULL,
  CONSTRAINT windlass_archive_manifest_key PRIMARY KEY (name)
)""",
)
#: A column's plain type as SQL.
_TYPE = """COALESCE(b.name, y.name) + CASE
    WHEN COALESCE(b.name, y.name) IN (N'char', N'varchar', N'binary', N'varbinary')
      THEN N'(' + CASE c.max_length WHEN -1 THEN N'max' ELSE CONVERT(nvarchar(10), c.max_length) END + N')'
    WHEN COALESCE(b.name, y.name) IN (N'nchar', N'nvarchar')
      THEN N'(' + CASE c.max_length WHEN -1 THEN N'max' ELSE CONVERT(nvarchar(10), c.max_length / 2) END + N')'
    WHEN b.name IN (N'decimal', N'numeric')
      THEN N'(' + CONVERT(nvarchar(10), c.precision) + N', ' + CONVERT(nvarchar(10), c.scale) + N')'
    WHEN b.name IN (N'datetime2', N'datetimeoffset', N'time') THEN N'(' + CONVERT(nvarchar(10), c.scale) + N')'
    ELSE N'' END + COALESCE(N' COLLATE ' + c.collation_name, N'')"""
#: Makes an archive's table with the columns that stand in the one whose rows it keeps.
_OPEN = """
DECLARE @columns nvarchar(max);
SELECT @columns = STRING_AGG(CAST(QUOTENAME(c.name) + N' '
  + CASE b.name WHEN N'timestamp' THEN N'binary(8)' ELSE {type} END + N' NULL' AS nvarchar(max)), N', ')
FROM sys.columns c JOIN sys.types y ON y.user_type_id = c.user_type_id
LEFT JOIN sys.types b ON b.user_type_id = c.system_type_id
WHERE c.object_id = OBJECT_ID({table}) AND c.name IN ({names});
IF OBJECT_ID({archive}) IS NULL BEGIN
  SET @columns = {head} + N', ' + @columns + N')';
  EXEC sys.sp_executesql @columns;
END"""
#: Shows an archive's rows as texts that lose nothing, each type in its way.
_PAGE = """
DECLARE @query nvarchar(max);
SELECT @query = STRING_AGG(CAST(N'CONVERT(nvarchar(max), ' + QUOTENAME(c.name) + CASE
    WHEN y.name IN (N'binary', N'varbinary', N'image') THEN N', 1)'
    WHEN y.name IN (N'date', N'datetime', N'datetime2', N'datetimeoffset', N'smalldatetime', N'time') THEN N', 121)'
    WHEN y.name IN (N'float', N'real') THEN N', 3)' WHEN y.name IN (N'money', N'smallmoney') THEN N', 2)'
    ELSE N')' END AS nvarchar(max)), N', ') WITHIN GROUP (ORDER BY {order})
FROM sys.columns c JOIN sys.types y ON y.user_type_id = c.user_type_id
WHERE c.object_id = OBJECT_ID({archive}) AND c.name IN ({names});
SET @query = N'SELECT TOP ({limit:d}) {number}, ' + @query + N' FROM ' + {archive}
  + N' WHERE {number} > {after:d} ORDER BY {number}';
EXEC sys.sp_executesql @query"""
_COLUMNS = """
SELECT c.name, CAST(c.is_identity AS int) FROM sys.columns c
WHERE c.object_id = OBJECT_ID({table}) AND c.is_computed = 0 AND TYPE_NAME(c.system_type_id) <> N'timestamp'
"""
_TRIGGERS = """
SELECT g.name FROM sys.triggers g WHERE g.parent_id = OBJECT_ID({table}) AND g.is_disabled = 0 AND g.is_ms_shipped = 0
"""


class SQLServerArchives:
    """The Archives of SQL Server."""

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
        return bool(link.query(Own(f"SELECT 1 WHERE OBJECT_ID(N'{_MANIFEST}') IS NOT NULL")))

    def create(self) -> tuple[str, ...]:
        """Return the schema and its manifest."""
        return tuple(map(Own, _CREATE))

    def listing(self, condition: str = "") -> str:
        """Return the manifest's lines."""
        told = MANIFEST.replace("kept_at", "CONVERT(nvarchar(19), kept_at, 126) + N'Z'")
        where = f" WHERE {condition}" if condition else ""
        return Own(f"SELECT {told} FROM {_MANIFEST} m{where} ORDER BY m.kept_at, m.name")

    def size(self, name: str) -> str:
        """Return the query for an archive's bytes."""
        return Own(
            "SELECT COALESCE(SUM(a.total_pages), 0) * 8192 FROM sys.partitions p JOIN sys.allocation_units a "
            "ON a.container_id = CASE WHEN a.type IN (1, 3) THEN p.hobt_id ELSE p.partition_id END "
            f"WHERE p.object_id = OBJECT_ID({literal(_table(name))})"
        )

    def open(self, archive: Archive, loss: Loss, options: Options) -> tuple[str, ...]:
        """Return an empty table with plain types, and its line."""
        head = f"CREATE TABLE {_table(archive.name)} ({_NUMBER} bigint IDENTITY NOT NULL PRIMARY KEY"
        make = _OPEN.format(
            type=_TYPE, table=literal(loss.table), names=_listed(_copied(loss)), head=literal(head),
            archive=literal(_table(archive.name)),
        )  # fmt: skip
        words = (archive.name, archive.run_id, archive.migration, archive.kind, archive.table)
        lists = (json.dumps(archive.columns), json.dumps(archive.keys), "copying", options.who)
        return (
            Own(f"EXEC sys.sp_executesql {literal(make)}"),
            Own(
                f"INSERT INTO {_MANIFEST} (name, run_id, migration, kind, object, columns_json, keys_json, state, who, "
                f"row_count, kept_at) SELECT {', '.join(map(literal, (*words, *lists)))}, 0, SYSUTCDATETIME() "
                f"WHERE NOT EXISTS (SELECT 1 FROM {_MANIFEST} WHERE name = {literal(archive.name)})"
            ),
        )

    def copy_batch(self, link: Link, archive: Archive, loss: Loss, batch: int) -> int:
        """Copy the next rows behind the last key that is there."""
        keys = [quoted(key) for key in loss.keys]
        last = f"(SELECT TOP (1) {', '.join(keys)} FROM {_table(archive.name)} ORDER BY {_NUMBER} DESC) last"
        behind = f"(last.{keys[0]} IS NULL OR {_behind(keys)})"
        rows = f"{loss.table} t LEFT JOIN {last} ON 1 = 1{losses.where(losses.filled(loss), behind)}"
        ordered = ", ".join(f"t.{key}" for key in keys)
        return link.run(Own(f"{_into(archive, loss)} {_select(loss, batch)} FROM {rows} ORDER BY {ordered}"))[0]

    def catch_up(self, archive: Archive, loss: Loss) -> tuple[str, ...]:
        """Return what keeps writers out, takes out what is another by now, and copies what is missing."""
        table = _table(archive.name)
        if not loss.keys:
            everything = f"{_into(archive, loss)} {_select(loss)} FROM {loss.table} t"
            return (_hold(loss), Own(f"DELETE FROM {table}"), Own(everything))
        same = " AND ".join(f"t.{quoted(key)} = a.{quoted(key)}" for key in loss.keys)
        ours, theirs = (", ".join(f"{side}.{quoted(name)}" for name in _copied(loss)) for side in "ta")
        equal = f"{same} AND EXISTS (SELECT {ours} INTERSECT SELECT {theirs})"
        stale = f"DELETE a FROM {table} a WHERE NOT EXISTS (SELECT 1 FROM {loss.table} t WHERE {equal})"
        missing = losses.where(losses.filled(loss), f"NOT EXISTS (SELECT 1 FROM {table} a WHERE {same})")
        return (_hold(loss), Own(stale), Own(f"{_into(archive, loss)} {_select(loss)} FROM {loss.table} t{missing}"))

    def still_empty(self, loss: Loss) -> tuple[str, ...]:
        """Return a lock, and a look that fails as a lock does: then the whole is tried again."""
        refusal = "THROW 51222, N'rows were written while nothing was to be archived', 1"
        rows = f"{loss.table} t WITH (TABLOCK, HOLDLOCK){losses.where(losses.filled(loss))}"
        return (Own(f"IF EXISTS (SELECT 1 FROM {rows}) BEGIN; {refusal}; END"),)

    def finish(self, migration: str, run_id: str) -> tuple[str, ...]:
        """Return what marks the archives; their rows were counted when they were copied."""
        kept = f"state = N'kept', run_id = {literal(run_id)}, kept_at = SYSUTCDATETIME()"
        return (Own(f"UPDATE {_MANIFEST} SET {kept} WHERE state = N'copying' AND migration = {literal(migration)}"),)

    def put_back(self, link: Link, archive: Archive, first: int, last: int) -> int:
        """Put rows back with the table's own triggers asleep: they were at work when the rows were written."""
        names = [quoted(str(name)) for (name,) in link.query(Own(_TRIGGERS.format(table=literal(archive.table))))]
        asleep = [Own(f"DISABLE TRIGGER {name} ON {archive.table}") for name in names]
        awake = [Own(f"ENABLE TRIGGER {name} ON {archive.table}") for name in names]
        sql = _restoring(link, archive, f"a.{_NUMBER} BETWEEN {first:d} AND {last:d}")
        return link.run([Own("BEGIN TRANSACTION", opens=True), *asleep, sql, *awake, "COMMIT"])[0]

    def put_back_done(self, link: Link, archive: Archive, rows: int) -> None:
        """Mark the archive; identities go on by themselves."""
        link.run(
            Own(
                f"UPDATE {_MANIFEST} SET state = N'put back', put_back_rows = {rows:d}, ended_at = SYSUTCDATETIME() "
                f"WHERE name = {literal(archive.name)}"
            )
        )

    def highest(self, name: str) -> str:
        """Return the highest row number."""
        return Own(f"SELECT COALESCE(MAX({_NUMBER}), 0) FROM {_table(name)}")

    def page(self, archive: Archive, after: int, limit: int) -> tuple[tuple[str, ...], str]:
        """Return the next rows as texts."""
        names = tuple(dict.fromkeys((*archive.keys, *archive.columns)))
        order = " ".join(f"WHEN {literal(name)} THEN {place:d}" for place, name in enumerate(names))
        told = {"names": _listed(names), "archive": literal(_table(archive.name)), "number": _NUMBER}
        told["order"] = f"CASE c.name {order} END"
        return names, Own(_PAGE.format(after=after, limit=limit, **told))

    def counted(self, name: str) -> tuple[str, ...]:
        """Return the count as an update."""
        rows = f"(SELECT COUNT_BIG(*) FROM {_table(name)})"
        return (Own(f"UPDATE {_MANIFEST} SET row_count = {rows} WHERE name = {literal(name)}"),)

    def purge(self, name: str, who: str) -> tuple[str, ...]:
        """Return what drops the table and notes who did it."""
        note = f"state = N'purged', ended_at = SYSUTCDATETIME(), ended_by = {literal(who)}"
        update = f"UPDATE {_MANIFEST} SET {note} WHERE name = {literal(name)}"
        drop = Own(f"DROP TABLE IF EXISTS {_table(name)}")
        return (Own("BEGIN TRANSACTION", opens=True), drop, Own(update), "COMMIT")


def _table(name: str) -> str:
    return f"{_SCHEMA}.{quoted(name)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(literal, names))


def _copied(loss: Loss) -> tuple[str, ...]:
    """Return the names of the columns to copy: keys, and what is lost."""
    return tuple(dict.fromkeys((*loss.keys, *loss.columns)))


def _into(archive: Archive, loss: Loss) -> str:
    return f"INSERT INTO {_table(archive.name)} ({', '.join(map(quoted, _copied(loss)))})"


def _select(loss: Loss, limit: int = 0) -> str:
    columns = ", ".join(f"t.{quoted(name)}" for name in _copied(loss))
    return f"SELECT TOP ({limit:d}) {columns}" if limit else f"SELECT {columns}"


def _hold(loss: Loss) -> Own:
    """Return what keeps writers of a table away to the end of the transaction."""
    return Own(f"IF EXISTS (SELECT 1 FROM {loss.table} WITH (TABLOCK, HOLDLOCK)) SET NOCOUNT OFF")


def _behind(keys: Sequence[str]) -> str:
    """Return the condition that a key lies behind the last one."""
    ways = [
        " AND ".join([*(f"t.{key} = last.{key}" for key in keys[:n]), f"t.{keys[n]} > last.{keys[n]}"])
        for n in range(len(keys))
    ]
    return "(" + " OR ".join(f"({way})" for way in ways) + ")"


def _restoring(link: Link, archive: Archive, rows: str) -> Own:
    """Return the statement that puts rows back into what the table is today."""
    found = link.query(Own(_COLUMNS.format(table=literal(archive.table))))
    known = {str(name): bool(is_identity) for name, is_identity in found}
    present = [name for name in archive.columns if name in known]
    source = f"{_table(archive.name)} a"
    same = " AND ".join(f"t.{quoted(key)} = a.{quoted(key)}" for key in archive.keys)
    if archive.kind == "columns":
        changes = ", ".join(f"{quoted(name)} = a.{quoted(name)}" for name in present if not known[name])
        return Own(f"UPDATE t SET {changes} FROM {archive.table} t JOIN {source} ON {same} WHERE {rows}")
    names, values = ", ".join(map(quoted, present)), ", ".join(f"a.{quoted(name)}" for name in present)
    missing = f"NOT EXISTS (SELECT 1 FROM {archive.table} t WHERE {same})" if same else ""
    insert = f"INSERT INTO {archive.table} ({names}) SELECT {values} FROM {source}{losses.where(rows, missing)}"
    if not any(known[name] for name in present):
        return Own(insert)
    switch = f"SET IDENTITY_INSERT {archive.table}"
    return Own(f"{switch} ON; {insert}; {switch} OFF")
