"""The journal's SQL for MySQL and MariaDB: tables with the prefix ``windlass_`` in the database itself.

Every constant is plain ASCII that means the same under every ``sql_mode`` and character set, and times are UTC: the
journal means the same whatever a script did to its session.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from ...model import Options, Plan, Step
from .text import literal

TABLES = ("windlass_migrations", "windlass_statements", "windlass_events", "windlass_holder", "windlass_schema")
#: Begins the names of archives and of their manifest, which are no part of the schema either.
ARCHIVE_PREFIX = "windlass_archive_"
_ENGINE = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
MAKE_SCHEMA_TABLE = f"""
CREATE TABLE IF NOT EXISTS windlass_schema (
  objects LONGTEXT NOT NULL,
  fingerprint VARCHAR(128) NOT NULL,
  head VARCHAR(128) NOT NULL,
  run_id VARCHAR(255) NOT NULL,
  who VARCHAR(500) NOT NULL,
  at VARCHAR(32) NOT NULL,
  number INT NOT NULL DEFAULT 1 PRIMARY KEY
) {_ENGINE} COMMENT='Windlass journal: the schema after the last run'"""
NOW_TEXT = "DATE_FORMAT(UTC_TIMESTAMP(), '%Y-%m-%dT%H:%i:%sZ')"
#: The table of migrations comes last: where it stands, the others do, though each commits by itself.
_CREATE = (
    MAKE_SCHEMA_TABLE,
    f"""
CREATE TABLE IF NOT EXISTS windlass_statements (
  kind VARCHAR(16) NOT NULL,
  name VARCHAR(255) NOT NULL,
  direction VARCHAR(8) NOT NULL,
  number INT NOT NULL,
  digest VARCHAR(128) NOT NULL,
  started_at DATETIME(3) NOT NULL,
  finished_at DATETIME(3),
  position TEXT,
  `rows` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (kind, name, direction, number)
) {_ENGINE} COMMENT='Windlass journal: how far'""",
    f"""
CREATE TABLE IF NOT EXISTS windlass_events (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  at DATETIME(3) NOT NULL,
  event VARCHAR(64) NOT NULL,
  run_id VARCHAR(255) NOT NULL,
  plan_digest VARCHAR(128) NOT NULL,
  kind VARCHAR(16),
  name VARCHAR(255),
  who VARCHAR(500) NOT NULL,
  origin VARCHAR(500) NOT NULL,
  duration_ms BIGINT,
  detail TEXT NOT NULL
) {_ENGINE} COMMENT='Windlass journal: who did what'""",
    f"""
CREATE TABLE IF NOT EXISTS windlass_migrations (
  kind VARCHAR(16) NOT NULL,
  name VARCHAR(255) NOT NULL,
  state VARCHAR(16) NOT NULL,
  checksum VARCHAR(128) NOT NULL,
  ordinal BIGINT NOT NULL,
  statements_total INT NOT NULL,
  irreversible TEXT NOT NULL,
  up_text LONGTEXT NOT NULL,
  down_text LONGTEXT,
  verify_text LONGTEXT,
  applied_at DATETIME(3) NOT NULL,
  applied_by VARCHAR(500) NOT NULL,
  run_id VARCHAR(255) NOT NULL,
  plan_digest VARCHAR(128) NOT NULL,
  duration_ms BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (kind, name)
) {_ENGINE} COMMENT='Windlass journal, format 1'""",
)
_READ = """
SELECT m.name, m.kind, m.state, m.checksum, m.ordinal,
  CAST(COALESCE(s.done, IF(m.state = 'applied', m.statements_total, 0)) AS SIGNED), m.statements_total,
  COALESCE(p.digest, ''), CAST(COALESCE(s.started, 0) AS SIGNED), m.irreversible, m.down_text IS NOT NULL,
  DATE_FORMAT(m.applied_at, '%Y-%m-%dT%H:%i:%sZ'), m.applied_by, m.run_id,
  IF(m.name IN ({names}), m.up_text, ''), IF(m.name IN ({names}), COALESCE(m.down_text, ''), ''),
  IF(m.name IN ({names}), COALESCE(m.verify_text, ''), '')
FROM windlass_migrations m
LEFT JOIN (
  SELECT x.kind, x.name, x.direction, COUNT(x.finished_at) AS done,
    MAX(IF(x.finished_at IS NULL, x.number, NULL)) AS started,
    MAX(IF(x.finished_at IS NULL, NULL, x.number)) AS latest
  FROM windlass_statements x GROUP BY x.kind, x.name, x.direction
) s ON s.kind = m.kind AND s.name = m.name AND m.state IN ('partial', 'reverting')
  AND s.direction = IF(m.state = 'partial', 'up', 'down')
LEFT JOIN windlass_statements p
  ON p.kind = s.kind AND p.name = s.name AND p.direction = s.direction AND p.number = s.latest
ORDER BY m.ordinal
"""
_EVENTS = """
SELECT DATE_FORMAT(at, '%Y-%m-%dT%H:%i:%sZ'), event, run_id, plan_digest, COALESCE(kind, ''), COALESCE(name, ''),
  who, origin, COALESCE(duration_ms, 0), detail
FROM windlass_events ORDER BY id DESC LIMIT {limit}
"""
#: Milliseconds since the transaction was opened (see :data:`BEGAN`).
_ELAPSED = "COALESCE(TIMESTAMPDIFF(MICROSECOND, @windlass_began, UTC_TIMESTAMP(6)) DIV 1000, 0)"
#: Part of a SET that notes when a transaction begins.
BEGAN = "@windlass_began = UTC_TIMESTAMP(6)"


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
    return f"{_key(step)} AND direction = '{_direction(step)}' AND number = {number:d}"


class MySQLJournal:
    """The JournalWriter of MySQL and MariaDB."""

    def create(self) -> Sequence[str]:
        """Return DDL that makes the journal where it is missing."""
        return _CREATE

    def read(self, texts_of: Sequence[str] = ()) -> str:
        """Return the one query that reads the journal, with the texts of the named entries only."""
        return _READ.format(names=", ".join(literal(name) for name in texts_of) or "NULL")

    def prepare(self) -> tuple[str, ...]:
        """Return nothing: a prepared statement would cost a round trip for each of its values."""
        return ()

    def applied(
        self, plan: Plan, step: Step, options: Options, prepared: bool = False, duration_ms: Optional[int] = None
    ) -> tuple[str, ...]:
        """Return what records a whole step and its event."""
        word = {"baseline": "baselined", "reapply": "reapplied"}.get(step.action, "applied")
        elapsed = _elapsed(duration_ms)
        event = self._event(word, plan, step, options, step.script.checksum, elapsed)
        return (self._upsert(plan, step, options, "applied", elapsed), event)

    def applied_together(self, plan: Plan, done: Sequence[tuple[Step, int]], options: Options) -> tuple[str, ...]:
        """Return what records steps of one transaction, each with its duration in milliseconds."""
        return tuple(sql for step, ms in done for sql in self.applied(plan, step, options, duration_ms=ms))

    def reverted(self, plan: Plan, step: Step, options: Options, duration_ms: Optional[int] = None) -> tuple[str, ...]:
        """Return what records an undone step and its event; its texts stay for later."""
        update = f"UPDATE windlass_migrations SET state = 'reverted', {_down(step)} WHERE {_key(step)}"
        clear = f"DELETE FROM windlass_statements WHERE {_key(step)}"
        # A repeatable may have lost an object that stood on this migration, though its text is the same.
        again = "UPDATE windlass_migrations SET state = 'reverted' WHERE kind = 'repeatable' AND state = 'applied'"
        event = self._event("reverted", plan, step, options, step.script.checksum, _elapsed(duration_ms))
        return (update, clear, again, event)

    def opened(self, plan: Plan, step: Step, options: Options) -> tuple[str, ...]:
        """Return what records that a statement-by-statement step begins or goes on."""
        if _direction(step) == "down":
            mark = f"UPDATE windlass_migrations SET state = 'reverting', {_down(step)} WHERE {_key(step)}"
        else:
            mark = self._upsert(plan, step, options, "partial", "0")
        # Rows of an earlier life of this migration (applied, undone, applied again) are not this run's.
        stale = () if step.resumed else (f"DELETE FROM windlass_statements WHERE {_key(step)}",)
        began = self._event("began", plan, step, options, step.action)
        return (f"SET {BEGAN}", "START TRANSACTION", mark, *stale, began, "COMMIT")

    def statement_started(self, step: Step, number: int, digest: str) -> str:
        """Return the mark before a statement; a second try keeps the first row."""
        return (
            "INSERT INTO windlass_statements (kind, name, direction, number, digest, started_at) "
            f"VALUES ({self._row(step, number, digest)}, UTC_TIMESTAMP(3)) "
            "ON DUPLICATE KEY UPDATE digest = VALUES(digest), started_at = VALUES(started_at)"
        )

    def statement_failed(self, step: Step, number: int) -> str:
        """Return what takes the mark before a statement back."""
        return f"DELETE FROM windlass_statements WHERE {_statement_key(step, number)} AND finished_at IS NULL"

    def statement_done(self, step: Step, number: int, digest: str, rows: int) -> str:
        """Return the mark after a statement, whether or not its start was marked."""
        return (
            "INSERT INTO windlass_statements (kind, name, direction, number, digest, started_at, finished_at, `rows`) "
            f"VALUES ({self._row(step, number, digest)}, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3), {rows:d}) "
            "ON DUPLICATE KEY UPDATE digest = VALUES(digest), finished_at = VALUES(finished_at), "
            "`rows` = windlass_statements.`rows` + VALUES(`rows`)"
        )

    def position(self, step: Step, number: int, key: str, rows: int) -> str:
        """Return the mark after a batch of a backfill."""
        return (
            f"UPDATE windlass_statements SET position = {literal(key)}, `rows` = `rows` + {rows:d} "
            f"WHERE {_statement_key(step, number)}"
        )

    def read_position(self, step: Step, number: int) -> str:
        """Return the query for (last key, rows) of a backfill."""
        return f"SELECT position, `rows` FROM windlass_statements WHERE {_statement_key(step, number)}"

    def event(
        self, event: str, plan: Plan, step: Optional[Step], options: Options, detail: str,
        duration_ms: Optional[int] = None,
    ) -> str:  # fmt: skip
        """Return a row of the event log."""
        return self._event(event, plan, step, options, detail, "NULL" if duration_ms is None else str(duration_ms))

    def last_events(self, event: str) -> str:
        """Return the query for (name, seconds since the last such event of that name)."""
        return (
            "SELECT name, TIMESTAMPDIFF(SECOND, MAX(at), UTC_TIMESTAMP(3)) FROM windlass_events "
            f"WHERE event = {literal(event)} GROUP BY name"
        )

    def events(self, limit: int) -> str:
        """Return the query for the newest events, newest first."""
        return _EVENTS.format(limit=int(limit))

    def _row(self, step: Step, number: int, digest: str) -> str:
        """Return the values of a statement's first columns."""
        return f"{literal(step.kind)}, {literal(step.name)}, '{_direction(step)}', {number:d}, {literal(digest)}"

    def _upsert(self, plan: Plan, step: Step, options: Options, state: str, elapsed: str) -> str:
        """Return the row of a step, new or once more; it gets the next ordinal either way.  ``elapsed`` is SQL."""
        values = {
            "kind": literal(step.kind),
            "name": literal(step.name),
            "state": f"'{state}'",
            "checksum": literal(step.script.checksum),
            "statements_total": str(len(step.script.statements)),
            "irreversible": literal("" if step.reversible else step.script.directives.irreversible),
            "up_text": literal(step.script.text),
            "down_text": literal(step.down.text if step.down else None),
            "verify_text": literal(step.verify.text if step.verify else None),
            "applied_at": "UTC_TIMESTAMP(3)",
            "applied_by": literal(options.who),
            "run_id": literal(options.run_id),
            "plan_digest": literal(plan.digest),
            "duration_ms": elapsed,
            "ordinal": "COALESCE(MAX(m.ordinal), 0) + 1",
        }
        again = ", ".join(f"{name} = VALUES({name})" for name in values if name not in ("kind", "name"))
        return (
            f"INSERT INTO windlass_migrations ({', '.join(values)}) SELECT {', '.join(values.values())} "
            f"FROM windlass_migrations m ON DUPLICATE KEY UPDATE {again}"
        )

    def _event(
        self, event: str, plan: Plan, step: Optional[Step], options: Options, detail: str, elapsed: str = "NULL"
    ) -> str:
        """Return the INSERT of an event; ``elapsed`` is SQL."""
        values = {
            "at": "UTC_TIMESTAMP(3)",
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
        return f"INSERT INTO windlass_events ({', '.join(values)}) VALUES ({', '.join(values.values())})"
