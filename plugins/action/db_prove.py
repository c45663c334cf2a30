# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sends a system's scripts to be proved on a scratch database, and keeps what was proved."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass.actions import ROOT, WindlassAction
from windlass.environment import Database
from windlass.project import Project, load
from windlass.records import proofs
from windlass_engine.dialects import for_url
from windlass_engine.errors import WindlassError
from windlass_engine.model import to_wire
from windlass_engine.wire import pack


class ActionModule(WindlassAction):
    """See plugins/modules/db_prove.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"project_root": "", "system": "", "migration": "", "run_id": ""}

    def work(self) -> None:
        self.root = Path(self.args["project_root"] or ROOT)
        subjects = {database.name: self._subject(database) for database in self._asked()}
        self.result["windlass_proof"] = {}
        if self._task.check_mode:
            self.result["windlass_proof"] = {name: _intended(project) for name, project in subjects.items()}
            return
        for database in self.databases:
            if database.name in subjects:
                self._prove(database, subjects[database.name])
        self._judge()

    def _asked(self) -> tuple[Database, ...]:
        """Return the databases on whose servers something is proved.  Raises where the policy or the engine says no."""
        asked = [database for database in self.databases if self._fits(database)]
        if self.args["system"]:
            asked = asked[:1]
        for database in asked:
            if database.policy.scratch != "allow":
                raise WindlassError(
                    "preflight_failed",
                    "the policy allows no scratch databases on this server",
                    hint="prove in an environment that allows them, or set windlass_policy.scratch: allow",
                    where={"database": database.name},
                )
        return tuple(asked)

    def _fits(self, database: Database) -> bool:
        """Return whether a database's server speaks the language of the system that is asked for."""
        wanted = self.args["system"]
        return not wanted or for_url(database.url).name == load(self.root, wanted).engine

    def _subject(self, database: Database) -> Project:
        """Return the scripts to prove, whole."""
        project = load(self.root, self.args["system"] or database.system, parse="all")
        names = [migration.name for migration in project.migrations]
        if self.args["migration"] and self.args["migration"] not in names:
            message = f"{project.system} has no migration {self.args['migration']}"
            raise WindlassError("usage", message, hint=f"there are: {', '.join(names)}")
        return project

    def _prove(self, database: Database, project: Project) -> None:
        """Let one system be proved, and keep the outcome."""
        subject = {
            "system": project.system,
            "only": self.args["migration"],
            **{part: to_wire(getattr(project, part)) for part in ("migrations", "repeatables", "checks", "samples")},
        }
        found = self.patiently(
            "db_prove", [database], subjects={database.name: pack(subject)},
            settings={database.name: self.settings(database)},
        )["databases"][database.name]  # fmt: skip
        if found["error"]:
            raise WindlassError.from_wire(found["error"]).located(database=database.name)
        self.result["windlass_proof"][database.name] = found["proof"]
        proofs.keep(self.root, project.engine, self.run_id, found["proof"])

    def _judge(self) -> None:
        """Raise for the scripts that are not proved."""
        for name, proof in self.result["windlass_proof"].items():
            bad = [verdict["name"] for verdict in proof["verdicts"] if not verdict["proved"]]
            if bad:
                raise WindlassError(
                    "not_proved",
                    f"{len(bad)} of {len(proof['verdicts'])} scripts of {proof['system']} are not proved: "
                    f"{', '.join(bad)}",
                    hint="mend what is listed and prove again; nothing but a scratch database was touched",
                    where={"host": self.host, "database": name},
                )


def _intended(project: Project) -> dict[str, Any]:
    """Return what would be proved."""
    names = [migration.name for migration in project.migrations] + [item.name for item in project.repeatables]
    return {"system": project.system, "intended": names}
