"""How a step of a plan runs, and what is said of one that fails."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Callable, Optional

from ..archiving.step import StepArchive
from ..dialects.link import ServerError
from ..errors import WindlassError
from ..messages import Refused, refused
from ..model import Script, Statement, Step, Wire
from .ahead import Ahead
from .context import Context
from .loose import LooseStep
from .patience import Patience

#: Statements of one transaction that are with the server at once: enough that it never waits for the next.
AHEAD_IN_ONE = 32


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

    def __init__(self, context: Context) -> None:
        """Work in a run's common ground."""
        self._context = context
        self._patience = Patience(context)
        self._ahead = Ahead(context, self._patience)
        self.archived: list[Wire] = []

    @property
    def retries(self) -> int:
        """Return how often a lock was lost so far."""
        return self._patience.retries

    def run_alone(self, step: Step) -> None:
        """Run a step by itself, in one transaction unless that cannot be.  Raise StepFailed."""
        if step.action == "revert" and self._context.options.archive:
            archive = StepArchive(self._context.session, self._context.options, step, self._context.emit)
            self._guard(step, lambda: self._undo(step, archive))
        elif self._ahead.takes(step):
            self._guard(step, lambda: self._patience.try_until_had(step, lambda: self._ahead.run(step), step.name))
        elif step.action == "baseline" or (self._context.dialect.is_whole(step.script) and not step.resumed):
            self._guard(step, lambda: self._in_one_transaction([step], lambda _: None))
        else:
            self._guard(step, lambda: self._loose(step))
        self._restore(step)

    def _loose(self, step: Step, closing: tuple[str, ...] = (), archive: Optional[StepArchive] = None) -> None:
        """Run a step statement by statement."""
        LooseStep(self._context, self._patience, step, closing, archive).run()
        if self._context.dialect.durable():
            self._context.session.run(self._context.settings())

    def _undo(self, step: Step, archive: StepArchive) -> None:
        """Archive what a step takes away, then let it; together where the engine can."""
        dialect = self._context.dialect
        if dialect.is_whole(step.script) and not step.resumed:
            self._patience.try_until_had(step, lambda: self._undo_whole(step, archive), step.name)
        else:
            self._patience.try_until_had(step, lambda: self._archive_first(step, archive), f"archiving for {step.name}")
            self._loose(step, archive.after(), archive)
        self.archived += archive.told()

    def _undo_whole(self, step: Step, archive: StepArchive) -> int:
        """Try once to undo a step in one transaction; return the rows affected."""
        context, together = self._context, self._context.dialect.archives.together
        opening = context.dialect.begin(*self._patience.timeouts(step))
        with self._archiving(step):
            archive.find(context.another)
            archive.copy(context.tick)
            before = archive.before()
            if before and not together:
                context.session.run(before, context.tick)
                context.session.run([*archive.steady(), *opening, *archive.inside()], context.tick)
            elif before:
                context.session.run([*opening, *before], context.tick)
        if not before:
            context.messages.put_off(opening)
        if archive.failure:
            return self._expect_failure(step, archive.failure)
        closing = (*context.own_role(step), *archive.after(), *context.closing(step), "COMMIT")
        return self._statements(step, closing)

    def _expect_failure(self, step: Step, failure: str) -> int:
        """Let a script that failed when it was tried say so itself; if it does not, what it takes away is unknown."""
        self._statements(step, ())
        self._context.session.run("ROLLBACK")
        raise WindlassError(
            "archive_failed",
            f"when {step.name} was tried beforehand it failed, now it does not ({failure}); it was taken back",
            hint="try again: nothing was undone",
        )

    def _archive_first(self, step: Step, archive: StepArchive) -> int:
        """Archive before a step that runs statement by statement."""
        context = self._context
        with self._archiving(step):
            archive.find(context.another)
            archive.copy(context.tick)
            before = archive.before()
            if before and context.dialect.archives.together:
                before = (*context.dialect.begin(*self._patience.timeouts(step)), *before, "COMMIT")
            if before:
                context.session.run(before, context.tick)
        return 0

    @contextmanager
    def _archiving(self, step: Step) -> Iterator[None]:
        """Let a lost lock be tried again; any other failure says that nothing was undone."""
        try:
            yield
        except ServerError as error:
            if error.lost or self._context.dialect.is_lock_failure(error):
                raise Refused(error, False, -1) from error
            self._context.session.run("ROLLBACK")
            raise WindlassError(
                "archive_failed",
                f"what {step.name} takes away cannot be archived, so it was not undone: {error.message}",
                hint="remove the cause (the login needs CREATE on the database), "
                "or after a backup undo it without an archive: --no-archive",
            ) from error

    def run_together(self, steps: Sequence[Step], tell: Callable[[Step], None]) -> None:
        """Run all steps in one transaction; ``tell`` is called as each begins.  Raise StepFailed."""
        self._guard(steps[0], lambda: self._in_one_transaction(steps, tell))
        for step in steps:
            self._restore(step)

    def _restore(self, step: Step) -> None:
        """Give the next step a clean session.  Raise StepFailed; what ran stands."""
        try:
            self._context.restore(step)
        except ServerError as error:
            raise self._failure(error, True, -1) from error

    def _in_one_transaction(self, steps: Sequence[Step], tell: Callable[[Step], None]) -> None:
        """Run steps and their journal rows between BEGIN and COMMIT, from the start again when a lock is lost."""
        name = steps[0].name if len(steps) == 1 else f"{len(steps)} migrations in one transaction"
        self._patience.try_until_had(steps[0], lambda: self._transaction(steps, tell), name)

    def _transaction(self, steps: Sequence[Step], tell: Callable[[Step], None]) -> int:
        """Try once; return the rows affected."""
        context = self._context
        together = len(steps) > 1 and steps[0].action not in ("revert", "baseline")
        prepared = not together and context.prepare(steps)
        context.messages.put_off(context.dialect.begin(*self._patience.timeouts(steps[0])))
        if together:
            return self._many(steps, tell)
        rows = 0
        for step in steps:
            tell(step)
            commit = ("COMMIT",) if step is steps[-1] else ()
            rows += self._statements(step, (*context.own_role(step), *context.closing(step, prepared), *commit))
        return rows

    def _many(self, steps: Sequence[Step], tell: Callable[[Step], None]) -> int:
        """Run many steps inside the open transaction; their journal rows come together at its end."""
        context, rows, done = self._context, 0, []
        with self._runner(steps) as run:
            for step in steps:
                tell(step)
                began = time.monotonic()
                rows += run(step)
                done.append((step, int((time.monotonic() - began) * 1000)))
        context.messages.put_off((*context.closing_together(done), "COMMIT"))
        try:
            context.messages.flush()
        except ServerError as error:
            raise Refused(error, True, -1) from error
        return rows

    @contextmanager
    def _runner(self, steps: Sequence[Step]) -> Iterator[Callable[[Step], int]]:
        """Give what runs a step: out of one stream of statements, unless one of them needs the connection."""
        follow = not self._context.measuring
        if not (follow and all(self._context.dialect.can_follow(step.script) for step in steps)):
            yield lambda step: self._statements(step, self._context.own_role(step))
            return
        context = self._context
        context.messages.flush()
        every = (message for step in steps for message in self._bare(step))
        with closing(context.session.link.stream(every, AHEAD_IN_ONE, context.tick)) as results:
            yield lambda step: self._streamed(step, results)

    def _bare(self, step: Step) -> Iterator[Sequence[str]]:
        """Yield a step's statements; a role that it took is not for the next one."""
        last = step.script.statements[-1]
        for statement in step.script.statements:
            yield (step.script.sql(statement), *(self._context.own_role(step) if statement is last else ()))

    def _streamed(self, step: Step, results: Iterator[list[int]]) -> int:
        """Take a step's results out of a stream."""
        context, rows = self._context, 0
        for number, statement in enumerate(step.script.statements, 1):
            context.begin(step, number, statement)
            began = time.monotonic()
            try:
                affected = next(results)[0]
            except ServerError as error:
                raise refused(error, ()) from error
            context.end(step, number, began, affected)
            rows += affected
        return rows

    def _statements(self, step: Step, closing: tuple[str, ...]) -> int:
        """Run every statement of a step; ``closing`` travels with the last."""
        context, statements = self._context, step.script.statements
        if step.action == "baseline":
            context.messages.put_off(closing)
            context.messages.flush()
            return 0
        rows = 0
        for number, statement in enumerate(statements, 1):
            context.begin(step, number, statement)
            began = time.monotonic()
            affected = context.send(step, statement, closing if number == len(statements) else ())
            context.end(step, number, began, affected)
            rows += affected
        return rows

    def _guard(self, step: Step, work: Callable[[], object]) -> None:
        """Turn whatever goes wrong into a StepFailed that names file, line and statement."""
        self._context.enter(step)
        try:
            work()
        except Refused as refused:
            raise self._failure(refused.error, refused.at_end, refused.offset) from refused
        except ServerError as error:
            raise self._failure(error, True, -1) from error
        except WindlassError as error:
            raise StepFailed(error.located(**self._where(-1)), self._context.place.permanent) from error

    def _failure(self, error: ServerError, at_end: bool, offset: int) -> StepFailed:
        """Return the failure of a statement with its place in the file."""
        place = self._context.place
        assert place.step is not None
        code = "rollback_failed" if place.step.action == "revert" else "migration_failed"
        text = f"{error.message} ({error.code_text})" if error.code_text else error.message
        text += f"; {error.detail}" if error.detail else ""
        if at_end and place.number == len(place.step.script.statements):
            text = f"at the end of the transaction: {text}"
        wire = WindlassError(
            "connection_lost" if error.lost else code,
            text,
            hint=error.hint,
            where=self._where(offset),
            detail={"sqlstate": error.state, "number": error.number},
        )
        return StepFailed(wire, place.permanent, error.lost)

    def _where(self, offset: int) -> dict[str, object]:
        """Return the place of the statement that runs now; ``offset`` is a character in it, or -1."""
        place = self._context.place
        assert place.step is not None
        script = place.step.script
        where = {
            "file": script.path,
            "line": _line_of(script, place.statement, offset),
            "migration": place.step.name,
            "statement": f"{place.number} of {len(script.statements)}" if place.number else "",
        }
        return {key: value for key, value in where.items() if value}


def _line_of(script: Script, statement: Optional[Statement], offset: int) -> int:
    """Return the file's line that an error points at: the statement's first where the server names none."""
    if statement is None:
        return 0
    return statement.line + (script.sql(statement).count("\n", 0, offset) if offset > 0 else 0)
