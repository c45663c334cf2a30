# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans the units of a schedule, looks whether a host can have them, and says how they stand."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass.actions import ROOT, WindlassAction
from windlass.schedule import place, showing, units
from windlass.schedule.jobs import NAMES
from windlass.settings import Settings
from windlass_engine.errors import WindlassError

_FROM_OUTSIDE = ("ANSIBLE_VAULT_PASSWORD_FILE", "WINDLASS_AGE_IDENTITY", "DATABASE_URL")


class ActionModule(WindlassAction):
    """See plugins/modules/db_schedule.py."""

    COMMON: ClassVar[Mapping[str, Any]] = {}
    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "stage": "", "name": "", "jobs": (), "state": "", "command": (), "changed": None, "removed": False,
    }  # fmt: skip

    def work(self) -> None:
        stages = {"plan": self._plan, "times": self._times, "require": self._require, "look": self._look}
        stages[self.args["stage"]]()

    # ------------------------------------------------------------ on the control node

    def _plan(self) -> None:
        names = self.vars.get("groups", {}).get("databases") or []
        hosts = {name: self.vars["hostvars"][name] for name in names}
        settings = Settings(Path(str(self.vars.get("windlass_project_root") or ROOT)))
        self.result["windlass_units"] = units.for_control_node(settings, self._named(settings), hosts)
        self.result["_ansible_no_log"] = True  # a webhook's address is a secret

    def _named(self, settings: Settings) -> str:
        """Return the environment as `--env` takes it: its name, or the path of an inventory folder elsewhere."""
        known = self.environment
        return known if known in settings.environments or os.sep in known else str(self.vars.get("inventory_dir"))

    # ------------------------------------------------------------ on the units' host

    def _require(self) -> None:
        found = self.run_command(["systemctl", "list-timers", "--no-pager"])
        if found["rc"]:
            lines = units.crontab(self.args["command"], self.args["jobs"])
            raise WindlassError(
                "preflight_failed",
                "systemd does not run here, and the schedule is made of its timers: "
                + (str(found["stderr"]).strip().splitlines() or ["no systemctl"])[-1],
                hint="run it on a control node with systemd, or put lines like these into a crontab "
                "(choose the times yourself):\n" + "\n".join(lines),
            )

    def _times(self) -> None:
        """Show every time to systemd, where there is one."""
        if self.run_command(["sh", "-c", "command -v systemd-analyze"])["rc"] == 0:
            for job in self.args["jobs"]:
                for moment in job["at"]:
                    self._require_time(job["name"], moment)

    def _require_time(self, job: str, moment: str) -> None:
        found = self.run_command(["systemd-analyze", "calendar", "--", moment])
        if found["rc"]:
            said = str(found["stderr"]).strip().splitlines()
            raise WindlassError(
                "inventory_invalid",
                f"windlass_schedule.jobs.{job}: {moment!r} is no time that systemd understands: {(said or [''])[0]}",
                hint="`man systemd.time` has the form, `systemd-analyze calendar 'Mon *-*-* 02:00'` tries one",
                where=self._written(job, moment),
            )

    def _written(self, job: str, moment: str) -> dict[str, Any]:
        """Return file and line of the inventory where a job's time stands."""
        folder = Settings(ROOT).inventory(self._named(Settings(ROOT)))
        for path in sorted(folder.rglob("*.y*ml")):
            for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
                if moment in line and (job in line or "at:" in line or "- " in line):
                    return {"file": str(path), "line": number}
        return {}

    def _look(self) -> None:
        name, asked = self.args["name"] or place.label(self.environment), NAMES
        prefix = place.prefix(name)
        answer = self.run_command(showing.question(prefix, asked))
        if answer["rc"]:
            raise WindlassError("preflight_failed", "systemd does not run here, so there are no timers",
                                hint="see docs/schedule.md for other schedulers")  # fmt: skip
        folder = self._state()
        read = ["cat", "--", f"{folder}/ledger.json"]
        looks = [self.run_command(argv) for argv in (read, ["sh", "-c", showing.IDLE, "sh", folder], read)]
        earlier, idle, ledger = (str(look["stdout"]) for look in looks)
        jobs = showing.read(answer["stdout"], ledger, prefix, asked, earlier, idle)
        part: dict[str, Any] = {"jobs": jobs}
        if self.args["changed"] is not None:
            check = bool(self._task.check_mode)
            planned = [{"job": job["name"]} for job in self.args["jobs"]]
            part = {"jobs": planned if check and not self.args["removed"] else jobs, "check": check,
                    "changed": bool(self.args["changed"]) or (check and self._to_be_started(jobs)),
                    "removed": bool(self.args["removed"]),
                    "notes": [] if self.args["removed"] else self._notes()}  # fmt: skip
        self.result["windlass_timers"] = {"": part}

    def _to_be_started(self, jobs: Sequence[Mapping[str, Any]]) -> bool:
        """Return whether a planned timer does not run: a dry run could not look at units that are not there yet."""
        going = {job["job"] for job in jobs if job["enabled"] and job["timer"] in ("active", "running")}
        return not self.args["removed"] and any(job["name"] not in going for job in self.args["jobs"])

    def _state(self) -> str:
        """Return the folder of the ledger: the given one, the control node's, or a target's."""
        if self.args["state"]:
            return str(self.args["state"])
        if self.host == units.CONTROL_NODE:
            return str(place.folder(Settings(ROOT), self.environment))
        argv = ["sh", "-c", units.FIND_STATE, "sh", str(self.vars.get("windlass_state_dir") or "")]
        return f"{str(self.run_command(argv)['stdout']).strip()}/schedule/{place.label(self.environment)}"

    def _notes(self) -> list[str]:
        """Return what the operator's shell has and the timers will not have."""
        given = self.vars.get("schedule_environment") or {}
        file = self.vars.get("schedule_environment_file")
        missing = [] if file else [name for name in _FROM_OUTSIDE if os.environ.get(name) and name not in given]
        return [f"{name} is set in this shell only; give it to the timers by windlass_schedule.environment"
                for name in missing]  # fmt: skip
