"""The journal's SQL for SQL Server: tables in the schema ``windlass``.

Every name is written in full and every constant is an N'' string, times are UTC, and names compare byte by byte: the
journal means the same whatever the database's collation is and whatever a script did to its session.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from ...model import Options, Plan, Step
from .own import Own
from .text import literal

_BINARY = "COLLATE Latin1_General_100_BIN2"
_NAME = f"nvarchar(255) {_BINARY}"
_WORD = f"nvarchar(16) {_BINARY}"
_SCHEMA = "IF SCHEMA_ID(N'windlass') IS NULL EXEC (N'CREATE SCHEMA windlass')"
_HOLDER = """
IF OBJECT_ID(N'windlass.holder') IS NULL CREATE TABLE windlass.holder (
  session_id int NOT NULL,
  application nvarchar(500) NOT NULL,
  since datetime2(3) NOT NULL
)"""
#: What makes the table for the note of who deploys.
HOLDER = (Own(_SCHEMA), Own(_HOLDER))
SCHEMA_TABLE = "windlass.known_schema"
_KNOWN = f"""
IF OBJECT_ID(N'{SCHEMA_TABLE}') IS NULL CREATE TABLE {SCHEMA_TABLE} (
  objects nvarchar(max) NOT NULL,
  fingerprint nvarchar(128) NOT NULL,
  head nvarchar(128) NOT NULL,
  run_id nvarchar(255) NOT NULL,
  who nvarchar(500) NOT NULL,
  at nvarchar(32) NOT NULL
)"""
#: What makes the table of the schema as the last run left it.
MAKE_SCHEMA_TABLE = (Own(_SCHEMA), Own(_KNOWN))
NOW_TEXT = "CONVERT(nvarchar(19), SYSUTCDATETIME(), 126) + N'Z'"
_CREATE = (
    _SCHEMA,
    _HOLDER,
    _KNOWN,
    f"""
IF OBJECT_ID(N'windlass.migrations') IS NULL CREATE TABLE windlass.migrations (
  kind {_WORD} NOT NULL,
  name {_NAME} NOT NULL,
  state {_WORD} NOT NULL,
  checksum nvarchar(128) NOT NULL,
  ordinal bigint NOT NULL,
  statements_total int NOT NULL,
  irreversible nvarchar(max) NOT NULL,
  up_text nvarchar(max) NOT NULL,
  down_text nvarchar(max) NULL,
  verify_text nvarchar(max) NULL,
  applied_at datetime2(3) NOT NULL,
  applied_by nvarchar(500) NOT NULL,
  run_id nvarchar(255) NOT NULL,
  plan_digest nvarchar(128) NOT NULL,
  duration_ms bigint NOT NULL,
  CONSTRAINT windlass_migrations_key PRIMARY KEY (kind, name)
)""",
    f"""
IF OBJECT_ID(N'windlass.statements') IS NULL CREATE TABLE windlass.statements (
  kind {_WORD} NOT NULL,
  name {_NAME} NOT NULL,
  direction {_WORD} NOT NULL,
  number int NOT NULL,
  digest nvarchar(128) NOT NULL,
  started_at datetime2(3) NOT NULL,
  finished_at datetime2(3) NULL,
  position nvarchar(max) NULL,
  rows bigint NOT NULL,
  CONSTRAINT windlass_statements_key PRIMARY KEY (kind, name, direction, number)
)""",
    f"""
IF OBJECT_ID(N'windlass.events') IS NULL CREATE TABLE windlass.events (
  id bigint IDENTITY NOT NULL,
  at datetime2(3) NOT NULL,
  event nvarchar(64) {_BINARY} NOT NULL,
  run_id nvarchar(255) NOT NULL,
  plan_digest nvarchar(128) NOT NULL,
  kind {_WORD} NULL,
  name {_NAME} NULL,
  who nvarchar(500) NOT NULL,
  origin nvarchar(500) NOT NULL,
  duration_ms bigint NULL,
  detail nvarchar(max) NOT NULL,
  CONSTRAINT windlass_events_key PRIMARY KEY (id)
)""",
    """
IF NOT EXISTS (SELECT 1 FROM sys.extended_properties WHERE class = 3 AND major_id = SCHEMA_ID(N'windlass'))
  EXEC sys.sp_addextendedproperty @name = N'MS_Description', @value = N'Windlass journal, format 1',
    @level0type = N'SCHEMA', @level0name = N'windlass'""",
)
_READ = """
SELECT m.name, m.kind, m.state, m.checksum, m.ordinal,
  COALESCE(s.done, CASE m.state WHEN N'applied' THEN m.statements_total ELSE 0 END), m.statements_total,
  COALESCE(p.digest, N''), COALESCE(s.started, 0), m.irreversible, CASE WHEN m.down_text IS NULL THEN 0 ELSE 1 END,
  CONVERT(nvarchar(19), m.applied_at, 126) + N'Z', m.applied_by, m.run_id,
  CASE WHEN m.name IN ({names}) THEN m.up_text ELSE N'' END,
  CASE WHEN m.name IN ({names}) THEN COALESCE(m.down_text, N'') ELSE N'' END,
  CASE WHEN m.name IN ({names}) THEN COALESCE(m.verify_text, N'') ELSE N'' END
FROM windlass.migrations m
LEFT JOIN (
  SELECT x.kind, x.name, x.direction, COUNT(x.finished_at) AS done,
    MAX(CASE WHEN x.finished_at IS NULL THEN x.number END) AS started,
    MAX(CASE WHEN x.finished_at IS NOT NULL THEN x.number END) AS latest
  FROM windlass.statements x GROUP BY x.kind, x.name, x.direction
) s ON s.kind = m.kind AND s.name = m.name AND m.state IN (N'partial', N'reverting')
  AND s.direction = CASE m.state WHEN N'partial' THEN N'up' ELSE N'down' END
LEFT JOIN windlass.statements p
  ON p.kind = s.kind AND p.name = s.name AND p.direction = s.direction AND p.number = s.latest
ORDER BY m.ordinal
"""
_EVENTS = """
SELECT TOP ({limit}) CONVERT(nvarchar(19), at, 126) + N'Z', event, run_id, plan_digest, COALESCE(kind, N''),
  COALESCE(name, N''), who, origin, COALESCE(duration_ms, 0), detail
FROM windlass.events ORDER BY id DESC
"""
_NOW = "SYSUTCDATETIME()"
#: Milliseconds since the transaction was opened (see :data:`BEGAN`).
_ELAPSED = f"COALESCE(DATEDIFF_BIG(millisecond, CAST(SESSION_CONTEXT(N'windlass.began') AS datetime2(3)), {_NOW}), 0)"
#: What notes when a transaction begins.
BEGAN = (
    f"DECLARE @windlass_began datetime2(3) = {_NOW}; EXEC sys.sp_set_session_context N'windlass.began', @windlass_began"
)


def _elapsed(duration_ms: Optional[int]) -> str:
    """Return a duration as SQL: the one given, else the transaction's own age."""
    return _ELAPSED if duration_ms is None else str(duration_ms)


def _direction(step: Step) -> str:
    """Return the journal's word for which script of a migration runs."""
    return "down" if step.action == "revert" else "up"


def _down(step: Step) -> str:
    """Return the assignment that keeps the down script that ran: it need not be the one kept before."""
    return f"down_text = {literal(step.script.text)}"


def _key(step: Step) -> str:
    """Return the condition that picks a step's row."""
    return f"kind = {literal(step.kind)} AND name = {literal(step.name)}"


def _statement_key(step: Step, number: int) -> str:
    """Return the condition that picks one statement's row."""
    return f"{_key(step)} AND direction = N'{_direction(step)}' AND number = {number:d}"


class SQLServerJournal:
    """The JournalWriter of SQL Server."""

    def create(self) -> Sequence[str]:
        """Return DDL that makes the journal where it is missing, all or nothing."""
        return (Own("BEGIN TRANSACTION", opens=True), *map(Own, _CREATE), "COMMIT")

    def read(self, texts_of: Sequence[str] = ()) -> str:
        """Return the one query that reads the journal, with the texts of the named entries only."""
        return Own(_READ.format(names=", ".join(literal(name) for name in texts_of) or "NULL"))

    def prepare(self) -> tuple[str, ...]:
        """Return nothing: the server keeps plans of its own."""
        return ()

    def applied(
        self, plan: Plan, step: Step, options: Options, prepared: bool = False, duration_ms: Optional[int] = None
    ) -> tuple[str, ...]:
        """Return what records a whole step and its event."""
        word = {"baseline": "baselined", "reapply": "reapplied"}.get(step.action, "applied")
        elapsed = _elapsed(duration_ms)
        event = self._event(word, plan, step, options, step.script.checksum, elapsed)
        return self._row(plan, step, options, "applied", elapsed), event

    def applied_together(self, plan: Plan, done: Sequence[tuple[Step, int]], options: Options) -> tuple[str, ...]:
        """Return what records steps of one transaction, each with its duration in milliseconds."""
        return tuple(sql for step, ms in done for sql in self.applied(plan, step, options, duration_ms=ms))

    def reverted(self, plan: Plan, step: Step, options: Options, duration_ms: Optional[int] = None) -> tuple[str, ...]:
        """Return what records an undone step and its event; its texts stay for later."""
        update = Own(f"UPDATE windlass.migrations SET state = N'reverted', {_down(step)} WHERE {_key(step)}")
        clear = Own(f"DELETE FROM windlass.statements WHERE {_key(step)}")
        # A repeatable may have lost an object that stood on this migration, though its text is the same.
        again = Own(
            "UPDATE windlass.migrations SET state = N'reverted' WHERE kind = N'repeatable' AND state = N'applied'"
        )
        event = self._event("reverted", plan, step, options, step.script.checksum, _elapsed(duration_ms))
        return (update, clear, again, event)

    def opened(self, plan: Plan, step: Step, options: Options) -> tuple[str, ...]:
        """Return what records that a statement-by-statement step begins or goes on."""
        if _direction(step) == "down":
            mark = Own(f"UPDATE windlass.migrations SET state = N'reverting', {_down(step)} WHERE {_key(step)}")
        else:
            mark = self._row(plan, step, options, "partial", "0")
        # Rows of an earlier life of this migration (applied, undone, applied again) are not this run's.
        stale = () if step.resumed else (Own(f"DELETE FROM windlass.statements WHERE {_key(step)}"),)
        began = self._event("began", plan, step, options, step.action)
        return (Own("BEGIN TRANSACTION", opens=True), mark, *stale, began, "COMMIT")

    def statement_started(self, step: Step, number: int, digest: str) -> str:
        """Return the mark before a statement; a second try keeps the first row."""
        change = f"digest = {literal(digest)}, started_at = {_NOW}"
        return self._mark(step, number, change, f"{literal(digest)}, {_NOW}, NULL, 0")

    def statement_failed(self, step: Step, number: int) -> str:
        """Return what takes the mark before a statement back."""
        return Own(f"DELETE FROM windlass.statements WHERE {_statement_key(step, number)} AND finished_at IS NULL")

    def statement_done(self, step: Step, number: int, digest: str, rows: int) -> str:
        """Return the mark after a statement, whether or not its start was marked."""
        change = f"digest = {literal(digest)}, finished_at = {_NOW}, rows = rows + {rows:d}"
        return self._mark(step, number, change, f"{literal(digest)}, {_NOW}, {_NOW}, {rows:d}")

    def position(self, step: Step, number: int, key: str, rows: int) -> str:
        """Return the mark after a batch of a backfill."""
        return Own(
            f"UPDATE windlass.statements SET position = {literal(key)}, rows = rows + {rows:d} "
            f"WHERE {_statement_key(step, number)}"
        )

    def read_position(self, step: Step, number: int) -> str:
        """Return the query for (last key, rows) of a backfill."""
        return Own(f"SELECT position, rows FROM windlass.statements WHERE {_statement_key(step, number)}")

    def event(
        self, event: str, plan: Plan, step: Optional[Step], options: Options, detail: str,
        duration_ms: Optional[int] = None,
    ) -> str:  # fmt: skip
        """Return a row of the event log."""
        return self._event(event, plan, step, options, detail, "NULL" if duration_ms is None else str(duration_ms))

    def last_events(self, event: str) -> str:
        """Return the query for (name, seconds since the last such event of that name)."""
        return Own(
            f"SELECT name, DATEDIFF(second, MAX(at), {_NOW}) FROM windlass.events "
            f"WHERE event = {literal(event)} GROUP BY name"
        )

    def events(self, limit: int) -> str:
        """Return the query for the newest events, newest first."""
        return Own(_EVENTS.format(limit=int(limit)))

    def _mark(self, step: Step, number: int, change: str, fresh: str) -> Own:
        """Return what changes a statement's row, or adds it.  Only one deployer writes: nobody comes in between."""
        key = f"{literal(step.kind)}, {literal(step.name)}, N'{_direction(step)}', {number:d}"
        return Own(
            f"UPDATE windlass.statements SET {change} WHERE {_statement_key(step, number)}; IF @@ROWCOUNT = 0 "
            "INSERT INTO windlass.statements (kind, name, direction, number, digest, started_at, finished_at, rows) "
            f"VALUES ({key}, {fresh})"
        )

    def _row(self, plan: Plan, step: Step, options: Options, state: str, elapsed: str) -> Own:
        """Return the row of a step, new or once more; it gets the next ordinal either way.  ``elapsed`` is SQL."""
        values = {
            "state": f"N'{state}'",
            "checksum": literal(step.script.checksum),
            "ordinal": "(SELECT COALESCE(MAX(m.ordinal), 0) + 1 FROM windlass.migrations m)",
            "statements_total": str(len(step.script.statements)),
            "irreversible": literal("" if step.reversible else step.script.directives.irreversible),
            "up_text": literal(step.script.text),
            "down_text": literal(step.down.text if step.down else None),
            "verify_text": literal(step.verify.text if step.verify else None),
            "applied_at": _NOW,
            "applied_by": literal(options.who),
            "run_id": literal(options.run_id),
            "plan_digest": literal(plan.digest),
            "duration_ms": elapsed,
        }
        row = {"kind": literal(step.kind), "name": literal(step.name), **values}
        return Own(
            f"DELETE FROM windlass.migrations WHERE {_key(step)}; "
            f"INSERT INTO windlass.migrations ({', '.join(row)}) VALUES ({', '.join(row.values())})"
        )

    def _event(
        self, event: str, plan: Plan, step: Optional[Step], options: Options, detail: str, elapsed: str = "NULL"
    ) -> Own:
        """Return the INSERT of an event; ``elapsed`` is SQL."""
        values = {
            "at": _NOW,
            "event": literal(event),
            "run_id": literal(options.run_id),
            "plan_digest": literal(plan.digest),
            "kind": literal(step.kind if step else None),
            "name": literal(step.name if step else None),
            "who": literal(options.who),
            "origin": literal(options.origin),
            "duration_ms": elapsed,
            "detail": literal(detail[:4000]),
        }
        return Own(f"INSERT INTO windlass.events ({', '.join(values)}) VALUES ({', '.join(values.values())})")
