# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Undoes what a failed run applied where the policy says so, then fails with the error that stopped the run."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass import planning
from windlass.actions import ROOT, ModuleFailed, WindlassAction, failure
from windlass.environment import Database
from windlass.planning import Wish
from windlass.project import readable
from windlass_engine import dialects
from windlass_engine.errors import WindlassError
from windlass_engine.model import Plan


class ActionModule(WindlassAction):
    """See plugins/modules/db_revert.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"project_root": "", "runs": None, "failure": None, "run_id": ""}

    def work(self) -> None:
        self.result["windlass_run"] = {}
        try:
            plans = self._plans()
            if plans:
                self._undo(plans)
        except (WindlassError, ModuleFailed) as error:
            self.note(f"what this run applied could not be undone: {error}")
        self._fail_as_before()

    def _names(self) -> dict[str, tuple[str, ...]]:
        """Return what this very run did on the databases that are to be brought back."""
        runs = self.args["runs"] or {}
        return {
            database.name: tuple(step["name"] for step in runs[database.name]["steps"] if step["kind"] == "migration")
            for database in self.databases
            if database.policy.on_failure == "rollback" and runs.get(database.name, {}).get("run_id") == self.run_id
        }

    def _plans(self) -> dict[str, Plan]:
        """Return the plans that undo what is still standing of this run."""
        wishes = {name: Wish("down", names=names) for name, names in self._names().items() if names}
        asked = [database for database in self.databases if database.name in wishes]
        root = Path(self.args["project_root"] or ROOT)
        engines = {database.system: dialects.for_url(database.url).name for database in asked}
        projects = {system: readable(root, system, engine)[0] for system, engine in engines.items()}
        found = planning.look(self.patiently, asked, projects, wishes, self.note) if asked else {}
        plans = {
            database.name: planning.plan(
                projects[database.system], planning.standing(found[database.name]), wishes[database.name],
                self.host, database.name,
            )
            for database in asked
        }  # fmt: skip
        return {name: plan for name, plan in plans.items() if plan.steps}

    def _undo(self, plans: Mapping[str, Plan]) -> None:
        """Run the plans on the road of every run, and tell how it ended."""
        asked = [database for database in self.databases if database.name in plans]
        settings = {database.name: self.settings(database) for database in asked}
        packed = {name: planning.packed(plan) for name, plan in plans.items()}
        ends = self.follow("db_migrate", asked, plans=packed, settings=settings, kind="revert")
        for database in asked:
            self._tell_end(database, ends.get(database.name))

    def _tell_end(self, database: Database, end: Mapping[str, Any] | None) -> None:
        """Add to the failed run's result what was undone of it and where the database stands now."""
        result = (end or {}).get("result") or {}
        error = (end or {}).get("error") or result.get("error")
        if error or not result:
            reason = error["message"] if error else "an earlier database stopped the way back"
            self.note(f"{database.name}: could not be brought back: {reason}")
        if not result:
            return
        undone = f"undone again: {', '.join(result['applied'])}; " if result["applied"] else ""
        state = f"{undone}{result['state']}"
        if not error:
            self.note(f"{database.name}: {state}")
        self.result["changed"] = self.result.get("changed", False) or result["changed"]
        mend = f"mend the scripts, then: invoke deploy --env {shlex.quote(self.environment)}"
        kept = {key: result[key] for key in ("schema_version", "journal_head")}
        self.result["windlass_run"][database.name] = {
            **self.args["runs"][database.name], **kept, "status": "failed", "reverted": result["applied"],
            "state": state, "next": result["next"] or mend,
        }  # fmt: skip

    def _fail_as_before(self) -> None:
        """Fail with the error that brought us here."""
        before = self.args["failure"] or {}
        error = before.get("windlass_error")
        if error:
            self.result.update(failure(WindlassError.from_wire(error)))
        else:
            self.result.update(failed=True, msg=str(before.get("msg") or "the run failed"))
