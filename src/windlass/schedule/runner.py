"""Runs one scheduled job: what a timer's service starts, and a person may start as well.

The job's playbook does the work.  Around it are the lock that lets it run once at a time, the ledger, the metrics and
the word to others, none of which can make the job fail.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Any

from windlass import console, playbook, record
from windlass.schedule import judging, place
from windlass.schedule.jobs import Job, find
from windlass.schedule.judging import Outcome
from windlass.settings import Settings
from windlass_engine.errors import CODES, WindlassError
from windlass_engine.scheduled import hooks, ledger, metrics

#: How often a job begins again after a person wanted what it worked on; each time it waits for that person's run.
_TRIES = 3
#: Priorities of the journal: an error, and a notice.
_BAD, _NEWS = "<3>", "<5>"


def run(settings: Settings, environment: str, name: str, *, verbose: int = 0) -> int:
    """Run a job and return its exit code; one that runs already is left alone, which is no failure."""
    job = find(name)
    folder = place.folder(settings, environment)
    record.private_folder(folder)
    with ledger.alone(str(folder), job.name) as only_one:
        if not only_one:
            say(environment, job, "runs already; nothing is done", bad=False)
            return 0
        ledger.begin(str(folder), job.name)
        tell(folder, environment, job, hooks.START, "")
        return finish(folder, environment, job, _carried_out(settings, environment, job, verbose))


def died(settings: Settings, environment: str, name: str) -> int:
    """Close the account of a job whose process was ended before it could do so itself; return 0.

    The service that systemd starts on a failure calls this.  A job that told its failure itself is left as it is.
    """
    job = find(name)
    folder = place.folder(settings, environment)
    record.private_folder(folder)
    with ledger.alone(str(folder), job.name) as only_one:
        told = ledger.read(str(folder))["jobs"].get(job.name, {})
        if not only_one or (told.get("status") == ledger.FAILED and not told.get("began")):
            return 0
        why = os.environ.get("MONITOR_SERVICE_RESULT") or "its process was ended"  # newer systemd says it
        unit = f"{place.prefix(environment)}-{job.name}"
        message = f"did not come to its end ({why}); journalctl -u {unit} says more"
        finish(folder, environment, job, Outcome(CODES["run_lost"][0], message))
    return 0


def finish(folder: Path, environment: str, job: Job, outcome: Outcome) -> int:
    """Write down and tell how a job ended; return its exit code."""
    ledger.learn(str(folder), outcome.facts)
    ledger.finish(
        str(folder), job.name, exit_code=outcome.exit_code, message=outcome.message, run_id=outcome.run_id
    )  # fmt: skip
    write_metrics(folder, environment, job)
    tell(folder, environment, job, hooks.FAILURE if outcome.exit_code else hooks.SUCCESS, outcome.message, outcome)
    ending = f"FAILED, exit {outcome.exit_code}: {outcome.message}" if outcome.exit_code else f"ok: {outcome.message}"
    say(environment, job, ending, bad=bool(outcome.exit_code))
    return outcome.exit_code


def _carried_out(settings: Settings, environment: str, job: Job, verbose: int) -> Outcome:
    """Run a job's playbook, again after it gave way to a person's run."""
    own = {"windlass_scheduled": True, "windlass_who": f"{record.who()} by the clock"}
    call = playbook.Call(job.playbook, environment, {**job.variables, **own}, verbose=verbose)
    try:
        for _ in range(_TRIES):
            found = playbook.run(settings, call)
            if not judging.gave_way(found):
                break
        return judging.judge(job, found)
    except WindlassError as error:
        return Outcome(error.exit_code, error.message)


def write_metrics(folder: Path, environment: str, job: Job) -> None:
    """Write the metrics of the environment where a folder for them is set; what goes wrong is only said."""
    target = place.telling(folder).get("metrics")
    if not target:
        return
    path = Path(target) / f"{place.prefix(environment)}.prom"
    text = metrics.render(place.label(environment), ledger.read(str(folder)))
    try:
        ledger.publish(str(path), text, 0o644)
    except OSError as error:
        say(environment, job, f"the metrics {path} cannot be written: {error.strerror}", bad=True)


def tell(folder: Path, environment: str, job: Job, moment: str, message: str, outcome: Outcome | None = None) -> None:
    """Tell webhook and command of a moment; what goes wrong is only said."""
    known = place.telling(folder)
    address = known.get("webhooks", {}).get(job.name) or known.get("webhook")
    if address:
        text = f"{place.prefix(environment)}-{job.name}: {message}" if message else ""
        wrong = hooks.ping(address, moment, text, known.get("webhook_timeout", 10))
        if wrong:
            say(environment, job, wrong, bad=True)
    if known.get("command") and outcome:
        wrong = hooks.command(known["command"], _told(environment, job, moment, outcome))
        if wrong:
            say(environment, job, wrong, bad=True)


def _told(environment: str, job: Job, moment: str, outcome: Outcome) -> dict[str, str]:
    """Return what a command gets to know, by variables."""
    values: dict[str, Any] = {
        "environment": environment, "job": job.name, "result": moment, "exit_code": outcome.exit_code,
        "message": outcome.message, "run_id": outcome.run_id,
    }  # fmt: skip
    return {key: str(value) for key, value in values.items()}


def say(environment: str, job: Job, text: str, *, bad: bool) -> None:
    """Print a line; the journal gets it with its priority."""
    priority = (_BAD if bad else _NEWS) if os.environ.get("JOURNAL_STREAM") else ""
    print(f"{priority}windlass {shlex.quote(environment)} {job.name} {console.printable(text)}", flush=True)
    sys.stdout.flush()
