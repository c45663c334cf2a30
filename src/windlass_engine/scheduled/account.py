"""The account of one scheduled job: what is written down, measured and told around its work.

Nothing of it can make the job fail: what goes wrong is said, and the work goes on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Callable

from ..errors import CODES
from ..model import Wire
from . import hooks, ledger, metrics

#: The file beside the ledger that says whom to tell: metrics, webhook, webhooks, webhook_timeout, command; and which
#: ``jobs`` have a timer.
TELLING = "telling.json"
Facts = Mapping[str, Mapping[str, Wire]]
#: Takes a line for people, and whether it is about something that went wrong.
Say = Callable[[str, bool], None]


@dataclass(frozen=True)
class Ending:
    """How a job ended: 0 for success, one line for people, and what was learnt of databases (by host and name).

    ``standing`` are all databases that there are, by host (none of a host: it was not seen); empty: not all were seen.
    """

    exit_code: int
    message: str
    run_id: str = ""
    facts: Facts = field(default_factory=dict)
    standing: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Account:
    """One job of an environment; ``folder`` has its ledger, ``unit`` is the name of its service."""

    folder: str
    environment: str
    job: str
    unit: str
    say: Say

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Tell whether the job runs nowhere else, and keep it so; its beginning is written down and told.

        Raise OSError where there can be no lock.
        """
        with ledger.alone(self.folder, self.job) as only_one:
            if only_one:
                self._close_for_fallen()
                self._write(lambda: ledger.begin(self.folder, self.job))
                self._tell(hooks.START, "")
            yield only_one

    def close(self, ending: Ending) -> int:
        """Write down, measure and tell how the job ended; return its exit code."""
        code, message = ending.exit_code, ending.message
        self._write(lambda: ledger.learn(self.folder, ending.facts))
        if ending.standing:
            self._write(lambda: ledger.keep_only(self.folder, ending.standing))
        self._write(
            lambda: ledger.finish(self.folder, self.job, exit_code=code, message=message, run_id=ending.run_id)
        )  # fmt: skip
        self._measure()
        moment = hooks.FAILURE if code else hooks.SUCCESS
        self._tell(moment, message)
        self._command(moment, ending)
        self.say(f"FAILED, exit {code}: {message}" if code else f"ok: {message}", bool(code))
        return code

    def close_for_dead(self) -> None:
        """Close the account of a job whose process was ended before it could; one that told its failure is left."""
        with ledger.alone(self.folder, self.job) as only_one:
            known = ledger.read(self.folder)["jobs"].get(self.job, {})
            if not only_one or (known.get("status") == ledger.FAILED and not known.get("began")):
                return
            why = os.environ.get("MONITOR_SERVICE_RESULT") or "its process was ended"  # newer systemd says it
            message = f"did not come to its end ({why}); journalctl -u {self.unit} says more"
            self.close(Ending(CODES["run_lost"][0], message))

    # ------------------------------------------------------------ parts

    def _close_for_fallen(self) -> None:
        """Tell of jobs, this one or others, that ended so that nobody could close their accounts: with the machine."""
        gone: dict[str, Wire] = {}
        self._write(lambda: gone.update(ledger.fall(self.folder, self.job)))
        for job, entry in sorted(gone.items()):
            unit = self.unit[: -len(self.job)] + job
            other = replace(self, job=job, unit=unit)
            ending = Ending(entry["exit_code"], f"{entry['message']} (it began {entry['started']})")
            other._tell(hooks.FAILURE, ending.message)
            other._command(hooks.FAILURE, ending)
            self.say(f"{job} FAILED, exit {ending.exit_code}: {ending.message}", True)
        if gone:
            self._measure()

    @property
    def _telling(self) -> Wire:
        try:
            with open(os.path.join(self.folder, TELLING), encoding="utf-8") as file:
                found: Any = json.load(file)
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, work: Callable[[], object]) -> None:
        try:
            work()
        except OSError as error:
            self.say(f"the ledger in {self.folder} cannot be written: {error.strerror}", True)

    def _measure(self) -> None:
        """Write the metrics of the environment where a folder for them is set."""
        known = self._telling
        folder = known.get("metrics")
        if not folder:
            return
        path = os.path.join(folder, f"windlass-{self.environment}.prom")
        try:
            found = ledger.read(self.folder)
            if "jobs" in known:  # one that has no timer any more would look like one that hangs
                found["jobs"] = {name: entry for name, entry in found["jobs"].items() if name in known["jobs"]}
            ledger.publish(path, metrics.render(self.environment, found), 0o644)
            if not self._telling.get("metrics"):  # the timers were taken away meanwhile, and nobody would renew them
                os.unlink(path)
        except OSError as error:
            self.say(f"the metrics {path} cannot be written: {error.strerror}", True)

    def _tell(self, moment: str, message: str) -> None:
        """Tell the job's webhook, or that of all jobs."""
        known = self._telling
        address = (known.get("webhooks") or {}).get(self.job) or known.get("webhook")
        if address:
            text = f"{self.unit}: {message}" if message else ""
            self._complain(hooks.ping(address, moment, text, known.get("webhook_timeout", 10)))

    def _command(self, moment: str, ending: Ending) -> None:
        path = self._telling.get("command")
        if path:
            told = {
                "environment": self.environment, "job": self.job, "result": moment, "message": ending.message,
                "exit_code": str(ending.exit_code), "run_id": ending.run_id,
            }  # fmt: skip
            self._complain(hooks.command(path, told))

    def _complain(self, wrong: str) -> None:
        if wrong:
            self.say(wrong, True)
