# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Works out what timers on a target need: the packed engine, logins, and what each job does."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass.actions import ROOT, WindlassAction, names_of
from windlass.environment import Database
from windlass.schedule import packing, place, units
from windlass.settings import Settings
from windlass_engine.keeping import retention
from windlass_engine.keeping.offsite import Repository

Step = dict[str, Any]


class ActionModule(WindlassAction):
    """See plugins/modules/db_timer.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "backup_dir": "", "client_bin": "", "recipients": (), "retention": None, "offsite": None,
    }  # fmt: skip

    def work(self) -> None:
        retention.policy_of(self.args["retention"])  # a mistake is told now, not at night
        Repository.of(self.args["offsite"])
        program = Settings(ROOT).state / "schedule" / "windlass.pyz"
        packing.pack(ROOT, program)
        found = units.for_target(self.environment, self.vars, self._state(), self._python(), program)
        work = {"environment": place.label(self.environment), "host": self.host, "jobs": self._jobs()}
        self.result["windlass_units"] = {**found, "schedule_work": work}
        self.result["_ansible_no_log"] = True  # logins

    def _state(self) -> str:
        argv = ["sh", "-c", units.FIND_STATE, "sh", str(self.args["state_dir"] or "")]
        return str(self.run_command(argv)["stdout"]).strip()

    def _python(self) -> str:
        facts = self.vars.get("ansible_facts") or {}
        return str((facts.get("python") or {}).get("executable") or "/usr/bin/python3")

    def _jobs(self) -> dict[str, list[Step]]:
        """Return each job's steps: a module with its parameters."""
        after = [database for database in self.databases if database.policy.prune == "after_backup"]
        saved = [self._step("db_backup", self.databases, **self._backup())]
        copied = [self._step("db_offsite", self.databases, **self._offsite())] if self.args["offsite"] else []
        checked = [self._step("db_offsite", self.databases, **self._offsite(check=True))] if copied else []
        gone = [self._step("db_prune", after, **self._prune())] if after and self.args["retention"] else []
        return {
            "backup": [*saved, *copied, *gone],
            "offsite": copied,
            "offsite-check": checked,
            "prune": [self._step("db_prune", self.databases, **self._prune())],
        }

    def _step(self, module: str, databases: Sequence[Database], **params: Any) -> Step:
        clock = {"run_id": "", "who": "the clock", "origin": "", "check_mode": False}
        common = {
            "databases": [database.login() for database in databases],
            "settings": {database.name: {**self.settings(database), **clock} for database in databases},
            "state_dir": str(self.args["state_dir"] or ""),
            "backup_dir": str(self.args["backup_dir"] or ""),
        }
        return {"module": module, "params": {**common, **params}}

    def _backup(self) -> dict[str, Any]:
        recipients = names_of(self.args["recipients"])
        return {
            "client_bin": str(self.args["client_bin"] or ""), "recipients": recipients, "why": "by the clock",
            "size_bands": {database.name: database.policy.backup_size_band for database in self.databases},
            # At night a backup that cannot be copied is better than none; the step that copies tells of it.
            "copies_offsite": False,
        }  # fmt: skip

    def _offsite(self, check: bool = False) -> dict[str, Any]:
        return {"offsite": self.args["offsite"], "create": False, "check": check, "fetch": ""}

    def _prune(self) -> dict[str, Any]:
        return {"retention": self.args["retention"], "offsite": self.args["offsite"]}
