"""Runs one scheduled job: what a timer's service starts, and a person may start as well.

The job's playbook does the work; around it is its account, with the lock that lets it run once at a time.
"""

from __future__ import annotations

import os
import shlex

from windlass import playbook
from windlass.records import record
from windlass.schedule import judging, place
from windlass.schedule.jobs import Job, find
from windlass.settings import Settings
from windlass.telling import console
from windlass_engine.errors import CODES, WindlassError
from windlass_engine.scheduled.account import Account, Ending

#: How often a job begins again after a person wanted what it worked on; each time it waits for that person's run.
_TRIES = 3
#: Priorities of the journal: an error, and a notice.
_BAD, _NEWS = "<3>", "<5>"


def run(settings: Settings, environment: str, name: str, *, verbose: int = 0) -> int:
    """Run a job and return its exit code; one that runs already is left alone, which is no failure."""
    environment, job = _known(settings, environment), find(name)
    account = _account(settings, environment, job)
    with account.alone() as only_one:
        if only_one:
            return account.close(_carried_out(settings, environment, job, verbose))
        account.say("runs already; nothing is done", False)
        return 0


def died(settings: Settings, environment: str, name: str) -> int:
    """Close the account of a job whose process was ended before it could do so itself; return 0.

    The service that systemd starts on a failure calls this.
    """
    _account(settings, _known(settings, environment), find(name)).close_for_dead()
    return 0


def _known(settings: Settings, environment: str) -> str:
    """Return an environment's name.  Raises ``usage`` for an unknown one.

    One that has a ledger may have lost its inventory: that is a failure to be told, not a slip of the hand.
    """
    if environment and place.folder(settings, environment).is_dir():
        return environment
    return settings.environment(environment)


def _account(settings: Settings, environment: str, job: Job) -> Account:
    folder = place.folder(settings, environment)
    record.private_folder(folder)

    def say(text: str, bad: bool) -> None:
        priority = (_BAD if bad else _NEWS) if os.environ.get("JOURNAL_STREAM") else ""
        print(f"{priority}windlass {shlex.quote(environment)} {job.name} {console.printable(text)}", flush=True)

    return Account(str(folder), place.label(environment), job.name, f"{place.prefix(environment)}-{job.name}", say)


def _carried_out(settings: Settings, environment: str, job: Job, verbose: int) -> Ending:
    """Run a job's playbook, again after it gave way to a person's run."""
    own = {"windlass_scheduled": True, "windlass_who": f"{record.who()} by the clock"}
    try:
        call = playbook.Call(
            job.playbook, settings.environment(environment), {**job.variables, **own}, verbose=verbose
        )  # fmt: skip
        for _ in range(_TRIES):
            found = playbook.run(settings, call)
            if not judging.gave_way(found):
                break
        return judging.judge(job, found)
    except WindlassError as error:
        return Ending(error.exit_code, error.message)
    except OSError as error:  # such as a full disk of the control node
        return Ending(CODES["internal_error"][0], f"the run's own files: {error}")
