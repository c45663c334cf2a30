# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
name: windlass_record
type: notification
short_description: Keeps the record and the report of a run where another callback writes to the screen
description:
  - Ansible has one callback for the screen. Where that is not C(windlass), as under AWX, this one writes C(record.json)
    and C(report.html) into C(.windlass/runs/<run id>/), with the same content. Otherwise it stays idle.
extends_documentation_fragment:
  - windlass.record
requirements:
  - named in callbacks_enabled in the configuration
"""

import sys
from pathlib import Path
from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT / "src") not in sys.path:
    sys.path.insert(0, str(ROOT / "src"))

from windlass.records.recording import Recording, environment_of, failure_of


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "windlass_record"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        # The screen's callback is loaded before all others.
        self.disabled = Recording.claimed
        if not self.disabled:
            self._recording = Recording(ROOT)

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

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._recording.step(task.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        self._recording.take(result.host.get_name(), result.result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self.v2_runner_on_ok(result)
        if not ignore_errors:
            self._recording.failed(result.host.get_name(), failure_of(result))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        if not result.task.ignore_unreachable:
            self._recording.failed(result.host.get_name(), failure_of(result, unreachable=True), unreachable=True)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self.v2_runner_on_ok(result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self.v2_runner_on_ok(result)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        self._recording.nobody()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._close()

    def _close(self) -> None:
        self._recording.finish()
        page = self._recording.keep()
        if page:
            self._display.display(f"Windlass' report: {page}")
