# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs plans on the target and reports their progress until they end."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass.actions import WindlassAction
from windlass_engine.errors import WindlassError
from windlass_engine.wire import unpack


class ActionModule(WindlassAction):
    """See plugins/modules/db_migrate.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "plans": (),
        "run_id": "",
        "kind": "migrate",
        "at_work": None,
        "settle": "",
        "allow_data_loss": False,
        "broken_glass": "",
        "archive": None,
        "restore_archived": False,
    }

    def work(self) -> None:
        plans = {name: str(plan) for name, plan in (self.args["plans"] or {}).items()}
        asked = [database for database in self.databases if database.name in plans]
        if not asked:
            self.result["windlass_run"] = {}
            return
        words: dict[str, Any] = {key: bool(self.args[key]) for key in ("allow_data_loss", "restore_archived")}
        words["settle"] = str(self.args["settle"] or "")
        words |= {"archive": bool(self.args["archive"])} if self.args["archive"] not in (None, "") else {}
        words["broken_glass"] = str(self.args["broken_glass"] or "")
        settings = {database.name: self.settings(database, **words) for database in asked}
        more = {"kind": str(self.args["kind"]), "at_work": self.args["at_work"] or {}}
        outcomes = self.follow("db_migrate", asked, plans=plans, settings=settings, **more)
        self.result["windlass_run"] = {name: end["result"] for name, end in outcomes.items() if end["result"]}
        self._conclude(plans, outcomes)

    def _conclude(self, plans: Mapping[str, str], outcomes: Mapping[str, Mapping[str, Any]]) -> None:
        """Set changed and diff, say where a followed run was not this plan, raise the failure if there is one."""
        runs = self.result["windlass_run"]
        own = {name: run for name, run in runs.items() if run["run_id"] in ("", self.run_id)}
        self.result["changed"] = any(run["changed"] for run in own.values())
        for name in sorted(set(runs) - set(own)):
            runs[name] = {**runs[name], "attached": True}
            if runs[name]["digest"] != unpack(plans[name])["digest"]:
                self.note(f"{name}: that run's plan was another one; deploy again for what is still pending")
        if self._task.diff:
            self.result["diff"] = [difference for name, run in runs.items() for difference in shown(name, run)]
        for name, end in outcomes.items():
            error = end["error"] or (end["result"] or {}).get("error")
            if error:
                raise WindlassError.from_wire(error).located(host=self.host, database=name)


def shown(database: str, run: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what --diff shows: the SQL in check mode, else what was added to the journal."""
    if run["status"] == "check":
        return [{"prepared": "\n".join(f"-- {database}: {item['migration']}\n{item['sql']}" for item in run["sql"])}]
    if not run["applied"]:
        return []
    word = {"down": "undone", "baseline": "baselined"}.get(run["direction"], "applied")
    after = "".join(f"{name} {word}\n" for name in run["applied"])
    return [
        {"before_header": f"{database} journal", "after_header": f"{database} journal", "before": "", "after": after}
    ]
