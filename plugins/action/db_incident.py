# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Opens and closes a rollback: refuses what must not start, and keeps evidence on the control node."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass import identity
from windlass.actions import ROOT, WindlassAction, names_of
from windlass.project import load
from windlass.rollback import incidents
from windlass_engine.errors import WindlassError


class ActionModule(WindlassAction):
    """See plugins/modules/db_incident.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "stage": "", "scenario": "migration", "confirmed": "", "digest": "", "backup": "latest", "backup_dir": "",
        "drill": False, "project_root": "", "client_bin": "", "recipients": (), "identity": "", "suffix": "_restored",
        "to": "",
    }  # fmt: skip

    def work(self) -> None:
        if self.args["stage"] == "open":
            self._refuse_unnamed()
            self._refuse_untyped()
        self.result["windlass_drill"] = bool(self.args["drill"])
        settings = {database.name: self.settings(database) for database in self.databases}
        found = self.call("db_incident", self.databases, settings=settings, **self._asked())["databases"]
        self._write_down(found)
        if self.args["stage"] == "open":
            self.result["windlass_before"] = found
            for name, state in found.items():
                self._refuse_unfit(name, state)
            self._refuse_unknown_goal(found)
        else:
            self.result["windlass_checks"] = {name: state.pop("checks") for name, state in found.items()}
            self.result["windlass_after"] = found
            self._require_sound(found)

    def _asked(self) -> dict[str, Any]:
        """Return what the module needs to know; a backup before an undoing is foreseen where the next step changes."""
        passed_on = ("stage", "scenario", "backup", "backup_dir", "client_bin", "suffix")
        more = {key: self.args[key] for key in passed_on}
        more["recipients"] = names_of(self.args["recipients"])
        more["identity"] = identity.read(self.args["identity"]) if self.args["scenario"] == "restore" else ""
        if self.args["scenario"] == "application":
            more["backs_up"] = [d.name for d in self.databases if d.policy.backup == "required"]
        return more

    def _refuse_unnamed(self) -> None:
        """Refuse where there are several databases and none was named.  Raises ``usage``."""
        if self.args["scenario"] == "migration" or self.args["drill"]:
            return
        if self.args["scenario"] == "application" and not self.vars.get("groups", {}).get("applications"):
            hint = "put the application's hosts into the group applications, with app_services and its like"
            raise WindlassError("usage", "the inventory says nothing of an application", hint=hint)
        hosts = self.vars.get("groups", {}).get("databases") or ()
        several = len(hosts) > 1 or len(self.databases) > 1
        if several and not (self.vars.get("ansible_limit") or names_of(self.args["only"])):
            hint = "name them: --host HOST or --database NAME (--host all where all of them are meant)"
            raise WindlassError("usage", f"which of the databases of {self.environment}?", hint=hint)

    def _refuse_untyped(self) -> None:
        """Refuse what the operator has not typed.  Raises ``not_approved``."""
        typed = str(self.args["confirmed"] or "")
        reviewed = self.args["scenario"] != "restore" and bool(self.args["digest"])
        careful = self.args["scenario"] == "restore" or any(d.policy.confirm == "typed" for d in self.databases)
        if self._task.check_mode or self.args["drill"] or (not typed and (reviewed or not careful)):
            return
        name = Path(self.environment).name
        if typed != name:
            hint = f"type it when asked, or give it: --confirm {name} (-e windlass_confirm={name})"
            raise WindlassError("not_approved", "this has to be confirmed with the environment's name", hint=hint)

    def _refuse_unfit(self, name: str, state: Mapping[str, Any]) -> None:
        """Refuse where others are at work or nothing can be written.

        A plain undoing follows a run that goes on, as a deployment does: it may be the same one, whose link broke.
        """
        where = {"host": self.host, "database": name}
        alone = self.args["scenario"] != "migration"
        if alone and state["running"] and state["running"].get("run_id") != self.run_id:
            message = f"{state['running']['who']} is at work here since {state['running']['since']}"
            raise WindlassError("deploy_locked", message, hint="wait for its end: invoke status --env ENV", where=where)
        if alone and state["lock"]:
            hint = "wait for its end: invoke status --env ENV"
            raise WindlassError(
                "deploy_locked", f"the deployer lock is held by {state['lock']}", hint=hint, where=where
            )
        if state["read_only"]:
            hint = "point the inventory's url at the primary"
            raise WindlassError("read_only_server", "the server is a standby or read-only", hint=hint, where=where)

    def _refuse_unknown_goal(self, found: Mapping[str, Any]) -> None:
        """Refuse a last migration that neither the project nor the journal knows.  Raises ``usage``."""
        goal = str(self.args["to"] or "")
        for database in self.databases if goal and self.args["scenario"] == "restore" else ():
            known = {entry["name"] for entry in found[database.name].get("journal") or ()}
            known |= {item.name for item in load(Path(self.args["project_root"] or ROOT), database.system).migrations}
            if goal not in known:
                hint = "give the name of one, as `invoke status` and `invoke plan` show it"
                raise WindlassError("usage", f"there is no migration {goal} in {database.system}", hint=hint)

    def _write_down(self, found: Mapping[str, Any]) -> None:
        if self._task.check_mode or self.args["drill"]:
            return
        root = Path(self.args["project_root"] or ROOT)
        for name, state in found.items():
            incidents.keep_state(root, self.run_id, f"{self.host}.{name}.{self.args['stage']}", state)

    def _require_sound(self, found: Mapping[str, Any]) -> None:
        """Refuse to call it done where writing fails or a verify script finds something.  Raises ``verify_failed``."""
        for name, state in found.items():
            bad = [
                check["name"] for check in self.result["windlass_checks"][name] if check["failures"] or check["error"]
            ]
            if state["write_error"] or bad:
                what = f"writing fails: {state['write_error']}" if state["write_error"] else f"failed: {', '.join(bad)}"
                hint = "the rollback is done, its evidence is kept; look at what failed before the application returns"
                raise WindlassError("verify_failed", what, hint=hint, where={"database": name})
