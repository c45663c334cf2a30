# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares a project with what stands in its databases: the project is read first, so its mistakes touch nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass import planning, typed
from windlass.actions import ROOT, WindlassAction, names_of
from windlass.environment import Database
from windlass.gate import points
from windlass.gate.policy import Gate
from windlass.planning import Wish
from windlass.project import Project, load, readable
from windlass.records import proofs, rehearsals
from windlass.telling import keeping
from windlass_engine import dialects
from windlass_engine.archiving.finding import no_room
from windlass_engine.errors import WindlassError
from windlass_engine.model import Plan

if TYPE_CHECKING:
    from windlass.outlook import Outlook


class ActionModule(WindlassAction):
    """See plugins/modules/db_plan.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "project_root": "", "direction": "up", "to": "", "steps": 0, "names": None, "atomic": False, "report": False,
        "down_from": "journal", "backup_dir": "", "strict": False, "archive": True, "losses": True,
        "refuse_failing": False, "break_glass": "",
    }  # fmt: skip

    def work(self) -> None:
        self._outlooks: list[Outlook] = []
        self.result.update(windlass_plan={}, windlass_packed={}, windlass_info={}, windlass_at_work={})
        self.result.update(pending=False, gated=False)
        asked = self._asked()
        root = Path(self.args["project_root"] or ROOT)
        projects, broken = self._projects(asked, root)
        if self.args["report"]:
            self._report(asked, projects)
            self._raise_first(broken)
            if self.args["strict"]:
                self._refuse_overdue()
        elif asked:
            for error in broken:
                self.note(f"{str(error).splitlines()[0].rstrip(':')}: not needed, the journal keeps the down scripts")
            wishes = {database.name: self._wish(database) for database in asked}
            found = planning.look(self.call, asked, projects, wishes, self.note)
            errors = [self._plan(database, projects[database.system], found[database.name]) for database in asked]
            errors += self._look_ahead()
            if self.args["direction"] in ("down", "to") and self.args["losses"]:
                errors += self._say_losses(asked)
            self._judge(asked, root)
            self._raise_first([error for error in errors if error])

    def _projects(self, asked: Sequence[Database], root: Path) -> tuple[dict[str, Project], list[WindlassError]]:
        """Return the systems' projects, and what cannot be read of them where that must not hold up the answer.

        Raises ``project_invalid`` where the checkout's own scripts are going to run.
        """
        undoes = self.args["direction"] == "down" and self.args["down_from"] == "journal"
        engines = {database.system: dialects.for_url(database.url).name for database in asked}
        if not (self.args["report"] or undoes):
            return {system: load(root, system) for system in sorted(engines)}, []
        found = {system: readable(root, system, engines[system]) for system in sorted(engines)}
        return {system: project for system, (project, _) in found.items()}, [e for _, e in found.values() if e]

    def _report(self, asked: Sequence[Database], projects: Mapping[str, Project]) -> None:
        """Say how things stand; what would stop a plan is part of the answer."""
        found = self.call("db_info", asked, history=1, backups=True, backup_dir=self.args["backup_dir"])["databases"]
        for database in asked:
            info = self._facts(database, projects[database.system], found[database.name])
            info["backup_overdue"] = keeping.overdue(info, database.policy.backup_max_age)

    def _refuse_overdue(self) -> None:
        """Raise for the first database whose newest verified backup is older than its policy allows."""
        for name, info in self.result["windlass_info"].items():
            if info["backup_overdue"]:
                hint = "make a backup (invoke backup) and test it (invoke backup-test), and mend what should have"
                raise WindlassError("backup_overdue", info["backup_overdue"], hint=hint, where={"database": name})

    def _facts(self, database: Database, project: Project, stands: Mapping[str, Any]) -> dict[str, Any]:
        """Keep and return what is known of a database."""
        info = planning.facts(project, planning.standing(stands), stands)
        self.result["windlass_info"][database.name] = info
        return info

    def _asked(self) -> tuple[Database, ...]:
        """Return the databases to plan for; a plan to undo ``names`` is only for those that have some."""
        names = self.args["names"]
        return tuple(d for d in self.databases if names is None or names.get(d.name))

    def _wish(self, database: Database) -> Wish:
        """Return what is asked for on a database."""
        return Wish(
            direction=str(self.args["direction"] or "up"),
            to=str(self.args["to"] or ""),
            steps=int(self.args["steps"] or 0),
            names=tuple(names_of((self.args["names"] or {}).get(database.name))),
            atomic=database.policy.atomic or bool(self.args["atomic"]),
            allow_out_of_order=database.policy.out_of_order == "allow",
            down_from=str(self.args["down_from"] or "journal"),
        )

    def _plan(self, database: Database, project: Project, stands: Mapping[str, Any]) -> WindlassError | None:
        """Fill in one database's plan and facts; return what speaks against it."""
        info = self._facts(database, project, stands)
        if info["running"]:
            self.note(f"{database.name}: {at_work(info['running'])}")
            self.result["windlass_at_work"][database.name] = info["running"]
        try:
            if stands["error"]:
                raise WindlassError.from_wire(stands["error"])
            wish = self._wish(database)
            plan = planning.plan(project, planning.standing(stands), wish, self.host, database.name)
            planning.preflight(plan, stands)
        except WindlassError as error:
            return error.located(host=self.host, database=database.name)
        self._keep_plan(database, project, plan, info)
        return None

    def _keep_plan(self, database: Database, project: Project, plan: Plan, info: Mapping[str, Any]) -> None:
        root = Path(self.args["project_root"] or ROOT)
        proved = [step.name for step in plan.steps if proofs.is_proved(root, plan.system, step)]
        shown = planning.shown(plan, info["schema_version"], database.policy.confirm, proved)
        shown["rehearsal"] = rehearsals.told(root, plan.digest) if plan.steps else ""
        self.result["windlass_plan"][database.name] = shown
        if plan.steps:
            self._look_out(database, project, plan, shown)
            self.result["windlass_packed"][database.name] = planning.packed(plan)
            self.result["pending"] = True

    def _look_out(self, database: Database, project: Project, plan: Plan, shown: dict[str, Any]) -> None:
        """Prepare the outlook of a plan that runs statements; an adoption runs none.

        Of an undoing that was reviewed the outlook was said then, as its losses were: nobody at that hour waits twice.
        """
        said = plan.direction == "down" and not self.args["losses"]
        if plan.direction != "baseline" and not said:
            from windlass.outlook import Outlook, add_findings

            forced = bool(str(self.args["break_glass"] or "").strip())
            self._outlooks.append(Outlook(database, project, plan, shown, forced))
            add_findings(Path(self.args["project_root"] or ROOT), project, plan, shown)

    def _look_ahead(self) -> list[WindlassError | None]:
        """Judge the risk of what is pending, on what stands; return what speaks against running it."""
        if not self._outlooks:
            return []
        questions = {outlook.database.name: outlook.question() for outlook in self._outlooks}
        answers = self.call("db_info", [outlook.database for outlook in self._outlooks], questions=questions)["answers"]
        return [self._filled(outlook, answers[outlook.database.name]) for outlook in self._outlooks]

    def _filled(self, outlook: Outlook, answer: Mapping[str, Any]) -> WindlassError | None:
        error = outlook.fill(answer)
        return error.located(host=self.host) if error else None

    def _judge(self, asked: Sequence[Database], root: Path) -> None:
        """Hold the plans against the gates that the policies want."""
        ways = {d.name: (self._plan_of(d).get("direction"), bool(self._plan_of(d).get("steps"))) for d in asked}
        forced = {d.name for d in asked if points.passes_drift(self._plan_of(d))}
        gated = [d for d in asked if (d.policy.gate != Gate() or d.name in forced) and ways[d.name] == ("up", True)]
        self.result["gated"] = bool(gated)
        tested = [d for d in gated if d.policy.gate.backup_verified]
        if tested:
            seen = self.call("db_info", tested, backups=True, backup_dir=self.args["backup_dir"])["databases"]
        for database in gated:
            plan, verified = self._plan_of(database), {}
            if database in tested:
                verified = {"verified": seen[database.name].get("verified")}
            to = str(self.args["to"] or "")
            scope = typed.scope(str(self.vars.get("ansible_limit") or ""), names_of(self.args["only"]), to)
            subject = points.Subject(root, self.environment, database, plan, verified, datetime.now(UTC), scope, to)
            plan.update(gate=points.judged(subject), approvals=database.policy.gate.approvals)

    def _plan_of(self, database: Database) -> dict[str, Any]:
        """Return a database's shown plan, an empty one where it could not be made."""
        plan: dict[str, Any] = self.result["windlass_plan"].get(database.name) or {}
        return plan

    def _say_losses(self, asked: Sequence[Database]) -> list[WindlassError]:
        """Ask servers what the plans would take away, and say whether it is archived first; return what is refused."""
        packed = self.result["windlass_packed"]
        able = [database for database in asked if database.name in packed]
        if not able:
            return []
        scratch = [database.name for database in able if database.policy.scratch == "allow"]
        found = self.call("db_info", able, undo={d.name: packed[d.name] for d in able}, scratch=scratch)["losses"]
        for database in able:
            shown, told = self.result["windlass_plan"][database.name], found[database.name]
            shown["archive"] = database.policy.archive == "always" and bool(self.args["archive"])
            if told["error"]:
                self.note(f"{database.name}: {told['error']['message']}")
                shown["unknown_losses"] = told["error"]["message"]
            if told["failure"]:
                shown["warnings"] = [*shown["warnings"], f"tried beforehand, a down script fails: {told['failure']}"]
            elif told["untried"]:
                shown["warnings"] = [*shown["warnings"], f"not tried beforehand: {told['untried']}"]
            for step, losses in zip(shown["steps"], told["losses"] or (), strict=False):
                step["losses"] = losses
        crowded = [d for d in able if found[d.name]["lacking"] and self.result["windlass_plan"][d.name]["archive"]]
        if crowded:
            return [no_room(found[d.name]["lacking"]).located(host=self.host, database=d.name) for d in crowded]
        refusing = able if self.args["refuse_failing"] else ()
        return [error for database in refusing for error in self._refused(database.name, found[database.name])]

    def _refused(self, name: str, told: Mapping[str, Any]) -> Iterator[WindlassError]:
        """Yield what speaks against a plan that goes down; behind what cannot be tried, a failure proves nothing."""
        shown, where = self.result["windlass_plan"][name], {"host": self.host, "database": name}
        if told["error"] and shown["archive"]:
            yield WindlassError.from_wire(told["error"]).located(**where)
        if told["failure"] and all(step["transactional"] for step in shown["steps"]):
            hint = "nothing was changed; mend its down.sql and add --down-from checkout, or take another way"
            yield WindlassError(
                "preflight_failed", f"tried beforehand, a down script fails: {told['failure']}", hint=hint, where=where
            )

    def _raise_first(self, errors: Sequence[WindlassError]) -> None:
        """Raise the first error, telling of the others."""
        if errors:
            for other in errors[1:]:
                place = other.where.get("database") or other.where.get("file") or ""
                self.note(f"{place}: {other.code}: {other.message.splitlines()[0]}")
            raise errors[0]


def at_work(holder: Mapping[str, Any]) -> str:
    """Return whose run is going on."""
    return f"{holder['who']} on {holder['origin']} is at work here since {holder['since']} ({holder['run_id']})"
