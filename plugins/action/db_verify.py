# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sends a project's checks and sample-data tests to the target and judges what they found."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass.actions import ROOT, WindlassAction
from windlass.environment import Database
from windlass.project import Project, load
from windlass.records import baselines
from windlass_engine.errors import WindlassError
from windlass_engine.model import Script, to_wire
from windlass_engine.wire import pack

SHOWN_ROWS = 5


class ActionModule(WindlassAction):
    """See plugins/modules/db_verify.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "project_root": "",
        "runs": None,
        "to": "",
        "checks": True,
        "samples": None,
        "scratch": False,
    }

    def work(self) -> None:
        runs = self.args["runs"]
        asked = [database for database in self.databases if runs is None or database.name in runs]
        scripts = {database.name: self._scripts(database) for database in asked}
        found = self.patiently("db_verify", asked, scripts=scripts, scratch=bool(self.args["scratch"])) if asked else {}
        self.result["windlass_checks"] = {name: part["checks"] for name, part in found.get("databases", {}).items()}
        self.result["windlass_samples"] = {name: part["samples"] for name, part in found.get("databases", {}).items()}
        self._compare_queries(found.get("databases", {}))
        for kind in ("checks", "samples"):
            for database in asked:
                self._judge(kind, database.name, found["databases"][database.name])

    def _compare_queries(self, found: Mapping[str, Any]) -> None:
        """Hold the known queries against what they cost after the last change; what became worse is a note."""
        root = Path(self.args["project_root"] or ROOT)
        for name, part in found.items():
            if part["queries"] and not self._task.check_mode:
                compared = baselines.compared(root, self.environment, self.host, name, part["queries"])
                self.result.setdefault("windlass_queries", {})[name] = compared
                for query in compared:
                    if query["finding"]:
                        self.note(f"{name}: query {query['name']}: {query['finding']}")

    def _scripts(self, database: Database) -> str:
        """Return a database's scripts, packed: verify scripts by migration, checks, samples."""
        project = load(Path(self.args["project_root"] or ROOT), database.system)
        whole = self._reaches_the_end(project)
        if not whole:
            self.note(f"{database.name}: standing checks and sample-data tests wait for the migrations after this one")
        checks = project.checks if whole and self.args["checks"] else ()
        samples = project.samples if whole and self._samples(database) else ()
        queries = project.queries if self.args["runs"] is not None and whole else ()
        return pack(
            {
                "queries": [to_wire(project.full(script)) for script in queries],
                "verify": {name: to_wire(script) for name, script in self._verify(project, database)},
                "checks": [to_wire(project.full(script)) for script in checks],
                "samples": [to_wire(project.full(script)) for script in samples],
            }
        )

    def _reaches_the_end(self, project: Project) -> bool:
        """Return whether a run went on to the last migration, as checks and samples of the system expect."""
        return not self.args["to"] or self.args["to"] == project.migrations[-1].name

    def _verify(self, project: Project, database: Database) -> Iterable[tuple[str, Script]]:
        """Yield the verify scripts of what a run applied; without a run, of every migration."""
        runs = self.args["runs"]
        wanted = None if runs is None else set(runs[database.name]["applied"])
        for migration in project.migrations:
            if migration.verify and (wanted is None or migration.name in wanted):
                yield migration.name, project.full(migration.verify)

    def _samples(self, database: Database) -> bool:
        """Return whether sample-data tests are to run: what the task says, else the policy."""
        asked = self.args["samples"]
        return database.policy.samples if asked is None else bool(asked)

    def _judge(self, kind: str, database: str, part: Mapping[str, Any]) -> None:
        """Raise for the checks that failed, each with its name and first rows."""
        if part["error"]:
            raise WindlassError.from_wire(part["error"]).located(database=database)
        bad = [result for result in part[kind] if result["failures"] or result["error"]]
        if not bad:
            return
        code, noun = ("verify_failed", "check") if kind == "checks" else ("sample_failed", "sample-data test")
        names = ", ".join(result["name"] for result in bad)
        raise WindlassError(
            code,
            f"{len(bad)} of {len(part[kind])} {noun}s failed: {names}\n" + "\n".join(map(told, bad)),
            hint="correct the data or the script and verify again; or go back: invoke rollback --env "
            f"{shlex.quote(self.environment)} --steps N",
            where={"host": self.host, "database": database, "file": bad[0]["path"], "line": bad[0]["line"]},
            detail={"failed": [result["name"] for result in bad]},
        )


def told(result: Mapping[str, Any]) -> str:
    """Return a failed check with its first rows."""
    rows = [result["error"]] if result["error"] else list(result["failures"])
    texts = [str(row).replace("\n", "\n      ") for row in rows[:SHOWN_ROWS]]
    more = ["… and more, see the report"] if len(rows) > SHOWN_ROWS else []
    return "\n".join(["  " + result["name"], *(f"    {text}" for text in texts + more)])
