"""How one step of a plan runs: inside one transaction, or statement by statement with a mark around each.

With transactional DDL a change and its journal row are one transaction.  A script that asks for no transaction runs
statement by statement: whatever the server accepts inside a transaction still shares one with its journal mark, and
only the rest needs a ``started`` mark and, after a crash, a look at the catalogue.
"""

from __future__ import annotations

import random
import time
from typing import Callable, Optional, Sequence

from . import backfill
from .dialects.base import ServerError
from .errors import WindlassError
from .messages import Messages, Refused
from .model import JournalEntry, Options, Plan, Script, Statement, Step, Wire
from .plan import prefix_digest, statement_digest
from .session import Session
from .watch import Watch, blockers_text

#: An online build that left something invalid is dropped and tried this often in all.
ONLINE_TRIES = 5
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0


class StepFailed(Exception):
    """A step ended early.  ``permanent`` of its statements stay; the error says which one failed."""

    def __init__(self, error: WindlassError, permanent: int = 0, lost: bool = False) -> None:
        """Keep what the run needs to describe the state."""
        super().__init__(error.message)
        self.error = error
        self.permanent = permanent
        self.lost = lost


class StepRunner:
    """Runs the steps of one plan on one session."""

    def __init__(
        self,
        session: Session,
        plan: Plan,
        options: Options,
        watch: Watch,
        emit: Callable[[Wire], None],
        half_done: dict[str, JournalEntry],
    ) -> None:
        """``half_done`` are the journal's entries, with texts, of the steps that an earlier run left."""
        self._session = session
        self._dialect = session.dialect
        self._journal = session.dialect.journal
        self._plan = plan
        self._options = options
        self._watch = watch
        self._emit = emit
        self._half_done = half_done
        self._messages = Messages(session)
        self._step: Optional[Step] = None
        self._at: tuple[int, Optional[Statement]] = (0, None)
        self._done = 0
        self.retries = 0

    def run_alone(self, step: Step) -> None:
        """Run a step by itself, in its own transaction where its script allows one.  Raise StepFailed."""
        if not step.script.directives.transactional:
            self._guard(step, lambda: self._run_loose(step))
            self._restore(step)
            return
        self._guard(step, lambda: self._retrying(step, lambda: self._transaction([step]), step.name))
        self._restore(step)

    def run_together(self, steps: Sequence[Step], tell: Callable[[Step], None]) -> None:
        """Run all steps in one transaction; ``tell`` is called as each begins.  Raise StepFailed."""
        self._guard(steps[0], lambda: self._retrying(steps[0], lambda: self._transaction(steps, tell), "all of them"))
        for step in steps:
            self._restore(step)

    # One transaction

    def _transaction(self, steps: Sequence[Step], tell: Optional[Callable[[Step], None]] = None) -> None:
        """Run steps and their journal rows between BEGIN and COMMIT."""
        self._messages.put_off(self._dialect.begin(*self._timeouts(steps[0])))
        for step in steps:
            if tell:
                tell(step)
            closing = [*self._own(step), self._closing(step)]
            if step is steps[-1]:
                closing.append("COMMIT")
            self._statements(step, closing)

    def _statements(self, step: Step, closing: Sequence[str]) -> None:
        """Run every statement of a step; ``closing`` travels with the last."""
        statements = step.script.statements
        if step.action == "baseline" or not statements:
            self._messages.put_off(closing)
            self._messages.flush()
            return
        for number, statement in enumerate(statements, 1):
            self._begin_statement(step, number, statement)
            self._send(step, number, statement, closing if number == len(statements) else ())

    def _send(self, step: Step, number: int, statement: Statement, after: Sequence[str]) -> None:
        """Send one statement and tell how it went."""
        began = time.monotonic()
        send = self._messages.send_copy if statement.copy_data else self._messages.send
        rows = send(step.script.sql(statement), after, self._watch.tick)
        self._end_statement(step, number, began, rows)

    # Statement by statement

    def _run_loose(self, step: Step) -> None:
        """Run a script that asks for no transaction, with a mark for each statement."""
        self._session.run(self._journal.opened(self._plan, step, self._options))
        script = step.script
        self._done = step.skip
        digest = prefix_digest(script, step.skip)
        if step.skip >= len(script.statements):
            self._close_loose(step)
        for number, statement in enumerate(script.statements, 1):
            if number <= step.skip:
                continue
            digest = statement_digest(digest, script.sql(statement))
            closing = self._closing(step) if number == len(script.statements) else ""
            self._begin_statement(step, number, statement)
            self._loose_statement(step, number, statement, digest, closing)
            self._done = number

    def _loose_statement(self, step: Step, number: int, statement: Statement, digest: str, closing: str) -> None:
        """Run one statement of such a script in the way that it needs."""
        sql = step.script.sql(statement)
        began = time.monotonic()
        if statement.backfill:
            rows = self._backfill(step, number, statement, digest)
            self._mark_done(step, number, digest, 0, closing)
        elif self._dialect.needs_no_transaction(sql):
            rows = 0
            if not self._took_effect(step, number, sql, digest):
                self._session.run(self._journal.statement_started(step, number, digest))
                rows = self._outside(step, sql)
            self._mark_done(step, number, digest, rows, closing)
        else:
            rows = self._retrying(step, lambda: self._inside(step, number, statement, digest, closing), f"statement {number}")
        self._end_statement(step, number, began, rows)

    def _inside(self, step: Step, number: int, statement: Statement, digest: str, closing: str) -> int:
        """Run a statement and its mark in one transaction."""
        self._messages.put_off(self._dialect.begin(*self._timeouts(step)))
        done = self._journal.statement_done(step, number, digest, 0)
        after = [*self._own(step), done, *([closing] if closing else []), "COMMIT"]
        send = self._messages.send_copy if statement.copy_data else self._messages.send
        return send(step.script.sql(statement), after, self._watch.tick)

    def _outside(self, step: Step, sql: str) -> int:
        """Run a statement that the server refuses inside a transaction."""
        online = self._dialect.is_online(sql)
        lock_ms, statement_ms = self._timeouts(step)
        self._session.run(";".join(self._dialect.set_timeouts(0 if online else lock_ms, statement_ms)))
        if not online:
            return self._retrying(step, lambda: self._messages.send(sql, (), self._watch.tick), "statement")
        return self._online(step, sql)

    def _online(self, step: Step, sql: str) -> int:
        """Build online; what is left invalid is dropped and built again."""
        for attempt in range(1, ONLINE_TRIES + 1):
            for note in self._dialect.prepare_online(self._session.link, sql):
                self._emit({"event": "note", "migration": step.name, "text": note})
            try:
                rows = self._messages.send(sql, (), self._watch.tick)
            except Refused as refused:
                if refused.error.lost:
                    raise
                self._dialect.settle(self._session.link, sql)
                if attempt == ONLINE_TRIES or not self._dialect.is_lock_failure(refused.error):
                    raise
                self._pause(step, attempt, ONLINE_TRIES, refused.error.message)
                continue
            if self._dialect.online_result(self._session.link, sql):
                return rows
            self._pause(step, attempt, ONLINE_TRIES, "the build left something invalid")
        raise Refused(ServerError("the online build left something invalid each time"), False, -1)

    def _took_effect(self, step: Step, number: int, sql: str, digest: str) -> bool:
        """Ask the catalogue about a statement that an earlier run began and left no end of.

        Raises WindlassError (statement_unsettled) where the catalogue cannot tell and the operator said nothing.
        """
        entry = self._half_done.get(step.name)
        if entry is None or entry.started != number:
            return False
        old = self._interrupted(entry, step, number)
        effect = self._dialect.settle(self._session.link, old)
        if effect is None:
            effect = self._settled_by_operator(step, number)
        if effect and old != sql:
            raise WindlassError(
                "checksum_changed",
                f"statement {number} took effect before the run was interrupted, and was edited since",
                hint="put it back; what comes after it may be changed",
            )
        self._emit({"event": "settled", "migration": step.name, "statement": number, "took_effect": effect})
        return effect

    def _interrupted(self, entry: JournalEntry, step: Step, number: int) -> str:
        """Return the text of an interrupted statement as it ran, from the journal."""
        text = entry.down_text if step.action == "revert" else entry.up_text
        statements = self._dialect.split(text, step.script.path)
        found = statements[number - 1]
        return text[found.start : found.end]

    def _settled_by_operator(self, step: Step, number: int) -> bool:
        """Return what the operator said of a statement that nobody else can judge."""
        if self._options.settle in ("done", "again"):
            return self._options.settle == "done"
        raise WindlassError(
            "statement_unsettled",
            f"statement {number} began in an earlier run and left no end; the catalogue cannot tell whether it took effect",
            hint="look at the database, then say so: --settle done (it took effect) or --settle again (run it again)",
        )

    def _backfill(self, step: Step, number: int, statement: Statement, digest: str) -> int:
        """Run a batched UPDATE; each batch and its position commit together."""
        work = backfill.Backfill(self._session, step, number, statement, digest, self._emit)
        self._session.run(work.opening(self._half_done.get(step.name)))
        for bounds in work.ranges():
            self._retrying(step, lambda b=bounds: work.run_batch(b, self._messages, self._timeouts(step), self._watch), "batch")  # type: ignore[misc]
        return work.rows

    def _mark_done(self, step: Step, number: int, digest: str, rows: int, closing: str) -> None:
        """Record a finished statement, and the whole step with its last."""
        done = self._journal.statement_done(step, number, digest, rows)
        reset = self._dialect.own_session()
        self._session.run(";".join([*self._dialect.begin(0, 0), *reset, done, *([closing] if closing else []), "COMMIT"]))

    def _close_loose(self, step: Step) -> None:
        """Record a step whose remaining statements were taken out of the file."""
        self._session.run(";".join([*self._dialect.begin(0, 0), self._closing(step), "COMMIT"]))

    # What both share

    def _closing(self, step: Step) -> str:
        """Return the journal rows of a whole step."""
        write = self._journal.reverted if step.action == "revert" else self._journal.applied
        return write(self._plan, step, self._options)

    def _own(self, step: Step) -> tuple[str, ...]:
        """Return what takes a script's SET ROLE back before the journal is written."""
        return self._dialect.own_session() if self._dialect.leaves_settings(step.script.text) else ()

    def _restore(self, step: Step) -> None:
        """Undo what a script may have left in the session, so that the next one starts clean."""
        if self._dialect.leaves_settings(step.script.text):
            settings = self._dialect.prepare_session(self._session.server_version)
            self._messages.put_off([*self._dialect.reset_session(), *settings])
            self._messages.flush()

    def _timeouts(self, step: Step) -> tuple[int, int]:
        """Return (lock timeout, statement timeout) in milliseconds: the script's own, else the policy's."""
        asked = step.script.directives
        lock = self._options.lock_timeout_ms if asked.lock_timeout_ms is None else asked.lock_timeout_ms
        return lock, asked.statement_timeout_ms or 0

    def _retrying(self, step: Step, work: Callable[[], Optional[int]], what: str) -> int:
        """Do work whose transaction may lose a lock; try again with growing pauses, and name who blocks."""
        asked = step.script.directives.lock_retries
        retries = self._options.lock_retries if asked is None else asked
        attempt = 0
        while True:
            try:
                return work() or 0
            except Refused as refused:
                self._roll_back(refused.error)
                attempt += 1
                if not self._dialect.is_lock_failure(refused.error):
                    raise
                if attempt > retries:
                    raise self._out_of_patience(refused, attempt, what) from refused
                self._watch.eager()
                self._pause(step, attempt, retries, refused.error.message)

    def _out_of_patience(self, refused: Refused, attempts: int, what: str) -> WindlassError:
        """Return the error of a lock that could not be had."""
        seen = blockers_text(self._watch.blockers) or "none seen in the end"
        return WindlassError(
            "lock_timeout",
            f"{what}: {refused.error.message}, {attempts} times. Blocking sessions: {seen}",
            hint="end the blocking sessions or deploy when they are gone; lock_timeout and lock_retries are in windlass_policy",
        )

    def _pause(self, step: Step, attempt: int, of: int, reason: str) -> None:
        """Wait before the next try: 0.1 s at first, half as long again each time, 10 s at most, never in step."""
        self.retries += 1
        seconds = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 1.5 ** (attempt - 1)) * random.uniform(0.8, 1.2)
        self._emit(
            {
                "event": "retry", "migration": step.name, "attempt": attempt, "of": of,
                "pause_ms": int(seconds * 1000), "reason": reason, "blockers": blockers_text(self._watch.blockers),
            }
        )
        time.sleep(seconds)

    def _roll_back(self, error: ServerError) -> None:
        """Give up the open transaction, where there is still somebody to say it to."""
        self._messages.forget()
        if not error.lost:
            self._session.run("ROLLBACK")

    def _begin_statement(self, step: Step, number: int, statement: Statement) -> None:
        """Tell which statement begins."""
        self._step, self._at = step, (number, statement)
        of = len(step.script.statements)
        self._watch.place(migration=step.name, statement=number, of=of)
        head = " ".join(step.script.sql(statement)[:160].split())[:100]
        self._emit(
            {"event": "statement_started", "migration": step.name, "statement": number, "of": of,
             "line": statement.line, "sql": head}
        )

    def _end_statement(self, step: Step, number: int, began: float, rows: int) -> None:
        """Tell how a statement ended."""
        self._emit(
            {"event": "statement_done", "migration": step.name, "statement": number,
             "of": len(step.script.statements), "duration_ms": int((time.monotonic() - began) * 1000), "rows": rows}
        )

    def _guard(self, step: Step, work: Callable[[], object]) -> None:
        """Turn whatever goes wrong into a StepFailed that names file, line and statement."""
        self._step, self._at, self._done = step, (0, None), 0
        try:
            work()
        except Refused as refused:
            raise self._failure(self._step, refused.error, refused.at_end, refused.offset) from refused
        except ServerError as error:
            raise self._failure(self._step, error, True, -1) from error
        except WindlassError as error:
            number, statement = self._at
            line = statement.line if statement else 0
            error.located(file=self._step.script.path, line=line, migration=self._step.name, statement=number)
            raise StepFailed(error, self._done) from error

    def _failure(self, step: Step, error: ServerError, at_end: bool, offset: int) -> StepFailed:
        """Return the failure of a statement with its place in the file."""
        number, statement = self._at
        code = "rollback_failed" if step.action == "revert" else "migration_failed"
        text = f"{error.message} (SQLSTATE {error.state})" if error.state else error.message
        if error.detail:
            text += f"; {error.detail}"
        if at_end and number == len(step.script.statements):
            text = f"at the end of the transaction: {text}"
        where = {
            "file": step.script.path, "line": _line_of(step.script, statement, offset), "migration": step.name,
            "statement": f"{number} of {len(step.script.statements)}" if number else "",
        }
        wire = WindlassError(
            "connection_lost" if error.lost else code, text, hint=error.hint,
            where={key: value for key, value in where.items() if value}, detail={"sqlstate": error.state},
        )
        return StepFailed(wire, self._done, error.lost)


def _line_of(script: Script, statement: Optional[Statement], offset: int) -> int:
    """Return the file's line that an error points at: the statement's first where the server names no place."""
    if statement is None:
        return 0
    return statement.line + (script.sql(statement).count("\n", 0, offset) if offset > 0 else 0)
