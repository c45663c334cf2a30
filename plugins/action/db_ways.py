# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gathers what is to be known before a rollback, and weighs the ways."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass import planning
from windlass.actions import ROOT, WindlassAction
from windlass.environment import Database
from windlass.rollback import drills, ways
from windlass_engine import dialects, plan
from windlass_engine.errors import WindlassError
from windlass_engine.model import Journal, Plan, Script
from windlass_engine.project import script

#: So many of the newest migrations are looked at.
LOOKED_AT = 5


class ActionModule(WindlassAction):
    """See plugins/modules/db_ways.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"project_root": "", "backup_dir": "", "backup": ""}

    def work(self) -> None:
        self.result["windlass_ways"] = {}
        if not self.databases:
            return
        self._root = Path(self.args["project_root"] or ROOT)
        read = self.call("db_info", self.databases, history=200)["databases"]
        journals = {name: planning.standing(found) for name, found in read.items()}
        newest = {name: ways.newest(journal, LOOKED_AT) for name, journal in journals.items()}
        again = self.call("db_info", self.databases, texts_of=newest)["databases"]
        runs = {name: ways.last_run_id(journal) for name, journal in journals.items()}
        look = {"stage": "look", "settings": {}, "runs": runs, "backup_dir": self.args["backup_dir"]}
        look["backup"] = str(self.args["backup"] or "")
        seen = self.call("db_incident", self.databases, **look)["databases"]
        losses = self._losses({name: planning.standing(found) for name, found in again.items()})
        for database in self.databases:
            journal = planning.standing(again[database.name])
            facts = ways.Facts(
                journal, tuple(read[database.name].get("history") or ()), losses[database.name],
                seen[database.name], self._drills(database), bool(self.vars.get("groups", {}).get("applications")),
                (again[database.name]["error"] or {}).get("message", ""),
            )  # fmt: skip
            self.result["windlass_ways"][database.name] = ways.weigh(
                facts, self._root, database.system, f"--env {shlex.quote(self.environment)}{self._scope(database)}"
            )
        for name, found in again.items():
            if found["error"]:
                raise WindlassError.from_wire(found["error"]).located(host=self.host, database=name)

    def _scope(self, database: Database) -> str:
        """Return the words that name this database alone."""
        several = len(self.vars.get("groups", {}).get("databases") or ()) > 1
        host = f" --host {shlex.quote(self.host)}" if several else ""
        return host + (f" --database {shlex.quote(database.name)}" if len(self.args["databases"]) > 1 else "")

    def _drills(self, database: Database) -> dict[str, Any]:
        found = {way: drills.last(self._root, self.environment, way, database.name) for way in ways.WAYS}
        return {way: drill for way, drill in found.items() if drill}

    def _losses(self, journals: Mapping[str, Journal]) -> dict[str, Any]:
        """Return what undoing each of the newest migrations would take away, newest first, or why it is not known."""
        plans = {d.name: self._down(d, journals[d.name]) for d in self.databases}
        asked = [database for database in self.databases if plans[database.name].steps]
        found: dict[str, Any] = {d.name: {"losses": [], "error": None, "failure": ""} for d in self.databases}
        if asked:
            scratch = [database.name for database in asked if database.policy.scratch == "allow"]
            undo = {database.name: planning.packed(plans[database.name]) for database in asked}
            found.update(self.call("db_info", asked, undo=undo, scratch=scratch)["losses"])
        return found

    def _down(self, database: Database, journal: Journal) -> Plan:
        """Return the plan that undoes the newest migrations, as far as they can be."""
        steps = ways.reversible(journal, LOOKED_AT)
        if not steps:
            return Plan(self.host, database.name, database.system, "down", journal.head)
        dialect = dialects.for_url(database.url)

        def load(text: str, path: str) -> Script:
            return script.load(text.encode(), path, dialect.split, kind="down")

        try:
            return plan.plan_down(journal, load, system=database.system, database=database.name, steps=steps)
        except WindlassError as error:
            self.note(f"{database.name}: {error.message}")
            return Plan(self.host, database.name, database.system, "down", journal.head)
