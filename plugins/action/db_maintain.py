# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sends maintenance jobs to the target and follows them to their end."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass.actions import ROOT, WindlassAction
from windlass.environment import Database
from windlass.project import Project, load
from windlass_engine.errors import WindlassError
from windlass_engine.model import Script, to_wire
from windlass_engine.wire import pack


class ActionModule(WindlassAction):
    """See plugins/modules/db_maintain.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"project_root": "", "job": "", "schedule": "", "run_id": ""}

    def work(self) -> None:
        root = Path(self.args["project_root"] or ROOT)
        projects = {database.system: load(root, database.system) for database in self.databases}
        self._refuse_unknown_job(projects)
        jobs = {database.name: self._jobs(projects[database.system]) for database in self.databases}
        asked = [database for database in self.databases if jobs[database.name]]
        self.result["windlass_maintenance"] = {}
        if self._task.check_mode:
            self._intend(asked, jobs)
        else:
            self._run(asked, jobs)

    def _jobs(self, project: Project) -> dict[str, Script]:
        """Return the jobs to run of a system, by name and whole."""
        return {
            name: project.full(script)
            for name, script in _by_name(project).items()
            if self.args["job"] in ("", name) and self.args["schedule"] in ("", script.directives.schedule)
        }

    def _refuse_unknown_job(self, projects: Mapping[str, Project]) -> None:
        """Refuse a job that no system here has."""
        known = {name: script for project in projects.values() for name, script in _by_name(project).items()}
        if self.args["job"] and self.args["job"] not in known and projects:
            listed = [f"{name} ({script.directives.schedule or 'no schedule'})" for name, script in known.items()]
            message = f"there is no maintenance job {self.args['job']}"
            raise WindlassError("usage", message, hint=f"there are: {', '.join(listed) or 'none'}")

    def _intend(self, asked: Sequence[Database], jobs: Mapping[str, Mapping[str, Script]]) -> None:
        """Say what would run."""
        for database in asked:
            listed = [
                {"name": name, "status": "check", "schedule": script.directives.schedule, "sql": script.text}
                for name, script in jobs[database.name].items()
            ]
            self.result["windlass_maintenance"][database.name] = {"status": "check", "changed": False, "jobs": listed}

    def _run(self, asked: Sequence[Database], jobs: Mapping[str, Mapping[str, Script]]) -> None:
        """Let the jobs run, those of every database whatever became of another's; then raise the first failure."""
        done, errors, left = self.result["windlass_maintenance"], [], list(asked)
        while left:
            ends = self.follow(
                "db_maintain", left, settings={database.name: self.settings(database) for database in left},
                jobs={database.name: _packed(jobs[database.name]) for database in left},
            )  # fmt: skip
            for name, end in ends.items():
                done.update({name: end["result"]} if end["result"] else {})
                error = end["error"] or (end["result"] or {}).get("error")
                errors += [WindlassError.from_wire(error).located(host=self.host, database=name)] if error else []
            left = [database for database in left if database.name not in ends]
        self.result["changed"] = any(part["changed"] for part in done.values())
        if errors:
            raise errors[0]


def _by_name(project: Project) -> dict[str, Script]:
    return {Path(script.path).stem: script for script in project.maintenance}


def _packed(jobs: Mapping[str, Script]) -> str:
    return pack({"jobs": [{"name": name, "script": to_wire(script)} for name, script in jobs.items()]})
