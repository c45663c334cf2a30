"""The journal's SQL for PostgreSQL: three tables in the schema ``windlass``.

Every name is written in full, every constant is an E'' string of plain ASCII: the journal means the same after a
script emptied ``search_path``, changed ``client_encoding`` or turned ``standard_conforming_strings`` off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from ...model import Options, Plan, Step
from .text import array, literal

FORMAT = 1
_CREATE = """
CREATE SCHEMA IF NOT EXISTS windlass;
CREATE TABLE IF NOT EXISTS windlass.migrations (
  kind pg_catalog.text NOT NULL CHECK (kind IN ('migration', 'repeatable')),
  name pg_catalog.text NOT NULL,
  state pg_catalog.text NOT NULL CHECK (state IN ('applied', 'partial', 'reverting', 'reverted')),
  checksum pg_catalog.text NOT NULL,
  ordinal pg_catalog.int8 GENERATED ALWAYS AS IDENTITY,
  statements_total pg_catalog.int4 NOT NULL,
  irreversible pg_catalog.text NOT NULL DEFAULT '',
  up_text pg_catalog.text NOT NULL,
  down_text pg_catalog.text,
  verify_text pg_catalog.text,
  applied_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  applied_by pg_catalog.text NOT NULL,
  run_id pg_catalog.text NOT NULL,
  plan_digest pg_catalog.text NOT NULL,
  duration_ms pg_catalog.int8 NOT NULL DEFAULT 0,
  PRIMARY KEY (kind, name)
);
CREATE TABLE IF NOT EXISTS windlass.statements (
  kind pg_catalog.text NOT NULL,
  name pg_catalog.text NOT NULL,
  direction pg_catalog.text NOT NULL,
  number pg_catalog.int4 NOT NULL,
  digest pg_catalog.text NOT NULL,
  started_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  finished_at pg_catalog.timestamptz,
  position pg_catalog.text,
  rows pg_catalog.int8 NOT NULL DEFAULT 0,
  PRIMARY KEY (kind, name, direction, number),
  FOREIGN KEY (kind, name) REFERENCES windlass.migrations ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS windlass.events (
  id pg_catalog.int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  event pg_catalog.text NOT NULL,
  run_id pg_catalog.text NOT NULL,
  plan_digest pg_catalog.text NOT NULL,
  kind pg_catalog.text,
  name pg_catalog.text,
  who pg_catalog.text NOT NULL,
  origin pg_catalog.text NOT NULL,
  duration_ms pg_catalog.int8,
  detail pg_catalog.text NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS windlass.schema (
  objects pg_catalog.text NOT NULL,
  fingerprint pg_catalog.text NOT NULL,
  head pg_catalog.text NOT NULL,
  run_id pg_catalog.text NOT NULL,
  who pg_catalog.text NOT NULL,
  at pg_catalog.text NOT NULL
);
COMMENT ON SCHEMA windlass IS 'Windlass journal, format 1';
"""
#: For journals of before there was this table.
MAKE_SCHEMA_TABLE = _CREATE[_CREATE.index("CREATE TABLE IF NOT EXISTS windlass.schema") : _CREATE.index("COMMENT ON")]
NOW_TEXT = "pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
_READ = """
SELECT m.name, m.kind, m.state, m.checksum, m.ordinal,
  coalesce(s.done, CASE m.state WHEN 'applied' THEN m.statements_total ELSE 0 END)::int4, m.statements_total,
  coalesce(s.prefix, ''), coalesce(s.started, 0)::int4, m.irreversible, m.down_text IS NOT NULL,
  pg_catalog.to_char(m.applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), m.applied_by, m.run_id,
  CASE WHEN m.name = ANY({names}) THEN m.up_text ELSE '' END,
  CASE WHEN m.name = ANY({names}) THEN coalesce(m.down_text, '') ELSE '' END,
  CASE WHEN m.name = ANY({names}) THEN coalesce(m.verify_text, '') ELSE '' END
FROM windlass.migrations m
LEFT JOIN LATERAL (
  SELECT count(*) FILTER (WHERE x.finished_at IS NOT NULL) AS done,
    (array_agg(x.digest ORDER BY x.number DESC) FILTER (WHERE x.finished_at IS NOT NULL))[1] AS prefix,
    max(x.number) FILTER (WHERE x.finished_at IS NULL) AS started
  FROM windlass.statements x
  WHERE m.state IN ('partial', 'reverting') AND x.kind = m.kind AND x.name = m.name
    AND x.direction = CASE m.state WHEN 'partial' THEN 'up' ELSE 'down' END
) s ON m.state IN ('partial', 'reverting')
ORDER BY m.ordinal
"""
_EVENTS = """
SELECT pg_catalog.to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), event, run_id, plan_digest,
  coalesce(kind, ''), coalesce(name, ''), who, origin, coalesce(duration_ms, 0), detail
FROM windlass.events ORDER BY id DESC LIMIT {limit}
"""
_ELAPSED = """(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.transaction_timestamp()) * 1000)
::pg_catalog.int8"""


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


def _step_sql(source: str) -> str:
    """Return the INSERT of steps' rows, new or once more; ``source`` is VALUES or a SELECT."""
    return (
        "INSERT INTO windlass.migrations (kind, name, state, checksum, statements_total, irreversible, up_text, "
        f"down_text, verify_text, applied_by, run_id, plan_digest, duration_ms) {source} "
        "ON CONFLICT (kind, name) DO UPDATE SET state = EXCLUDED.state, checksum = EXCLUDED.checksum, "
        "ordinal = DEFAULT, statements_total = EXCLUDED.statements_total, irreversible = EXCLUDED.irreversible, "
        "up_text = EXCLUDED.up_text, down_text = EXCLUDED.down_text, verify_text = EXCLUDED.verify_text, "
        "applied_at = EXCLUDED.applied_at, applied_by = EXCLUDED.applied_by, run_id = EXCLUDED.run_id, "
        "plan_digest = EXCLUDED.plan_digest, duration_ms = EXCLUDED.duration_ms"
    )


def _event_sql(source: str) -> str:
    """Return the INSERT of events; ``source`` is VALUES or a SELECT."""
    columns = "event, run_id, plan_digest, kind, name, who, origin, detail, duration_ms"
    return f"INSERT INTO windlass.events ({columns}) {source}"


def _values(values: Sequence[str]) -> str:
    """Return one row as a source."""
    return f"VALUES {_row(values)}"


def _row(values: Sequence[str]) -> str:
    """Return values as one row."""
    return f"({', '.join(values)})"


def _both(step: str, event: str) -> str:
    """Return one statement for a step's row and its event: half the work of two."""
    return f"WITH told AS ({event}) {step}"


def _elapsed(duration_ms: Optional[int]) -> str:
    """Return a duration as SQL: the one given, else the transaction's own age."""
    return _ELAPSED if duration_ms is None else str(duration_ms)


def _word(step: Step) -> str:
    """Return the event's word for a step that is done."""
    return {"baseline": "baselined", "reapply": "reapplied"}.get(step.action, "applied")


def _own_values(step: Step) -> tuple[Optional[str], ...]:
    """Return what is a step's own: kind, name, checksum, number of statements, why it cannot be undone, its texts."""
    return (
        step.kind,
        step.name,
        step.script.checksum,
        str(len(step.script.statements)),
        "" if step.reversible else step.script.directives.irreversible,
        step.script.text,
        step.down.text if step.down else None,
        step.verify.text if step.verify else None,
    )


def _together(step: Step, duration_ms: int) -> tuple[str, ...]:
    """Return a step's values where several are written at once.

    A text that is not there is empty, as no script's is: what NULL means in an array, a script may have changed.
    """
    return (*(value or "" for value in _own_values(step)), _word(step), str(duration_ms))


class PostgresJournal:
    """The JournalWriter of PostgreSQL."""

    def create(self) -> Sequence[str]:
        """Return DDL that makes the journal where it is missing, all or nothing."""
        return ("BEGIN", *_CREATE.strip().rstrip(";").split(";\n"), "COMMIT")

    def read(self, texts_of: Sequence[str] = ()) -> str:
        """Return the one query that reads the journal, with the texts of the named entries only."""
        names = ", ".join(literal(name) for name in texts_of)
        return _READ.format(names=f"ARRAY[{names}]::pg_catalog.text[]")

    def prepare(self) -> tuple[str, ...]:
        """Return what prepares a step's row and its event."""
        step = _step_sql(_values([*(f"${number}" for number in range(1, 13)), _ELAPSED]))
        event = _event_sql(_values([*(f"${number}" for number in range(13, 21)), _ELAPSED]))
        return (f"PREPARE windlass_step AS {_both(step, event)}",)

    def applied(
        self, plan: Plan, step: Step, options: Options, prepared: bool = False, duration_ms: Optional[int] = None
    ) -> tuple[str, ...]:
        """Return what records a whole step and its event."""
        row = self._step_values(plan, step, options, "applied")
        event = self._event_values(_word(step), plan, step, options, step.script.checksum)
        if prepared and duration_ms is None:
            return (f"EXECUTE windlass_step {_row([*row, *event])}",)
        elapsed = _elapsed(duration_ms)
        return (_both(_step_sql(_values([*row, elapsed])), _event_sql(_values([*event, elapsed]))),)

    def applied_together(self, plan: Plan, done: Sequence[tuple[Step, int]], options: Options) -> tuple[str, ...]:
        """Return what records steps of one transaction, each with its duration in milliseconds."""
        columns = zip(*(_together(step, ms) for step, ms in done))
        lists = [f"pg_catalog.unnest({array(values)}::pg_catalog.text[])" for values in columns]
        who, origin, run_id, digest = map(literal, (options.who, options.origin, options.run_id, plan.digest))
        step_rows = _step_sql(
            "SELECT kind, name, 'applied', checksum, statements::pg_catalog.int4, irreversible, up_text, "
            "nullif(down_text, ''), nullif(verify_text, ''), "
            f"{who}, {run_id}, {digest}, ms::pg_catalog.int8 FROM done ORDER BY at"
        )
        events = _event_sql(
            f"SELECT word, {run_id}, {digest}, kind, name, {who}, {origin}, checksum, ms::pg_catalog.int8 "
            "FROM done ORDER BY at"
        )
        # Each text is read once, and a column is one constant: the server takes longer to read ten thousand than to
        # write the rows.
        names = "kind, name, checksum, statements, irreversible, up_text, down_text, verify_text, word, ms, at"
        rows = f"SELECT * FROM ROWS FROM ({', '.join(lists)}) WITH ORDINALITY"
        return (f"WITH done ({names}) AS ({rows}), told AS ({events}) {step_rows}",)

    def reverted(self, plan: Plan, step: Step, options: Options, duration_ms: Optional[int] = None) -> tuple[str, ...]:
        """Return what records an undone step and its event; its texts stay for later."""
        update = f"UPDATE windlass.migrations SET state = 'reverted', {_down(step)} WHERE {_key(step)}"
        clear = f"DELETE FROM windlass.statements WHERE {_key(step)}"
        # A repeatable may have lost an object that stood on this migration, though its text is the same.
        again = "UPDATE windlass.migrations SET state = 'reverted' WHERE kind = 'repeatable' AND state = 'applied'"
        event = self._event("reverted", plan, step, options, step.script.checksum, _elapsed(duration_ms))
        return (update, clear, again, event)

    def opened(self, plan: Plan, step: Step, options: Options) -> tuple[str, ...]:
        """Return what records that a statement-by-statement step begins or goes on."""
        if _direction(step) == "down":
            mark = f"UPDATE windlass.migrations SET state = 'reverting', {_down(step)} WHERE {_key(step)}"
        else:
            mark = _step_sql(_values([*self._step_values(plan, step, options, "partial"), "0"]))
        # Rows of an earlier life of this migration (applied, undone, applied again) are not this run's.
        stale = () if step.resumed else (f"DELETE FROM windlass.statements WHERE {_key(step)}",)
        return ("BEGIN", mark, *stale, self._event("began", plan, step, options, step.action), "COMMIT")

    def statement_started(self, step: Step, number: int, digest: str) -> str:
        """Return the mark before a statement; a second try keeps the first row."""
        row = f"{literal(step.kind)}, {literal(step.name)}, '{_direction(step)}', {number:d}, {literal(digest)}"
        return (
            f"INSERT INTO windlass.statements (kind, name, direction, number, digest) VALUES ({row}) "
            f"ON CONFLICT (kind, name, direction, number) DO UPDATE SET digest = EXCLUDED.digest, "
            f"started_at = pg_catalog.clock_timestamp()"
        )

    def statement_failed(self, step: Step, number: int) -> str:
        """Return what takes the mark before a statement back."""
        return f"DELETE FROM windlass.statements WHERE {_statement_key(step, number)} AND finished_at IS NULL"

    def statement_done(self, step: Step, number: int, digest: str, rows: int) -> str:
        """Return the mark after a statement, whether or not its start was marked."""
        row = f"{literal(step.kind)}, {literal(step.name)}, '{_direction(step)}', {number:d}, {literal(digest)}"
        return (
            "INSERT INTO windlass.statements (kind, name, direction, number, digest, finished_at, rows) "
            f"VALUES ({row}, pg_catalog.clock_timestamp(), {rows:d}) "
            "ON CONFLICT (kind, name, direction, number) DO UPDATE SET digest = EXCLUDED.digest, "
            "finished_at = EXCLUDED.finished_at, rows = windlass.statements.rows + EXCLUDED.rows"
        )

    def position(self, step: Step, number: int, key: str, rows: int) -> str:
        """Return the mark after a batch of a backfill."""
        return (
            f"UPDATE windlass.statements SET position = {literal(key)}, rows = rows + {rows:d} "
            f"WHERE {_statement_key(step, number)}"
        )

    def read_position(self, step: Step, number: int) -> str:
        """Return the query for (last key, rows) of a backfill."""
        return f"SELECT position, rows FROM windlass.statements WHERE {_statement_key(step, number)}"

    def event(
        self, event: str, plan: Plan, step: Optional[Step], options: Options, detail: str,
        duration_ms: Optional[int] = None,
    ) -> str:  # fmt: skip
        """Return a row of the event log."""
        return self._event(event, plan, step, options, detail, "NULL" if duration_ms is None else str(duration_ms))

    def last_events(self, event: str) -> str:
        """Return the query for (name, seconds since the last such event of that name)."""
        return (
            "SELECT name, EXTRACT(epoch FROM pg_catalog.clock_timestamp() - max(at))::pg_catalog.int8 "
            f"FROM windlass.events WHERE event = {literal(event)} GROUP BY name"
        )

    def events(self, limit: int) -> str:
        """Return the query for the newest events, newest first."""
        return _EVENTS.format(limit=int(limit))

    def _step_values(self, plan: Plan, step: Step, options: Options, state: str) -> list[str]:
        """Return the constants of a step's row."""
        kind, name, checksum, statements, *texts = _own_values(step)
        told = (options.who, options.run_id, plan.digest)
        begin = [literal(kind), literal(name), f"'{state}'", literal(checksum), str(statements)]
        return [*begin, *map(literal, (*texts, *told))]

    def _event_values(self, event: str, plan: Plan, step: Optional[Step], options: Options, detail: str) -> list[str]:
        """Return the constants of an event."""
        return [
            literal(event),
            literal(options.run_id),
            literal(plan.digest),
            literal(step.kind if step else None),
            literal(step.name if step else None),
            literal(options.who),
            literal(options.origin),
            literal(detail[:4000]),
        ]

    def _event(
        self, event: str, plan: Plan, step: Optional[Step], options: Options, detail: str, elapsed: str = "NULL"
    ) -> str:
        """Return the INSERT of an event; ``elapsed`` is SQL."""
        return _event_sql(_values([*self._event_values(event, plan, step, options, detail), elapsed]))
