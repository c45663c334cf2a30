"""A run's record while its playbook is under way: what both callback plugins share.

One process keeps one record.  The stdout callback claims it as soon as it is loaded; where another one writes to the
screen (under AWX, or with ``-o``), the notification callback finds it unclaimed and keeps it.
"""

from __future__ import annotations

import atexit
import os
import re
import signal
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from windlass import report
from windlass.records import evidence, record
from windlass.rollback import incidents
from windlass.telling import mishaps
from windlass_engine.errors import WindlassError

#: What a numbered step is called in plays: "2/7 Plan".
_HEADING = re.compile(r"(?:^|: )(\d+/\d+ .+)")


class Recording:
    """The record of the playbook that this process runs."""

    claimed = False

    def __init__(self, root: Path) -> None:
        """Name the run, for action plugins and playbooks too: the journal and the record mean the same one."""
        self.root = root
        self.run: record.Record = {}
        self._given = ""
        self._order: list[str] = []
        self._interrupted = False
        os.environ.setdefault("WINDLASS_RUN_ID", record.new_run_id())

    def begin(self, verb: str, environment: str, *, check: bool, path: str, ended_early: Callable[[], None]) -> None:
        """Start the record.

        ``path`` is where it shall be written ("": its usual place).  ``ended_early`` is called when Ansible ends
        without its statistics: after Ctrl-C, or an error in a playbook.
        """
        verb, _, scenario = verb.partition("-") if verb.startswith("rollback-") else (verb, "", "")
        self.run = record.new(verb, environment, os.environ["WINDLASS_RUN_ID"], check=check)
        self.run["scenario"] = scenario
        self._given = path
        self._notice_ctrl_c()
        atexit.register(self._ended_early, os.getpid(), ended_early)

    def step(self, name: str) -> str:
        """Note when a numbered step began; return its heading, an empty text for a play or task without a number."""
        found = _HEADING.search(name)
        heading = found[1] if found else ""
        if heading:
            self.run["timeline"].append({"at": record.now(), "step": heading})
        return heading

    def hosts(self, names: Iterable[str]) -> None:
        """Note a play's hosts in their order."""
        self._order += names

    def take(self, host: str, data: Mapping[str, Any]) -> None:
        """Put a task's result into the record."""
        record.merge(self.run, host, data)

    def failed(self, host: str, error: Mapping[str, Any], *, unreachable: bool = False) -> bool:
        """Keep a failure; return whether it is news, and not a consequence or a repetition of an earlier one."""
        known = self.run["hosts"].get(host, {}).get("error")
        record.fail(self.run, host, error, unreachable=unreachable)
        return not (known and (error["code"] == "internal_error" or error["message"] == known["message"]))

    def nobody(self) -> WindlassError | None:
        """Note that a play matches no host; return the error, or None when only a later play has nothing to do."""
        if self.run["hosts"]:
            return None
        error = WindlassError("usage", "no host of the inventory matches", hint="see `ansible-inventory --list`")
        self.run["error"] = error.to_wire()
        return error

    def finish(self) -> None:
        """Set how the run ended."""
        record.order(self.run, self._order)
        record.close(self.run, interrupted=self._interrupted)

    def keep(self) -> Path | None:
        """Write the record, and the report of a verb that changes something; return the report's path."""
        path = self._path()
        if path is None:
            return None
        text = record.dumps(self.run)
        record.write(path, text)
        incidents.keep(self.root, self.run)
        evidence.keep(self.root, self.run, text)
        if self.run["verb"] in record.READ_ONLY:
            return None
        page = path.with_name("report.html")
        record.write(page, report.render(self.run))
        return page

    def _path(self) -> Path | None:
        if self._given:
            return Path(self._given)
        if self.run["verb"] in record.FLEETING:
            return None
        return self.root / ".windlass" / "runs" / str(self.run["run_id"]) / "record.json"

    def _ended_early(self, pid: int, told: Callable[[], None]) -> None:
        if os.getpid() != pid or self.run["finished"]:
            return
        if not (self._interrupted or any(record.errors(self.run))):
            error = WindlassError("internal_error", "Ansible stopped in mid-run; its own message stands above")
            self.run["error"] = error.to_wire()
        told()

    def _notice_ctrl_c(self) -> None:
        before = signal.getsignal(signal.SIGINT)

        def noticed(number: int, frame: Any) -> None:
            self._interrupted = True
            if callable(before):
                before(number, frame)

        signal.signal(signal.SIGINT, noticed)


def failure_of(result: Any, *, unreachable: bool = False) -> dict[str, Any]:
    """Return the error (wire form) of one of Ansible's failed results."""
    host, data = result.host.get_name(), result.result
    if unreachable:
        return mishaps.error_of(host, data, unreachable=True)
    return mishaps.error_of(host, data, action=result.task.action, task=result.task_name)


def environment_of(inventory: Iterable[str]) -> str:
    """Return the environment's name: the folder of the first inventory source."""
    first = next((Path(source.rstrip(",")) for source in inventory), Path("default"))
    return first.name if first.is_dir() else first.resolve().parent.name
