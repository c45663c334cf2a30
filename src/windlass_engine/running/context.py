"""What every part of a run shares: the session, the plan, and the ear that is told of progress."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from ..dialects.base import Dialect
from ..messages import Messages
from ..model import JournalEntry, Options, Plan, Statement, Step
from ..session import Session
from .measuring import Measure, Measuring
from .telling import Telling
from .watch import Watch


@dataclass
class Place:
    """Which statement runs now, and how many of the step's statements are permanent already."""

    step: Optional[Step] = None
    number: int = 0
    statement: Optional[Statement] = None
    permanent: int = 0


class Context:
    """One run's common ground.  ``half_done`` holds the journal's entries, with texts, that an earlier run left.

    ``another`` opens a second session to the same database.
    """

    def __init__(
        self,
        session: Session,
        plan: Plan,
        options: Options,
        watch: Watch,
        emit: Telling,
        half_done: Mapping[str, JournalEntry],
        another: Callable[[], Session],
        measure: Optional[Measure] = None,
    ) -> None:
        """Start at no place."""
        self.session = session
        self.plan = plan
        self.options = options
        self.watch = watch
        self.emit = emit
        self.half_done = half_done
        self.another = another
        self.messages = Messages(session)
        self.measuring = Measuring(measure)
        self.place = Place()
        self._prepared = False
        self._leaves_settings: dict[str, bool] = {}
        self._entered = time.monotonic()

    @property
    def dialect(self) -> Dialect:
        """Return the engine's answers."""
        return self.session.dialect

    def enter(self, step: Step) -> None:
        """Begin a step."""
        self.place = Place(step, permanent=step.skip)
        self._entered = time.monotonic()

    def begin(self, step: Step, number: int, statement: Statement) -> None:
        """Tell which statement begins."""
        self.place = Place(step, number, statement, self.place.permanent)
        of = len(step.script.statements)
        self.watch.place(migration=step.name, statement=number, of=of)
        head = " ".join(step.script.sql(statement)[:160].split())[:100]
        place = {"migration": step.name, "statement": number, "of": of, "line": statement.line}
        self.measuring.begin()
        self.emit({"event": "statement_started", **place, "sql": head})

    def end(self, step: Step, number: int, began: float, rows: int) -> None:
        """Tell how a statement ended; ``began`` is a monotonic time.  What measuring took is not part of it."""
        place = {"migration": step.name, "statement": number, "of": len(step.script.statements)}
        measured_s = self.measuring.spent_s
        milliseconds = int((time.monotonic() - began - measured_s) * 1000)
        told = {"measuring_ms": round(measured_s * 1000)} if self.measuring else {}
        self.emit({"event": "statement_done", **place, "duration_ms": milliseconds, "rows": rows, **told})
        self.measuring.end(step, number, step.script.sql(step.script.statements[number - 1]))

    def send(self, step: Step, statement: Statement, after: tuple[str, ...] = ()) -> int:
        """Send a statement in the way its kind needs; return the rows affected.  Raise Refused."""
        send = self.messages.send_copy if statement.copy_data else self.messages.send
        sql = step.script.sql(statement)
        if not self.measuring:
            return send(sql, after, self.tick)
        with self.measuring.sending():
            rows = send(sql, (), self.tick)
            self.measuring.inside(step, self.place.number, sql)
            self.messages.close(after)
        return rows

    def tick(self, elapsed: float) -> None:
        """Use the time in which the server works: pass on what was told, then look who keeps it waiting."""
        self.emit.flush()
        if elapsed:
            self.watch.tick(elapsed)

    def closing(self, step: Step, prepared: bool = False, *, loose: bool = False) -> tuple[str, ...]:
        """Return the journal rows of a whole step; ``prepared`` is what :meth:`prepare` said of it.

        The transaction's own age is the duration of a step, but of a ``loose`` one, which has several.
        """
        journal = self.dialect.journal
        duration_ms = int((time.monotonic() - self._entered) * 1000) if loose else None
        if step.action == "revert":
            rows = journal.reverted(self.plan, step, self.options, duration_ms)
        else:
            rows = journal.applied(self.plan, step, self.options, prepared, duration_ms)
        return (*self._durable(step), *rows)

    def closing_together(self, done: Sequence[tuple[Step, int]]) -> tuple[str, ...]:
        """Return the journal rows of steps that share a transaction, each with its duration in milliseconds."""
        last, _ = done[-1]
        return (*self._durable(last), *self.dialect.journal.applied_together(self.plan, done, self.options))

    def _durable(self, step: Step) -> tuple[str, ...]:
        """Return what lets a run's last commit wait until all is safe, and one with effects beyond this server."""
        outside = self.dialect.reaches_outside(step.script.text)
        return self.dialect.durable() if outside or step is self.plan.steps[-1] else ()

    def prepare(self, steps: Sequence[Step]) -> bool:
        """Let the session prepare the journal's rows; return whether they stay so to the end of these steps.

        A script may take every prepared statement away, and so does the proof of a baseline.
        """
        if any(step.action in ("revert", "baseline") or self.leaves_settings(step) for step in steps):
            return False
        if not self._prepared:
            self.session.run(self.dialect.journal.prepare())
            self._prepared = True
        return True

    def restore(self, step: Step) -> None:
        """Undo what a script may have left in the session, so that the next one starts clean."""
        if self.leaves_settings(step):
            self.session.run([*self.dialect.reset_session(self.session.link), *self.settings()])
            self.measuring.again()
            self._prepared = False

    def settings(self) -> tuple[str, ...]:
        """Return what makes Windlass's own settings in the session."""
        return self.dialect.prepare_session(self.session.server_version, self.options.allow_data_loss)

    def leaves_settings(self, step: Step) -> bool:
        """Return whether a step's script may leave something behind in the session."""
        text = step.script.text
        if text not in self._leaves_settings:
            self._leaves_settings[text] = self.dialect.leaves_settings(text)
        return self._leaves_settings[text]

    def own_role(self, step: Step) -> tuple[str, ...]:
        """Return what takes a script's SET ROLE back before the journal is written."""
        return self.dialect.own_session() if self.leaves_settings(step) else ()
