# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
name: windlass
type: stdout
short_description: Shows a run in Windlass' words, keeps its record and writes its report
description:
  - Shows plays and tasks whose names begin with a number (C(2/7 Plan)) as headings, and beneath them what happened on
    each host and database. Everything else stays silent unless C(-v) is given.
  - Collects what the modules return (the C(windlass_*) keys) into a run record, and at the end writes
    C(record.json) and C(report.html) into C(.windlass/runs/<run id>/), also after a failure.
  - Values that are marked C(no_log) never reach it.
options:
  record:
    description: File for the record. Verbs that only look write no record unless this is set.
    type: path
    env:
      - name: WINDLASS_RECORD
  verb:
    description: What the operator asked for. The playbook's name when it is not set.
    type: str
    env:
      - name: WINDLASS_VERB
  environment_name:
    description: The environment's name. The inventory folder's name when it is not set.
    type: str
    env:
      - name: WINDLASS_ENV
  front:
    description: Whether the front door runs this playbook and gives the hints by itself.
    type: bool
    default: false
    env:
      - name: WINDLASS_FRONT
requirements:
  - set as stdout_callback in the configuration
"""

import atexit
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.plugins.callback import CallbackBase

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT / "src") not in sys.path:
    sys.path.insert(0, str(ROOT / "src"))

from windlass import closing, console, mishaps, record, report, summary
from windlass_engine.errors import WindlassError

HEADING = re.compile(r"(?:^|: )(\d+/\d+ .+)")
COLOURS = {
    "head": C.COLOR_HIGHLIGHT,
    "good": C.COLOR_OK,
    "bad": C.COLOR_ERROR,
    "warn": C.COLOR_WARN,
    "dim": C.COLOR_DEBUG,
}


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "windlass"

    def __init__(self) -> None:
        super().__init__()
        self._run: record.Record = {}
        self._interrupted = False
        self._order: list[str] = []
        self._batch: list[str] = []
        # Known to action plugins and playbooks too, so that the journal and the record name the same run.
        os.environ.setdefault("WINDLASS_RUN_ID", record.new_run_id())

    # ------------------------------------------------------------ begin

    def v2_playbook_on_start(self, playbook: Any) -> None:
        verb = self.get_option("verb") or Path(playbook._file_name).stem
        environment = self.get_option("environment_name") or _inventory_name()
        run_id = os.environ["WINDLASS_RUN_ID"]
        self._run = record.new(verb, environment, run_id, check=bool(context.CLIARGS.get("check")))
        self._notice_ctrl_c()
        atexit.register(self._ended_early, os.getpid())

    def v2_playbook_on_play_start(self, play: Any) -> None:
        known = play.get_variable_manager().get_vars(play=play)
        self._order += known.get("ansible_play_hosts_all") or ()
        self._batch = list(known.get("ansible_play_batch") or ()) if play.serial else []
        self._announce("play", play.get_name())

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._announce("task", task.get_name())

    # ------------------------------------------------------------ results

    def v2_runner_on_ok(self, result: Any) -> None:
        host, data = result.host.get_name(), result.result
        self._handle_warnings(data)
        self._take(host, data)
        if result.task.action in C._ACTION_DEBUG:
            self._say(str(data.get("msg", "")))
        elif data.get("changed") and not _own(data):
            self._say(f"{host}  {console.printable(result.task_name)}", C.COLOR_CHANGED)
        self._dump(host, data)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        host, data = result.host.get_name(), result.result
        self._handle_warnings(data)
        self._take(host, data)
        self._dump(host, data)
        if not ignore_errors:
            error = mishaps.error_of(host, data, action=result.task.action, task=result.task_name)
            self._failed(host, error, silent="windlass_doctor" in data)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        host = result.host.get_name()
        self._dump(host, result.result)
        if not result.task.ignore_unreachable:
            self._failed(host, mishaps.error_of(host, result.result, unreachable=True), unreachable=True)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._verbose(f"{result.host.get_name()}  skipped: {result.task_name}")

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._take(result.host.get_name(), result.result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._take(result.host.get_name(), result.result)

    def v2_runner_retry(self, result: Any) -> None:
        self._verbose(f"{result.host.get_name()}  tries again: {result.task_name}")

    def v2_on_file_diff(self, result: Any) -> None:
        difference = self._get_diff(result.result["diff"]) if result.result.get("diff") else ""
        if difference and not _own(result.result):
            self._say(difference)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        if self._run["hosts"]:
            return  # a later play, for which no host has anything to do
        error = WindlassError("usage", "no host of the inventory matches", hint="see `ansible-inventory --list`")
        self._run["error"] = error.to_wire()
        self._say(str(error), C.COLOR_ERROR)

    # ------------------------------------------------------------ end

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._close()

    def _ended_early(self, pid: int) -> None:
        """Keep the record when Ansible ends without its statistics: Ctrl-C, or an error in a playbook."""
        if os.getpid() != pid or not self._run or self._run["finished"]:
            return
        if not (self._interrupted or any(record.errors(self._run))):
            error = WindlassError("internal_error", "Ansible stopped in mid-run; its own message stands above")
            self._run["error"] = error.to_wire()
        self._close()

    def _close(self) -> None:
        run = self._run
        record.order(run, self._order)
        record.close(run, interrupted=self._interrupted)
        for line in closing.lines(run, front=self.get_option("front")):
            self._say(line.text, COLOURS.get(line.style))
        path = self._record_path()
        if path:
            record.write(path, record.dumps(run))
        if path and run["verb"] not in record.READ_ONLY:
            record.write(path.with_name("report.html"), report.render(run))
            self._say(closing.ending(run, _short(path.with_name("report.html"))), COLOURS[closing.ending_style(run)])

    def _record_path(self) -> Path | None:
        given = self.get_option("record")
        if given:
            return Path(given)
        if self._run["verb"] in record.READ_ONLY:
            return None
        return ROOT / ".windlass" / "runs" / self._run["run_id"] / "record.json"

    # ------------------------------------------------------------ parts

    def _take(self, host: str, data: Mapping[str, Any]) -> None:
        record.merge(self._run, host, data)
        for text in summary.news(host, data, self._run["verb"]):
            self._say(text)

    def _failed(self, host: str, error: Mapping[str, Any], unreachable: bool = False, silent: bool = False) -> None:
        """Keep a failure and tell it, unless it only repeats an earlier one or the closing tells it better."""
        known = self._run["hosts"].get(host, {}).get("error")
        record.fail(self._run, host, error, unreachable=unreachable)
        again = known and (error["code"] == "internal_error" or error["message"] == known["message"])
        if not (again or silent):
            self._say("\n".join(closing.failure(error)), C.COLOR_ERROR)

    def _announce(self, what: str, name: str) -> None:
        heading = HEADING.search(name)
        if heading:
            hosts = f"   {', '.join(self._batch)}" if self._batch else ""
            self._say(f"\n{heading[1]}{hosts}", C.COLOR_HIGHLIGHT)
        else:
            self._verbose(f"{what}: {name}")

    def _say(self, text: str, colour: str | None = None) -> None:
        self._display.display(text, color=colour)

    def _verbose(self, text: str) -> None:
        if self._display.verbosity > 0:
            self._say(text, C.COLOR_VERBOSE)

    def _dump(self, host: str, data: Mapping[str, Any]) -> None:
        if self._display.verbosity > 1:
            self._say(f"{host} => {self._dump_results(data)}", C.COLOR_VERBOSE)

    def _notice_ctrl_c(self) -> None:
        before = signal.getsignal(signal.SIGINT)

        def noticed(number: int, frame: Any) -> None:
            self._interrupted = True
            if callable(before):
                before(number, frame)

        signal.signal(signal.SIGINT, noticed)


def _own(data: Mapping[str, Any]) -> bool:
    return any(key.startswith("windlass_") for key in data)


def _inventory_name() -> str:
    sources = context.CLIARGS.get("inventory") or ()
    first = Path(sources[0].rstrip(",")) if sources else Path("default")
    return first.name if first.is_dir() else first.resolve().parent.name


def _short(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
