"""Maintenance jobs: clean-ups and other work that comes round again, one transaction a pass.

A pass holds the deployer lock, so that no job ever works on a schema that is being changed, and gives it back at its
end, so that a deployment waits for one pass at most.  For as long as a job goes on it also holds a lock of its own
name: the same job never runs twice at once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Callable, Optional

from . import journal
from .dialects.link import ServerError
from .errors import WindlassError
from .model import Options, Plan, Script, Step, Target, Wire, to_wire
from .schema import introspect, memory
from .session import Session, connect

Emit = Callable[[Wire], None]
#: How long a job that repeats goes on, in seconds; the rest is left to the next time.
TIME_LIMIT_S = 3600.0
#: How often a pass that lost a lock is tried again, and the first pause (seconds, doubled each time).
LOCK_TRIES, LOCK_PAUSE_S = 6, 0.5
#: Rows of a statement's answer that are kept.
MOST_ROWS = 20


@dataclass(frozen=True)
class Job:
    """A maintenance script under its name."""

    name: str
    script: Script

    @classmethod
    def from_wire(cls, data: Wire) -> Job:
        """Rebuild from :func:`to_wire`."""
        return cls(data["name"], Script.from_wire(data["script"]))


def run(target: Target, jobs: Sequence[Job], options: Options, emit: Emit = lambda _: None) -> Wire:
    """Run jobs one after the other; one that fails does not stop the others.

    Returns ``status`` (done, failed) and ``jobs``: for each its name, status (done, skipped, failed), the rows it
    counted, its passes, duration in milliseconds and error.  Raises WindlassError where no job could begin.
    """
    with connect(target, f"windlass {options.run_id} {options.who}") as session:
        _require_journal(session)
        before = introspect.snapshot(session) if memory.recall(session) else None
    done = [_on_its_own(target, job, options, emit) for job in jobs]
    if before is not None:
        _keep_own_changes(target, before, options)
    failed = [item for item in done if item["status"] == "failed"]
    return {
        "run_id": options.run_id,
        "status": "failed" if failed else "done",
        "changed": any(item["rows"] for item in done),
        "jobs": done,
        "error": failed[0]["error"] if failed else None,
    }


def _keep_own_changes(target: Target, before: introspect.Schema, options: Options) -> None:
    """Let what the jobs changed of the schema (a new partition) be no drift; that is no reason for a job to fail.

    A deployment may have kept the schema meanwhile: under the lock ours is laid over what the last one kept.
    """
    name, wait_s = f"windlass {options.run_id} {options.who}", options.deploy_lock_wait_s
    with (
        suppress(ServerError, WindlassError),
        connect(target, name) as session,
        journal.deployer_lock(session, wait_s, lambda _: None),
    ):
        memory.keep_own_changes(session, before, options.run_id, options.who)


def _require_journal(session: Session) -> None:
    """Refuse a database that was never deployed to: there is nothing to look after, and nowhere to write it down."""
    if not journal.read(session).exists:
        raise WindlassError(
            "preflight_failed",
            "nothing was ever deployed here, so there is nothing to maintain",
            hint="deploy first: invoke deploy --env ENV",
            where={"database": session.target.name},
        )


def _on_its_own(target: Target, job: Job, options: Options, emit: Emit) -> Wire:
    """Run one job on a session of its own; return how it ended."""
    work = _Work(job)
    place = {"database": target.name, "name": job.name}
    emit({"event": "job_started", **place})
    try:
        with connect(target, f"windlass {options.run_id} {options.who}") as session:
            work.run(session, options)
    except WindlassError as error:
        work.failed(error.located(database=target.name, file=job.script.path))
    except ServerError as error:
        work.failed(_told(error, target, job, work.line))
    emit({"event": "job_done", **place, "status": work.status, "rows": work.rows, "duration_ms": work.duration_ms})
    return work.to_wire()


class _Work:
    """One job under way."""

    def __init__(self, job: Job) -> None:
        """Nothing is done yet."""
        self._job = job
        self._began = time.monotonic()
        self.status = "done"
        self.rows, self.passes, self.line, self.duration_ms = 0, 0, 0, 0
        self.answer: list[list[Any]] = []
        self._wire_error: Optional[Wire] = None
        self.note = ""

    def run(self, session: Session, options: Options) -> None:
        """Take the job's own lock, go pass by pass, and write down what was done.  Raise ServerError, WindlassError."""
        dialect = session.dialect
        if not dialect.try_job_lock(session.link, self._job.name):
            self.status, self.note = "skipped", "the same job is at work already"
            return self._end()
        try:
            self._passes(session, options)
        except (ServerError, WindlassError) as error:
            self._write_down(session, options, "maintenance_failed", str(error))
            raise
        self._end()
        self._write_down(session, options, "maintained", f"{self.rows} rows in {self.passes} passes")

    def failed(self, error: WindlassError) -> None:
        """Note why the job ended early."""
        self.status, self._wire_error = "failed", error.to_wire()
        self._end()

    def to_wire(self) -> Wire:
        """Return plain data."""
        return {
            "name": self._job.name,
            "status": self.status,
            "rows": self.rows,
            "passes": self.passes,
            "answer": to_wire(self.answer),
            "note": self.note,
            "duration_ms": self.duration_ms,
            "error": self._wire_error,
        }

    def _end(self) -> None:
        self.duration_ms = int((time.monotonic() - self._began) * 1000)

    def _passes(self, session: Session, options: Options) -> None:
        """Go over the script once, or until a pass finds nothing more to do."""
        pause_ms = self._job.script.directives.repeat_ms
        while True:
            found = self._pass_with_lock(session, options)
            self.passes += 1
            self.rows += found
            if pause_ms is None or not found:
                return
            if time.monotonic() - self._began > TIME_LIMIT_S:
                self.note = f"not finished after {TIME_LIMIT_S:.0f} s; the rest is left to the next time"
                return
            time.sleep(pause_ms / 1000)

    def _pass_with_lock(self, session: Session, options: Options) -> int:
        """Make one pass under the deployer lock, again where it lost another lock."""
        pause = LOCK_PAUSE_S
        with journal.deployer_lock(session, options.deploy_lock_wait_s, lambda _: None):
            try:
                for attempt in range(1, LOCK_TRIES + 1):
                    try:
                        return self._pass(session, options)
                    except ServerError as error:
                        _give_up(session, error)
                        if attempt == LOCK_TRIES or not session.dialect.is_lock_failure(error):
                            raise
                    time.sleep(pause)
                    pause *= 2
            finally:
                _unlock(session)
        raise AssertionError("the last try returns or raises")

    def _pass(self, session: Session, options: Options) -> int:
        """Run the script's statements in one transaction; return the rows that it counts."""
        script, dialect = self._job.script, session.dialect
        lock_ms = script.directives.lock_timeout_ms
        timeouts = (
            options.lock_timeout_ms if lock_ms is None else lock_ms,
            script.directives.statement_timeout_ms or 0,
        )
        session.run(dialect.begin(*timeouts))
        affected, answers = 0, []
        for statement in script.statements:
            self.line = statement.line
            count, rows = session.link.ask(script.sql(statement))
            affected += count
            answers += [rows] if rows is not None else []
        session.run("COMMIT")
        self.answer = [list(row) for rows in answers for row in rows][:MOST_ROWS]
        return sum(map(_counted, answers)) if answers else affected

    def _write_down(self, session: Session, options: Options, event: str, detail: str) -> None:
        """Write an event into the journal's log."""
        script = self._job.script
        step = Step("maintain", "maintenance", self._job.name, "", script)
        plan = Plan("", session.target.name, session.target.system, "maintain", "")
        self._end()
        sql = session.dialect.journal.event(event, plan, step, options, detail, self.duration_ms)
        try:
            session.run([*session.dialect.own_session(), sql] if event == "maintained" else sql)
        except ServerError:
            if event == "maintained":
                raise


def _counted(rows: Sequence[Sequence[Any]]) -> int:
    """Return what an answer counts: the numbers of a single row of numbers, else the rows."""
    if len(rows) == 1 and all(isinstance(value, int) or value is None for value in rows[0]):
        return sum(value or 0 for value in rows[0])
    return len(rows)


def _give_up(session: Session, error: ServerError) -> None:
    """Roll back; a lost session has nothing to roll back."""
    if not error.lost:
        session.run("ROLLBACK")


def _unlock(session: Session) -> None:
    """Give the deployer lock back; a lost session holds none."""
    try:
        session.dialect.unlock(session.link)
    except ServerError:
        return


def _told(error: ServerError, target: Target, job: Job, line: int) -> WindlassError:
    """Return a failure of the server with its place."""
    text = f"{error.message} ({error.code_text})" if error.code_text else error.message
    state = "the pass was rolled back, unless its commit had come through" if error.lost else "the pass was rolled back"
    return WindlassError(
        "connection_lost" if error.lost else "maintenance_failed",
        text,
        hint=f"{state}; mend the cause, then: invoke maintain --env ENV --job {job.name}",
        where={"database": target.name, "file": job.script.path, "line": line},
    )
