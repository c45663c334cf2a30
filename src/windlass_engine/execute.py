"""The only room that changes a schema: it runs a plan on one database, under the deployer lock."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Callable, Optional

from . import journal as journals
from . import verify
from .dialects.base import ServerError
from .errors import WindlassError
from .model import Journal, Options, Plan, Step, Target, Wire
from .session import Session, connect
from .steps import StepFailed, StepRunner
from .watch import Watch

Emit = Callable[[Wire], None]
#: How long a run asks for the truth after it lost the server (seconds).
LOOK_AGAIN_S = 15.0


def run(target: Target, plan: Plan, options: Options, emit: Emit) -> Wire:
    """Run a plan and return its result; in check mode return the SQL that would run.

    Raises WindlassError only where nothing was begun (unreachable, refused, locked, stale, pooler); what fails
    afterwards is in the result, with the state that the database is in.
    """
    tell = _stamped(emit, plan.database)
    if not plan.steps:
        return _result(plan, options, "nothing", "nothing to do", began=time.monotonic())
    with connect(target, _application(options)) as session:
        try:
            _refuse_unfit(session, options)
            if options.check_mode:
                return _preview(session, plan, options)
            with journals.deployer_lock(session, options.deploy_lock_wait_s, tell):
                return _Run(session, target, plan, options, tell).go()
        except ServerError as error:
            code = "connection_lost" if error.lost else "preflight_failed"
            raise WindlassError(code, error.message, hint=error.hint, where={"database": plan.database}) from error


def require_current(standing: Journal, plan: Plan) -> None:
    """Refuse a plan that was made for another state.  Raise WindlassError (plan_stale)."""
    if standing.head != plan.journal_head:
        raise WindlassError(
            "plan_stale",
            "the journal has changed since this plan was made",
            hint="another run came first; make the plan again: invoke plan --env ENV",
            where={"host": plan.host, "database": plan.database},
        )


class _Run:
    """One run under the lock."""

    def __init__(self, session: Session, target: Target, plan: Plan, options: Options, emit: Emit) -> None:
        self._session = session
        self._target = target
        self._plan = plan
        self._options = options
        self._emit = emit
        self._began = time.monotonic()
        self._finished: list[Wire] = []
        self._index = 0

    def go(self) -> Wire:
        """Read the journal again, then run step by step."""
        standing = self._standing()
        require_current(standing, self._plan)
        if not standing.exists:
            journals.create(self._session)
        settings = self._session.dialect.prepare_session(self._session.server_version)
        if settings:
            self._session.run(";".join(settings))
        half_done = {e.name: e for e in standing.entries if e.state in ("partial", "reverting")}
        watch = Watch(self._session, self._observer, self._emit)
        statements = sum(len(step.script.statements) for step in self._plan.steps)
        self._tell("run_started", run_id=self._options.run_id, steps=len(self._plan.steps), statements=statements)
        try:
            return self._steps(StepRunner(self._session, self._plan, self._options, watch, self._emit, half_done))
        finally:
            watch.close()

    def _standing(self) -> Journal:
        """Return the journal with the texts of what an earlier run left half-done."""
        resumed = [step.name for step in self._plan.steps if step.resumed]
        return journals.read(self._session, resumed)

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
        except StepFailed as failed:
            return self._failed(failed)
        return self._ended()

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
        assert step.verify is not None
        results = verify.run_script(self._session, step.verify, writable=False)
        failed = [result for result in results if not result.passed]
        if failed:
            messages = "; ".join(f"{r.name}: {r.error or ', '.join(r.failures[:5])}" for r in failed)
            raise StepFailed(
                WindlassError(
                    "verify_failed",
                    f"{step.name} does not stand here: {messages}",
                    hint="baseline up to an earlier migration, or deploy this one",
                    where={"file": step.verify.path, "migration": step.name},
                )
            )

    def _start(self, step: Step) -> None:
        """Tell that a step begins."""
        self._index += 1
        self._tell(
            "step_started",
            action=step.action,
            kind=step.kind,
            migration=step.name,
            index=self._index,
            of=len(self._plan.steps),
            statements=len(step.script.statements),
        )

    def _finish(self, step: Step, began: float, retries: int) -> None:
        """Tell and keep that a step ended well."""
        milliseconds = int((time.monotonic() - began) * 1000)
        self._finished.append(
            {
                "name": step.name,
                "action": step.action,
                "kind": step.kind,
                "status": "done",
                "duration_ms": milliseconds,
                "statements": len(step.script.statements),
                "retries": retries,
            }
        )
        self._tell(
            "step_done",
            migration=step.name,
            index=len(self._finished),
            of=len(self._plan.steps),
            duration_ms=milliseconds,
        )

    def _ended(self) -> Wire:
        """Return the result of a run that did all its steps."""
        after = journals.read(self._session)
        self._tell("run_done", status="done", duration_ms=int((time.monotonic() - self._began) * 1000))
        result = _result(self._plan, self._options, "done", _standing_text(after), began=self._began)
        return {**result, **self._progress(after)}

    def _failed(self, failed: StepFailed) -> Wire:
        """Return the result of a run that stopped: what stands, and what to do next."""
        step = self._plan.steps[max(self._index - 1, 0)]
        failed.error.located(host=self._plan.host, database=self._plan.database)
        after = self._look_again() if failed.lost else self._note_failure(step, failed)
        self._tell("step_failed", migration=step.name, message=failed.error.message, **_place(failed.error))
        self._tell("run_done", status="failed", duration_ms=int((time.monotonic() - self._began) * 1000))
        state = self._state_after(step, failed, after)
        next_command = self._next_command(step, after)
        result = _result(self._plan, self._options, "failed", state, began=self._began, next_command=next_command)
        progress = self._progress(after)
        progress["steps"] = [
            *progress["steps"],
            {
                "name": step.name,
                "action": step.action,
                "kind": step.kind,
                "status": "failed",
                "duration_ms": 0,
                "statements": len(step.script.statements),
                "retries": 0,
            },
        ]
        return {**result, **progress, "error": failed.error.to_wire()}

    def _note_failure(self, step: Step, failed: StepFailed) -> Optional[Journal]:
        """Write the failure into the event log, then read what stands."""
        try:
            self._session.run("ROLLBACK")
            event = self._session.dialect.journal.event("failed", self._plan, step, self._options, failed.error.message)
            self._session.run(event)
            return journals.read(self._session)
        except (ServerError, WindlassError):
            return self._look_again()

    def _look_again(self) -> Optional[Journal]:
        """Ask for the truth on a new connection after the old one was lost; None while nobody answers."""
        until = time.monotonic() + LOOK_AGAIN_S
        while time.monotonic() < until:
            try:
                with connect(self._target, _application(self._options), 5) as session:
                    return journals.read(session)
            except WindlassError:
                time.sleep(0.5)
        return None

    def _state_after(self, step: Step, failed: StepFailed, after: Optional[Journal]) -> str:
        """Say in words what state the database is in."""
        if after is None:
            return (
                "the server does not answer; the transaction that was open is undone by the server itself, and the "
                "journal will tell which steps are permanent"
            )
        entry = after.get(step.kind, step.name)
        if entry and entry.run_id == self._options.run_id and entry.state == "applied" and step.action != "revert":
            standing = _standing_text(after)
            return f"{step.name} is applied: its commit had arrived before the connection was lost; {standing}"
        if entry and entry.state in ("partial", "reverting"):
            total = len(step.script.statements)
            return (
                f"{step.name} is half-done: {entry.statements_done} of {total} statements are permanent, the rest has "
                f"not run; {_standing_text(after)}"
            )
        if self._plan.atomic:
            return f"nothing of this run is permanent: all of it was one transaction; {_standing_text(after)}"
        return f"{step.name} was undone whole by the server, nothing of it is left; {_standing_text(after)}"

    def _next_command(self, step: Step, after: Optional[Journal]) -> str:
        """Return what to type next."""
        environment = self._options.environment
        if after is None:
            return f"invoke status --env {environment}"
        if self._plan.direction == "down":
            return f"invoke rollback --env {environment} --steps {len(self._plan.steps) - len(self._finished)}"
        entry = after.get(step.kind, step.name)
        if entry and entry.state == "partial":
            return (
                f"mend the rest of {step.script.path}, then: invoke deploy --env {environment} "
                f"(it goes on at statement {entry.statements_done + 1}); "
                f"or undo it: invoke rollback --env {environment} --steps 1"
            )
        return f"mend {step.script.path}, then: invoke deploy --env {environment}"

    def _progress(self, after: Optional[Journal]) -> Wire:
        """Return the part of a result that tells how far the run came."""
        finished = [] if self._plan.atomic and len(self._finished) < len(self._plan.steps) else self._finished
        standing = after or Journal()
        partial = [e for e in standing.entries if e.run_id == self._options.run_id and e.state == "partial"]
        return {
            "changed": bool(finished or partial),
            "applied": [item["name"] for item in finished],
            "steps": list(finished),
            "schema_version": schema_version(standing),
            "journal_head": standing.head if after else "",
        }

    def _tell(self, event: str, **fields: object) -> None:
        """Emit an event."""
        self._emit({"event": event, **fields})


def schema_version(journal: Journal) -> str:
    """Return the migration that was applied last, or an empty string."""
    standing = [e for e in journal.entries if e.kind == "migration" and e.state == "applied"]
    return max(standing, key=lambda e: e.ordinal).name if standing else ""


def _standing_text(journal: Journal) -> str:
    """Say where a database stands."""
    version = schema_version(journal)
    count = sum(1 for e in journal.entries if e.kind == "migration" and e.state == "applied")
    return f"the schema stands at {version}, {count} migrations applied" if version else "no migration is applied"


def _place(error: WindlassError) -> Wire:
    """Return the parts of an error's place that an event carries."""
    return {key: error.where[key] for key in ("statement", "line") if key in error.where}


def _preview(session: Session, plan: Plan, options: Options) -> Wire:
    """Return the SQL that the plan would run, after the same look at the journal."""
    require_current(journals.read(session), plan)
    sql = [
        {"migration": step.name, "sql": step.script.sql(statement)}
        for step in plan.steps
        for statement in step.script.statements[step.skip :]
        if step.action != "baseline"
    ]
    result = _result(plan, options, "check", "nothing was changed", began=time.monotonic())
    return {**result, "changed": True, "sql": sql}


def _refuse_unfit(session: Session, options: Options) -> None:
    """Refuse a standby and a transaction pooler.  Raise WindlassError."""
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
    found = session.dialect.pooler(lambda: connect(session.target, _application(options), 5).link, session.link)
    if found:
        raise WindlassError(
            "pooler_detected",
            f"a transaction pooler stands in front of this database: {found}",
            hint="put the server's own address and port into the inventory, or a pool in session mode",
            where=where,
        )


def _application(options: Options) -> str:
    """Return the name by which others see this session: the run, and who started it."""
    return f"windlass {options.run_id} {options.who}"


def _stamped(emit: Emit, database: str) -> Emit:
    """Return an emit that adds time and database."""

    def stamped(event: Wire) -> None:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        emit({"at": now, "database": database, **event})

    return stamped


def _result(plan: Plan, options: Options, status: str, state: str, *, began: float, next_command: str = "") -> Wire:
    """Return the parts that every result has."""
    return {
        "database": plan.database,
        "system": plan.system,
        "run_id": options.run_id,
        "digest": plan.digest,
        "direction": plan.direction,
        "status": status,
        "changed": False,
        "applied": [],
        "skipped": [],
        "sql": [],
        "state": state,
        "next": next_command,
        "error": None,
        "steps": [],
        "schema_version": "",
        "journal_head": plan.journal_head,
        "duration_ms": int((time.monotonic() - began) * 1000),
    }
