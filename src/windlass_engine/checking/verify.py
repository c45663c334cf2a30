"""Verify is SQL that returns the failures: a check passes when it returns no row, and each row is a message."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Callable

from ..dialects.link import ServerError
from ..errors import WindlassError
from ..messages import Messages, Refused
from ..model import CheckResult, Script, Statement, Target, Wire
from ..session import Session, connect

#: No more messages of one check are kept than this; the count says how many there were.
MOST_FAILURES = 50


def run_checks(
    target: Target,
    scripts: Sequence[Script],
    kind: str = "check",
    scratch: bool = False,
    emit: Callable[[Wire], None] = lambda _: None,
) -> list[CheckResult]:
    """Run check scripts (read-only) or sample-data tests (always rolled back).

    ``kind`` is ``check`` or ``sample``; samples that need a scratch database run only where ``scratch`` is true.
    Raises WindlassError (login_refused, database_unreachable, connection_lost).
    """
    results: list[CheckResult] = []
    with connect(target, f"windlass {kind}s") as session:
        for script in scripts:
            if script.directives.scratch and not scratch:
                continue
            found = run_script(session, script, writable=kind == "sample")
            for result in found:
                emit(
                    {
                        "event": "check_done",
                        "database": target.name,
                        "name": result.name,
                        "passed": result.passed,
                        "duration_ms": result.duration_ms,
                    }
                )
            results += found
    return results


def run_script(session: Session, script: Script, *, writable: bool) -> list[CheckResult]:
    """Run one script's statements in a transaction that is always rolled back.

    A script that asks for a scratch database needs commits, so its statements commit one by one.  Each named
    statement gives one result.  A statement that fails ends the script, as the transaction is lost: the checks behind
    it are reported as not run.  Raises WindlassError (connection_lost): then no check has found anything.
    """
    results: list[CheckResult] = []
    try:
        if not script.directives.scratch:
            session.run(_opening(session, script, writable))
        _run_statements(session, script, results)
    except ServerError as error:
        if error.lost:
            raise _lost(session, script, error) from error
        results.append(CheckResult(script.path, script.path, 0, error=error.message))
    finally:
        _end(session)
    return results


def _lost(session: Session, script: Script, error: ServerError) -> WindlassError:
    """Return the error of checks that nobody could end."""
    hint = "no check has found anything; when the server is up: invoke verify --env ENV"
    where = {"database": session.target.name, "file": script.path}
    return WindlassError(
        "connection_lost", f"the server was lost during the checks: {error.message}", hint=hint, where=where
    )


def _opening(session: Session, script: Script, writable: bool) -> tuple[str, ...]:
    """Return what opens the transaction."""
    lock_ms, statement_ms = (
        script.directives.lock_timeout_ms or 0,
        script.directives.statement_timeout_ms or 0,
    )
    return session.dialect.begin(lock_ms, statement_ms, read_only=not writable)


def _run_statements(session: Session, script: Script, results: list[CheckResult]) -> None:
    """Run statement by statement until one fails; add to ``results``."""
    names = [statement for statement in script.statements if statement.check]
    whole = time.monotonic()
    for position, statement in enumerate(script.statements):
        began = time.monotonic()
        try:
            failures = _failures(session, script, statement)
        except (ServerError, Refused) as error:
            told = error.error if isinstance(error, Refused) else error
            if told.lost:
                raise told from error
            results.append(_result(script, statement, began, error=str(error)))
            later = [s for s in script.statements[position + 1 :] if s.check]
            results += [_result(script, s, began, error="not run: a statement before it failed") for s in later]
            return
        if statement.check:
            results.append(_result(script, statement, began, failures))
    if not names:
        results.append(CheckResult(script.path, script.path, 1, duration_ms=_elapsed_ms(whole)))


def _failures(session: Session, script: Script, statement: Statement) -> tuple[str, ...]:
    """Return the messages of a check, one a row; a set-up statement has none."""
    sql = script.sql(statement)
    if session.dialect.ends_transaction(sql) and not script.directives.scratch:
        raise ServerError("this statement does not stay in the transaction, so it could not be rolled back")
    if not statement.check:
        messages = Messages(session)
        (messages.send_copy if statement.copy_data else messages.send)(sql)
        return ()
    rows = session.query(sql)
    texts = [", ".join("NULL" if value is None else str(value) for value in row) for row in rows[:MOST_FAILURES]]
    if len(rows) > MOST_FAILURES:
        texts.append(f"and {len(rows) - MOST_FAILURES} more")
    return tuple(texts)


def _result(
    script: Script, statement: Statement, began: float, failures: tuple[str, ...] = (), error: str = ""
) -> CheckResult:
    """Return a statement's result, named by its check or, for a set-up statement, by its place."""
    name = statement.check or f"set-up statement at line {statement.line}"
    return CheckResult(name, script.path, statement.line, failures, error, _elapsed_ms(began))


def _elapsed_ms(began: float) -> int:
    """Return the milliseconds since ``began``."""
    return int((time.monotonic() - began) * 1000)


def _end(session: Session) -> None:
    """Roll back and give the session its own settings back; a lost one has nothing to roll back."""
    try:
        session.run("ROLLBACK")
        session.run(session.dialect.reset_session(session.link))
    except ServerError:
        session.close()
