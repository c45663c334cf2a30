"""A script that asks for no transaction runs statement by statement, with a mark for each.

Whatever the server accepts inside a transaction still shares one with its journal mark.  Only the rest needs a
``started`` mark before it, and after a crash a look at the catalogue.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Optional

from ..archiving.step import StepArchive
from ..dialects.link import ServerError
from ..errors import WindlassError
from ..messages import Refused
from ..model import JournalEntry, Statement, Step
from ..plan import prefix_digest, statement_digest
from .backfill import Backfill
from .context import Context
from .patience import Patience

#: An online build that left something invalid is dropped and tried this often in all.
ONLINE_TRIES = 5


class LooseStep:
    """Runs one such step, from the first statement that is not permanent yet."""

    def __init__(
        self, context: Context, patience: Patience, step: Step, closing: tuple[str, ...] = (),
        archive: Optional[StepArchive] = None,
    ) -> None:  # fmt: skip
        """Nothing is sent yet; ``closing`` goes with the rows that say that the step is whole.

        ``archive`` keeps what the statements take away.
        """
        self._context = context
        self._archive = archive
        self._closing = closing
        self._session = context.session
        self._dialect = context.dialect
        self._journal = context.dialect.journal
        self._patience = patience
        self._step = step
        self._digest = prefix_digest(step.script, step.skip)
        self._roles: list[str] = []

    def run(self) -> None:
        """Run the statements left.  Raise Refused, ServerError or WindlassError at the first that fails."""
        # What a server refuses inside a transaction may leave effects that no crash takes back: no mark may be lost.
        opened = self._journal.opened(self._context.plan, self._step, self._context.options)
        self._session.run([*self._dialect.durable(), *opened])
        statements = self._step.script.statements
        if self._step.skip >= len(statements):
            self._finish((*self._closing, *self._context.closing(self._step, loose=True)))
        self._set_up_again()
        for number, statement in enumerate(statements[self._step.skip :], self._step.skip + 1):
            self._digest = statement_digest(self._digest, self._step.script.sql(statement))
            self._context.begin(self._step, number, statement)
            began = time.monotonic()
            rows = self._statement(number, statement)
            self._context.place.permanent = number
            self._context.end(self._step, number, began, rows)

    def _set_up_again(self) -> None:
        """Repeat what the statements done before had prepared in the session of an earlier run."""
        for statement in self._step.script.statements[: self._step.skip]:
            sql = self._step.script.sql(statement)
            if self._dialect.sets_session(sql):
                self._session.run(sql)
                self._keep_role(sql)

    def _keep_role(self, sql: str) -> None:
        """Remember a statement that takes a role, to be run again whenever the journal was written."""
        if self._dialect.sets_role(sql):
            self._roles.append(sql)

    def _as_self(self, marks: tuple[str, ...]) -> tuple[str, ...]:
        """Return marks to be written in the login's own role, then what gives the script's role back to it."""
        own = self._context.own_role(self._step)
        return (*own, *marks, *self._roles) if own else marks

    def _own_role(self) -> None:
        """Take the login's own role until marks are written next."""
        own = self._context.own_role(self._step)
        if own:
            self._session.run(own)

    def _statement(self, number: int, statement: Statement) -> int:
        """Run one statement in the way that it needs; return its rows."""
        sql = self._step.script.sql(statement)
        if statement.backfill:
            return self._backfill(number, statement)
        if self._dialect.needs_no_transaction(sql):
            return self._outside(number, sql)
        self._keep_role(sql)
        return self._patience.try_until_had(self._step, lambda: self._inside(number, statement), f"statement {number}")

    def _inside(self, number: int, statement: Statement) -> int:
        """Run a statement and its mark in one transaction."""
        context, step = self._context, self._step
        kept = self._archive.inside(number, step.script.sql(statement)) if self._archive else ()
        steady = self._archive.steady() if self._archive and kept else ()
        context.messages.put_off([*steady, *self._dialect.begin(*self._patience.timeouts(step)), *kept])
        return context.send(step, statement, (*self._as_self(self._marks(number, 0)), "COMMIT"))

    def _outside(self, number: int, sql: str) -> int:
        """Run a statement that the server refuses inside a transaction, between two marks."""
        rows = 0
        if not self._took_effect(number, sql):
            self._session.run(self._as_self((self._journal.statement_started(self._step, number, self._digest),)))
            online = self._dialect.is_online(sql)
            lock_ms, statement_ms = self._patience.timeouts(self._step)
            self._session.run(self._dialect.set_timeouts(0 if online else lock_ms, statement_ms))
            rows = self._online(sql) if online else self._alone(number, sql)
        self._finish(self._marks(number, rows))
        return rows

    def _alone(self, number: int, sql: str) -> int:
        """Run a statement in a message of its own."""
        try:
            return self._patience.try_until_had(self._step, lambda: self._archived(number, sql), f"statement {number}")
        except (Refused, WindlassError) as error:
            lost = isinstance(error, Refused) and error.error.lost
            if not lost and self._dialect.fails_clean(sql):
                self._session.run(self._as_self((self._journal.statement_failed(self._step, number),)))
            raise

    def _archived(self, number: int, sql: str) -> int:
        """Run a statement that commits by itself, and keep writers away from what it takes away."""
        send = partial(self._context.messages.send, sql, (), self._context.tick)
        if self._archive is None:
            return send()
        try:
            with self._archive.held(number, sql):
                return send()
        except ServerError as failed:
            error, refused = failed, Refused(failed, False, -1)
        except Refused as failed:
            error, refused = failed.error, failed
        if not self._archive.is_beyond(error):
            raise refused
        text = f"what others write at this moment may not be archived, for they cannot be kept away: {error.message}"
        self._context.emit({"event": "note", "migration": self._step.name, "text": text})
        return send()

    def _online(self, sql: str) -> int:
        """Build online; what is left invalid is dropped and built again."""
        for attempt in range(1, ONLINE_TRIES + 1):
            for note in self._dialect.prepare_online(self._session.link, sql):
                self._context.emit({"event": "note", "migration": self._step.name, "text": note})
            try:
                rows = self._context.messages.send(sql, (), self._context.tick)
            except Refused as refused:
                if refused.error.lost:
                    raise
                # A failed build leaves its invalid index behind; settling takes it away.
                self._dialect.settle(self._session.link, sql)
                if attempt == ONLINE_TRIES or not self._dialect.is_lock_failure(refused.error):
                    raise
                self._patience.pause(self._step, attempt, ONLINE_TRIES, refused.error.message)
                continue
            if self._dialect.online_result(self._session.link, sql):
                return rows
            self._patience.pause(self._step, attempt, ONLINE_TRIES, "the build left something invalid")
        raise Refused(ServerError("the online build left something invalid each time"), False, -1)

    def _backfill(self, number: int, statement: Statement) -> int:
        """Run a batched UPDATE; each batch and its position commit together."""
        context = self._context
        work = Backfill(self._session, self._step, number, statement, context.emit, self._as_self)
        if self._step.resumed:
            self._own_role()
            work.resume(context.half_done.get(self._step.name))
        self._session.run(self._as_self((self._journal.statement_started(self._step, number, self._digest),)))
        for bounds in work.ranges():
            self._patience.try_until_had(
                self._step,
                lambda bounds=bounds: work.run_batch(  # type: ignore[misc]
                    bounds, context.messages, self._patience.timeouts(self._step), context.tick
                ),
                f"statement {number}",
            )
        self._finish(self._marks(number, 0))
        return work.rows

    def _marks(self, number: int, rows: int) -> tuple[str, ...]:
        """Return the mark after a statement, and the whole step's rows with the last."""
        done = self._journal.statement_done(self._step, number, self._digest, rows)
        last = number == len(self._step.script.statements)
        return (done, *self._closing, *self._context.closing(self._step, loose=True)) if last else (done,)

    def _finish(self, marks: tuple[str, ...]) -> None:
        """Write marks in a transaction of their own."""
        self._session.run([*self._dialect.begin(0, 0), *self._as_self(marks), "COMMIT"])

    def _took_effect(self, number: int, sql: str) -> bool:
        """Ask the catalogue about a statement that an earlier run began and left no end of.

        Raises WindlassError (statement_unsettled) where neither the catalogue nor the operator tells.
        """
        entry = self._context.half_done.get(self._step.name) if self._step.resumed else None
        if entry is None or entry.started != number:
            return False
        ran = self._interrupted(entry, number)
        effect = self._dialect.settle(self._session.link, ran)
        if effect is None:
            # The author's word: each statement of the script looks first, so doing it once more does no harm.
            effect = False if self._step.script.directives.rerunnable else self._told_by_operator(number)
        if effect and ran != sql:
            raise WindlassError(
                "checksum_changed",
                f"statement {number} took effect before the run was interrupted, and was edited since",
                hint="put it back; what comes after it may be changed",
            )
        event = {"event": "settled", "migration": self._step.name, "statement": number, "took_effect": effect}
        self._context.emit(event)
        return effect

    def _interrupted(self, entry: JournalEntry, number: int) -> str:
        """Return the text of an interrupted statement as it ran, from the journal."""
        text = entry.down_text if self._step.action == "revert" else entry.up_text
        found = self._dialect.split(text, self._step.script.path)[number - 1]
        return text[found.start : found.end]

    def _told_by_operator(self, number: int) -> bool:
        """Return what the operator said of a statement that nobody else can judge."""
        if self._context.options.settle in ("done", "again"):
            return self._context.options.settle == "done"
        raise WindlassError(
            "statement_unsettled",
            f"statement {number} began in an earlier run and left no end; "
            "the catalogue cannot tell whether it took effect",
            hint="look at the database, then say: --settle done (it took effect) or --settle again (run it again)",
        )
