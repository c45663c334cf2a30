# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rehearses plans on copies of the real data, on the test host, and keeps what was found."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass import identity
from windlass.elsewhere import OnTestHost
from windlass.environment import Database
from windlass.project import Project, load
from windlass.records import rehearsals
from windlass_engine.errors import WindlassError
from windlass_engine.model import Script, to_wire
from windlass_engine.wire import pack, unpack


class ActionModule(OnTestHost):
    """See plugins/modules/db_rehearse.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "plans": (), "brought": None, "load": "", "workers": 4, "project_root": "", "client_bin": "", "identity": "",
        "run_id": "",
    }  # fmt: skip

    def work(self) -> None:
        plans = {name: str(plan) for name, plan in (self.args["plans"] or {}).items()}
        brought = (self.args["brought"] or {}).get("windlass_restore_test") or {}
        self.found: dict[str, dict[str, Any]] = {}
        self.result["windlass_rehearsal"] = self.found
        asked = [database for database in self.databases if database.name in plans]
        ready = [database for database in asked if self._is_ready(database, brought.get(database.name) or {})]
        if ready and not self._task.check_mode:
            self._rehearse(ready, plans, brought)
        self._judge()

    def _is_ready(self, database: Database, known: Mapping[str, Any]) -> bool:
        """Return whether there is a backup to rehearse on; what would be done is told in check mode."""
        backup = known.get("backup", "")
        self.found[database.name] = {"backup": backup, "host": known.get("host", ""), "failed": "", "parts": []}
        if not backup:
            self.found[database.name]["skipped"] = known.get("skipped") or "there is no complete backup"
        elif self._task.check_mode:
            self.found[database.name]["intended"] = True
        return bool(backup)

    def _rehearse(self, asked: list[Database], plans: Mapping[str, str], brought: Mapping[str, Any]) -> None:
        try:
            given = {database.name: self._given(database, brought[database.name]) for database in asked}
            servers = [self.server(database) for database in asked]
            done, errors = self.follow_all(
                "db_rehearse", servers, plans=plans, rehearsals=given, workers=int(self.args["workers"]),
                client_bin=self.client_bin(), identity=identity.read(self.args["identity"]),
            )  # fmt: skip
        finally:
            self.clear_transit()
        for name, outcome in done.items():
            self.found[name].update(outcome, load_name=self.args["load"])
            rehearsals.keep(self.root, unpack(plans[name])["digest"], self.run_id, self.found[name])
        for name, error in errors.items():
            self.found[name].update(skipped=error.message, error=error.to_wire())

    def _given(self, database: Database, known: Mapping[str, Any]) -> dict[str, Any]:
        """Return where the backup lies on the test host, and the scripts."""
        project = load(self.root, database.system, parse="all")
        scripts = {
            "checks": list(map(to_wire, project.checks)),
            "samples": list(map(to_wire, project.samples)),
            "load": list(map(to_wire, self._load_of(project))),
            "queries": list(map(to_wire, project.queries)),
        }
        return {"path": self.path_there(database, known), "scripts": pack(scripts)}

    def _load_of(self, project: Project) -> list[Script]:
        """Return the load scripts that were asked for.  Raises ``usage`` where there is none of that name."""
        wanted = str(self.args["load"] or "").removesuffix(".sql")
        chosen = [item for item in project.load if wanted in ("all", Path(item.path).stem)]
        if wanted and not chosen:
            there = ", ".join(Path(item.path).stem for item in project.load) or "none"
            message = f"sql/{project.system}/load has no script {wanted}"
            raise WindlassError("usage", message, hint=f"there are: {there}; or all")
        return chosen

    def _judge(self) -> None:
        """Raise for the first plan that failed or could not be rehearsed."""
        for name, known in self.found.items():
            where = {"host": self.host, "database": name}
            if known.get("error"):
                raise WindlassError.from_wire(known["error"]).located(**where)
            if known["failed"] or known.get("skipped"):
                message = known["failed"] or f"not rehearsed: {known['skipped']}"
                hint = "only the scratch database was touched; mend the scripts, or make a backup, and rehearse again"
                raise WindlassError("rehearsal_failed", message, hint=hint, where=where)
