# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tells of drift, audits live schemas, and writes them down for review."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass.actions import ROOT, WindlassAction
from windlass.environment import Database
from windlass.project import Project, load
from windlass.telling import auditing, drifting, snapshots
from windlass_engine.errors import WindlassError
from windlass_engine.model import to_wire
from windlass_engine.wire import pack

_PARTS = ("migrations", "repeatables", "checks", "samples")


class ActionModule(WindlassAction):
    """See plugins/modules/db_schema.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "show": "", "accept": False, "project_root": "", "out": "", "run_id": "",
    }  # fmt: skip

    def work(self) -> None:
        self.root = Path(self.args["project_root"] or ROOT)
        shows = {"drift": self._drift, "audit": self._audit, "snapshot": self._snapshot}
        if self.args["show"] not in shows:
            raise WindlassError("usage", f"show is one of {', '.join(shows)}")
        if self.databases:
            shows[self.args["show"]]()

    def _ask(self, **more: Any) -> dict[str, Any]:
        """Return what was found on each database; raises the first error after all the others' answers are kept."""
        settings = {database.name: self.settings(database) for database in self.databases}
        given = {"show": self.args["show"], "settings": settings, **more}
        answers = self.patiently("db_schema", self.databases, **given)["databases"]
        for name, answer in answers.items():
            if answer["error"]:
                raise WindlassError.from_wire(answer["error"]).located(host=self.host, database=name)
        return {name: answer["found"] for name, answer in answers.items()}

    def _drift(self) -> None:
        accept = bool(self.args["accept"])
        found = self._ask(accept=accept)
        systems = {database.name: database.system for database in self.databases}
        self.result["windlass_drift"] = {
            name: {**told, "accepted": accept, "system": systems[name]} for name, told in found.items()
        }
        self.result["changed"] = accept and any(told["changes"] or told["unknown"] for told in found.values())
        if not accept:
            drifting.refuse(self.host, found)

    def _audit(self) -> None:
        projects = {database.name: load(self.root, database.system, parse="all") for database in self.databases}
        for database in self.databases:
            auditing.require_scratch(database)
        subjects = {database.name: pack(_subject(database, projects[database.name])) for database in self.databases}
        found = self._ask(subjects=subjects)
        told = {name: auditing.judged(projects[name], answer) for name, answer in found.items()}
        self.result["windlass_audit"] = told
        auditing.refuse(self.host, told)

    def _snapshot(self) -> None:
        found, several = self._ask(), len(self.vars.get("ansible_play_hosts") or ()) > 1
        if self.args["out"] and (several or len(found) > 1):
            raise WindlassError("usage", "one file is for one database", hint="name it: --host NAME --database NAME")
        self.result["windlass_snapshot"] = {}
        for name, answer in found.items():
            default = snapshots.path(self.root, self.environment, self.host if several else "", name)
            place = Path(self.args["out"]) if self.args["out"] else default
            written = snapshots.write(place, name, answer, check=bool(self._task.check_mode))
            self.result["windlass_snapshot"][name] = written
            self.result["changed"] = self.result["changed"] or written["changed"]


def _subject(database: Database, project: Project) -> dict[str, Any]:
    """Return the scripts that an audit runs, whole."""
    return {"system": database.system, "only": "", **{part: to_wire(getattr(project, part)) for part in _PARTS}}
