"""The only room that changes a schema: it runs a plan on one database, under the deployer lock."""

from __future__ import annotations

import gc
import time
from typing import Callable, Optional

from .. import journal as journals
from ..archiving import kept
from ..checking import verify
from ..dialects import poolers
from ..dialects.answers import Volumes
from ..dialects.link import ServerError
from ..errors import WindlassError
from ..model import CheckResult, Journal, Options, Plan, Step, Target, Wire
from ..schema import memory
from ..session import Session, connect
from . import aftermath, outcome, sizes
from .context import Context
from .measuring import Measure
from .steps import StepFailed, StepRunner
from .telling import Telling
from .watch import Watch

Emit = Callable[[Wire], None]


def run(target: Target, plan: Plan, options: Options, emit: Emit, measure: Optional[Measure] = None) -> Wire:
    """Run a plan and return its result; in check mode return the SQL that would run.

    ``measure`` is asked between the statements, which are then sent one by one.

    Raises WindlassError only where nothing was begun (unreachable, refused, locked, stale, pooler); what fails
    afterwards is in the result, with the state that the database is in.
    """
    began = time.monotonic()
    if not plan.steps:
        return outcome.result(plan, options, "nothing", "nothing to do", began=began)
    tell = Telling(emit, plan.database)
    with connect(target, _application(options)) as session:
        gc.freeze()  # a plan of a thousand migrations takes long to walk, and nothing of it becomes garbage
        try:
            refuse_unfit(session, options)
            if options.check_mode:
                return _preview(session, plan, options)
            with journals.deployer_lock(session, options.deploy_lock_wait_s, tell):
                return _Run(session, target, plan, options, tell, measure).go()
        except ServerError as error:
            code = "connection_lost" if error.lost else "preflight_failed"
            raise WindlassError(code, error.message, hint=error.hint, where={"database": plan.database}) from error
        finally:
            gc.unfreeze()
            tell.flush()


def require_current(standing: Journal, plan: Plan) -> None:
    """Refuse a plan that was made for another state.  Raise WindlassError (plan_stale)."""
    if standing.head != plan.journal_head:
        raise WindlassError(
            "plan_stale",
            "the journal has changed since this plan was made",
            hint="another run came first; make the plan again: invoke plan --env ENV",
            where={"host": plan.host, "database": plan.database},
        )


def refuse_unfit(session: Session, options: Options) -> None:
    """Refuse a standby and a transaction pooler.  Raise WindlassError (read_only_server, pooler_detected)."""
    facts = session.dialect.facts(session.link)
    where = {"database": session.target.name}
    if facts.read_only:
        raise WindlassError(
            "read_only_server",
            "the server is a standby or read-only",
            hint="put the primary's address into the inventory",
            where=where,
        )
    if facts.backend_pid == session.backend_pid:
        return
    found = session.pooler()
    if found:
        raise poolers.refusal(found).located(**where)


class _Run:
    """One run under the lock."""

    def __init__(
        self, session: Session, target: Target, plan: Plan, options: Options, emit: Telling,
        measure: Optional[Measure] = None,
    ) -> None:  # fmt: skip
        """Nothing is sent yet."""
        self._measure = measure
        self._session = session
        self._target = target
        self._plan = plan
        self._options = options
        self._emit = emit
        self._began = time.monotonic()
        self._finished: list[Wire] = []
        self._index = 0
        self._volumes: Optional[Volumes] = None
        self._fingerprint = ""
        self._archived: list[Wire] = []
        self._returned: list[Wire] = []

    def go(self) -> Wire:
        """Read the journal again, then run step by step."""
        resumed = [step.name for step in self._plan.steps if step.resumed]
        standing = journals.read(self._session, resumed)
        require_current(standing, self._plan)
        self._prepare_session()  # first of all: a new journal is on the disk with what it tells of, and not before
        if not standing.exists:
            journals.create(self._session)
        self._volumes = sizes.look(self._session) if self._options.remember else None
        self._note_broken_glass()
        half_done = {e.name: e for e in standing.entries if e.state in ("partial", "reverting")}
        statements = sum(len(step.script.statements) for step in self._plan.steps)
        self._tell("run_started", run_id=self._options.run_id, steps=len(self._plan.steps), statements=statements)
        watch = Watch(self._session, self._observer, self._emit)
        try:
            if self._measure:
                self._measure.start(self._session)
            context = Context(
                self._session, self._plan, self._options, watch, self._emit, half_done, self._observer, self._measure
            )
            return self._steps(StepRunner(context))
        finally:
            watch.close()

    def _prepare_session(self) -> None:
        """Make Windlass's own settings."""
        settings = self._settings()
        if settings:
            self._session.run(settings)

    def _settings(self) -> tuple[str, ...]:
        """Return what makes Windlass's own settings in the session."""
        return self._session.dialect.prepare_session(self._session.server_version, self._options.allow_data_loss)

    def _note_broken_glass(self) -> None:
        """Write into the event log, before anything else, that the gate was passed by force, and why."""
        if self._options.broken_glass:
            dialect, reason = self._session.dialect, self._options.broken_glass
            event = dialect.journal.event("glass_broken", self._plan, None, self._options, reason)
            self._session.run([*dialect.own_session(), *dialect.durable(), event])

    def _observer(self) -> Session:
        """Open the second session."""
        return connect(self._target, f"{_application(self._options)} watch")

    def _steps(self, runner: StepRunner) -> Wire:
        """Run the plan's steps; the first that fails ends the run."""
        try:
            if self._plan.atomic:
                self._together(runner)
            else:
                self._one_by_one(runner)
            self._put_back()
        except StepFailed as failed:
            return self._failed(failed, runner.archived)
        aside = sizes.Aside(self._observer) if self._has_many_tables() else None
        try:
            after = journals.read(self._session)
        except WindlassError as error:
            return self._lost_at_end(error, runner.archived)
        self._remember(after)
        return self._done(after, runner.archived, self._sizes(aside))

    def _done(self, after: Journal, archived: list[Wire], changed: Optional[list[Wire]]) -> Wire:
        """Return the result of a run whose steps all stand."""
        self._tell_end("done")
        result = outcome.result(self._plan, self._options, "done", outcome.standing_text(after), began=self._began)
        moved = {"archived": archived, "put_back": self._returned, "sizes": changed, "fingerprint": self._fingerprint}
        return {**result, **moved, **outcome.progress(self._plan, self._finished, after, self._options)}

    def _lost_at_end(self, error: WindlassError, archived: list[Wire]) -> Wire:
        """Return the result of a run that lost the server after its last commit: done, if all its steps stand."""
        after, _ = self._ask(journals.read)
        if after and all(outcome.has_arrived(step, after, self._options) for step in self._plan.steps):
            return self._done(after, archived, None)
        return self._failed(StepFailed(error, lost=True), archived)

    def _put_back(self) -> None:
        """Put back what earlier rollbacks of these migrations took away, where that is asked for.  Raise StepFailed."""
        if not self._options.restore_archived:
            return

        def told(event: Wire) -> None:
            self._returned.append({key: value for key, value in event.items() if key != "event"})
            self._emit(event)

        try:
            for step in self._plan.steps:
                if step.kind == "migration" and step.action in ("apply", "resume"):
                    kept.put_back(self._session, step.name, told)
        except ServerError as error:
            code = "connection_lost" if error.lost else "archive_failed"
            raise StepFailed(WindlassError(code, error.message, hint=kept.LEFT), lost=error.lost) from error
        except WindlassError as error:
            raise StepFailed(error) from error

    def _one_by_one(self, runner: StepRunner) -> None:
        """Run each step by itself."""
        for step in self._plan.steps:
            self._start(step)
            began, retries = time.monotonic(), runner.retries
            if step.action == "baseline":
                self._prove(step)
            runner.run_alone(step)
            self._finish(step, began, runner.retries - retries)

    def _together(self, runner: StepRunner) -> None:
        """Run all steps in one transaction."""
        began = time.monotonic()

        def start(step: Step) -> None:
            # A lost lock starts the transaction over, and the count with it.
            if step is self._plan.steps[0]:
                self._index = 0
            self._start(step)

        runner.run_together(self._plan.steps, start)
        for step in self._plan.steps:
            self._finish(step, began, runner.retries)

    def _prove(self, step: Step) -> None:
        """Let a migration's verify script pass before it is marked as applied.  Raise StepFailed."""
        self._emit.flush()
        try:
            _require_standing(self._session, step)
        except WindlassError as error:
            raise StepFailed(error, lost=error.code == "connection_lost") from error

    def _start(self, step: Step) -> None:
        """Tell that a step begins."""
        self._index += 1
        counts = {"index": self._index, "of": len(self._plan.steps), "statements": len(step.script.statements)}
        self._tell("step_started", action=step.action, kind=step.kind, migration=step.name, **counts)

    def _finish(self, step: Step, began: float, retries: int) -> None:
        """Tell and keep that a step ended well."""
        duration_ms = int((time.monotonic() - began) * 1000)
        self._finished.append(outcome.step_result(step, "done", duration_ms, retries))
        counts = {"index": len(self._finished), "of": len(self._plan.steps), "duration_ms": duration_ms}
        self._tell("step_done", migration=step.name, **counts)

    def _failed(self, failed: StepFailed, archived: list[Wire]) -> Wire:
        """Return the result of a run that stopped: what stands, and what to do next."""
        plan, options = self._plan, self._options
        step = plan.steps[max(self._index - 1, 0)]
        failed.error.located(host=plan.host, database=plan.database)
        self._archived, unknown = archived, ""
        after = None if failed.lost else self._note_failure(step, failed)
        changed = self._sizes() if after else None
        if after is None:
            after, unknown = self._look_again(step, failed)
        end = outcome.End(plan, step, after, options, failed.lost, unknown)
        gone = self._settle(end) if after else ""
        steps = self._end_of(end, failed)
        self._tell_end("failed")
        result = outcome.result(plan, options, "failed", end.state(len(self._finished)) + gone, began=self._began)
        far = {**outcome.progress(plan, self._finished, after, options), "steps": steps, "sizes": changed}
        far |= {"fingerprint": self._fingerprint, "archived": self._archived, "put_back": self._returned}
        return {**result, **far, "next": end.next_command(len(self._finished)), "error": failed.error.to_wire()}

    def _end_of(self, end: outcome.End, failed: StepFailed) -> list[Wire]:
        """Tell that a step failed, unless only the answer to its commit did; return each step's line."""
        if end.arrived:
            return self._finished
        self._tell("step_failed", migration=end.step.name, message=failed.error.message, **_place(failed.error))
        return [*self._finished, outcome.step_result(end.step, "failed")]

    def _settle(self, end: outcome.End) -> str:
        """Hold what was told of the steps against the journal; return in words what is gone.

        A commit may have arrived whose answer did not, and the last ones that were answered may have gone with a crash.
        """
        told, self._finished = self._finished, []
        for item in end.standing(told):
            self._finished.append(item)
            if item not in told:
                counts = {"index": len(self._finished), "of": len(self._plan.steps)}
                self._tell("step_done", migration=item["name"], **counts, duration_ms=item["duration_ms"])
        lost = [item["name"] for item in told if item not in self._finished]
        return f"; with the server's crash these are gone again, journal and all: {', '.join(lost)}" if lost else ""

    def _note_failure(self, step: Step, failed: StepFailed) -> Optional[Journal]:
        """Write the failure into the event log, then read what stands; None where the server was lost meanwhile."""
        try:
            self._session.run("ROLLBACK")
            after = self._write_failure(self._session, step, failed)
        except (ServerError, WindlassError):
            self._session.close()  # it holds the lock, whose end is waited for
            return None
        self._remember(after)
        return after

    def _write_failure(self, session: Session, step: Step, failed: StepFailed) -> Journal:
        """Write the failure into the event log, which makes all before it durable; return what stands.

        A server that has no room for the event tells what stands all the same.
        """
        dialect = session.dialect
        event = dialect.journal.event("failed", self._plan, step, self._options, failed.error.message)
        try:
            session.run([*dialect.own_session(), *dialect.durable(), event])
        except ServerError as error:
            if error.lost:
                raise
        return journals.read(session)

    def _look_again(self, step: Step, failed: StepFailed) -> tuple[Optional[Journal], str]:
        """Ask what stands after the server was lost, and write the failure down; None and why where nobody can tell."""

        def read(session: Session) -> Journal:
            after = self._write_failure(session, step, failed)
            self._archived = outcome.archived(session, self._plan, after, self._options)
            return after

        text = f"the connection is lost ({failed.error.message}); the server is asked what stands"
        self._tell("note", migration=step.name, text=text)
        return self._ask(read)

    def _ask(self, read: Callable[[Session], Journal]) -> tuple[Optional[Journal], str]:
        """Ask on a new connection."""
        application = _application(self._options)
        return aftermath.ask(lambda: connect(self._target, application, 5), self._session.backend_pid, read)

    def _remember(self, after: Journal) -> None:
        """Keep the schema as it is now, so that what others change later can be told."""
        if self._options.remember:
            options = self._options
            self._fingerprint = memory.keep_quietly(
                self._session, after.head, options.run_id, options.who, self._settings()
            )

    def _has_many_tables(self) -> bool:
        """Return whether looking at all tables may take long: those that stood before, and what the steps make."""
        return self._volumes is not None and len(self._volumes.tables) + len(self._plan.steps) >= sizes.MANY_TABLES

    def _sizes(self, aside: Optional[sizes.Aside] = None) -> Optional[list[Wire]]:
        """Return the tables that changed their size, None where nobody looked."""
        if self._volumes is None:
            return None
        return sizes.changes(self._volumes, (aside and aside.found()) or sizes.look(self._session))

    def _tell_end(self, status: str) -> None:
        """Tell that the run ended."""
        self._tell("run_done", status=status, duration_ms=int((time.monotonic() - self._began) * 1000))

    def _tell(self, event: str, **fields: object) -> None:
        """Emit an event."""
        self._emit({"event": event, **fields})


def _preview(session: Session, plan: Plan, options: Options) -> Wire:
    """Return the SQL that the plan would run, after the same look at the journal, and at what is to be adopted."""
    began = time.monotonic()
    require_current(journals.read(session), plan)
    for step in plan.steps:
        if step.action == "baseline":
            _require_standing(session, step)
    sql = [
        {"migration": step.name, "sql": step.script.sql(statement)}
        for step in plan.steps
        for statement in step.script.statements[step.skip :]
        if step.action != "baseline"
    ]
    return {**outcome.result(plan, options, "check", "nothing was changed", began=began), "changed": True, "sql": sql}


def _require_standing(session: Session, step: Step) -> None:
    """Let the verify script of a migration that is to be adopted pass.  Raise WindlassError (verify_failed)."""
    assert step.verify is not None
    failed = [r for r in verify.run_script(session, step.verify, writable=False) if not r.passed]
    if failed:
        raise _does_not_stand(step, failed).located(database=session.target.name)


def _does_not_stand(step: Step, failed: list[CheckResult]) -> WindlassError:
    """Return the refusal to mark a migration whose verify script finds something missing."""
    assert step.verify is not None
    found = "; ".join(f"{r.name}: {r.error or ', '.join(r.failures[:5])}" for r in failed)
    return WindlassError(
        "verify_failed",
        f"{step.name} does not stand here: {found}",
        hint="baseline up to an earlier migration, or deploy this one",
        where={"file": step.verify.path, "migration": step.name},
    )


def _place(error: WindlassError) -> Wire:
    """Return the parts of an error's place that an event carries."""
    return {key: error.where[key] for key in ("statement", "line") if key in error.where}


def _application(options: Options) -> str:
    """Return the name by which others see this session: the run, and who started it."""
    return f"windlass {options.run_id} {options.who}"
