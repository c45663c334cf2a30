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
extends_documentation_fragment:
  - windlass.record
options:
  front:
    description: Whether the front door runs this playbook and gives the hints by itself.
    type: bool
    default: false
    env:
      - name: WINDLASS_FRONT
requirements:
  - set as stdout_callback in the configuration
"""

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

from windlass.records.recording import Recording, environment_of, failure_of
from windlass.telling import closing, console, lines, summary

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
        Recording.claimed = True
        self._recording = Recording(ROOT)
        self._batch: list[str] = []
        self._told: dict[tuple[str, str], str] = {}

    # ------------------------------------------------------------ begin

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self._recording.begin(
            self.get_option("verb") or Path(playbook._file_name).stem,
            self.get_option("environment_name") or environment_of(context.CLIARGS.get("inventory") or ()),
            check=bool(context.CLIARGS.get("check")),
            path=self.get_option("record") or "",
            ended_early=self._close,
        )

    def v2_playbook_on_play_start(self, play: Any) -> None:
        known = play.get_variable_manager().get_vars(play=play)
        self._recording.hosts(known.get("ansible_play_hosts_all") or ())
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
            self._failed(host, failure_of(result), silent="windlass_doctor" in data)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        host = result.host.get_name()
        self._dump(host, result.result)
        if not result.task.ignore_unreachable:
            self._failed(host, failure_of(result, unreachable=True), unreachable=True)

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
        error = self._recording.nobody()
        if error:
            self._say(str(error), C.COLOR_ERROR)

    # ------------------------------------------------------------ end

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._close()

    def _close(self) -> None:
        run = self._recording.run
        self._recording.finish()
        try:
            for line in closing.lines(run, front=self.get_option("front")):
                self._say(line.text, COLOURS.get(line.style))
        finally:  # a record that nobody could read aloud is needed all the more
            page = self._recording.keep()
        if page:
            self._say(closing.ending(run, _short(page)), COLOURS[closing.ending_style(run)])

    # ------------------------------------------------------------ parts

    def _take(self, host: str, data: Mapping[str, Any]) -> None:
        self._recording.take(host, data)
        for text in summary.news(host, data, self._recording.run["verb"]):
            self._say(text)

    def _failed(self, host: str, error: Mapping[str, Any], unreachable: bool = False, silent: bool = False) -> None:
        """Keep a failure and tell it, unless it only repeats an earlier one or the closing tells it better."""
        news = self._recording.failed(host, error, unreachable=unreachable)
        if not news or silent:
            return
        first = self._told.setdefault((error["code"], error["message"]), host)
        again = first != host
        text = lines.repetition(error, first) if again else "\n".join(lines.failure(error))
        self._say(text, C.COLOR_ERROR)

    def _announce(self, what: str, name: str) -> None:
        heading = self._recording.step(name)
        if heading:
            hosts = f"   {', '.join(self._batch)}" if self._batch else ""
            self._say(f"\n{heading}{hosts}", C.COLOR_HIGHLIGHT)
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


def _own(data: Mapping[str, Any]) -> bool:
    return any(key.startswith("windlass_") for key in data)


def _short(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
