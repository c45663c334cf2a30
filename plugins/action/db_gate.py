# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lets a run pass whose plans were reviewed or agreed to; runs once for all hosts, on the control node only."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass import confirm, typed
from windlass.actions import ROOT, WindlassAction, names_of
from windlass.gate import verdict
from windlass.records import record
from windlass_engine.errors import WindlassError

SHORTEST_PREFIX = 8


class ActionModule(WindlassAction):
    """See plugins/modules/db_gate.py."""

    COMMON: ClassVar[Mapping[str, Any]] = {}
    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "plans": "windlass_planned", "digest": "", "approved": False, "only": (), "to": "", "project_root": "",
        "break_glass": "", "look": False,
    }  # fmt: skip

    def work(self) -> None:
        planned = self._planned()
        run = {"hosts": {host: {"databases": part} for host, part in planned.items()}}
        self._refuse_unknown_names(planned)
        digest = record.run_digest(run)
        self.result.update(windlass_digest=digest, pending=bool(digest))
        if not digest:
            return
        if not self.args["look"]:
            self._approve(digest, confirm.strictest(run))
        root = Path(self.args["project_root"] or ROOT)
        reason = str(self.args["break_glass"] or "").strip()
        gate = verdict.of(root, self.environment, digest, planned, reason, self._scope())
        self.result["windlass_gate"] = gate
        if not (self._task.check_mode or self.args["look"]):
            verdict.enforce(gate, self.environment, digest)
            if gate["broken_glass"]:
                self.note(f"the gate is passed by force: {gate['broken_glass']}")

    def _scope(self) -> str:
        """Return what was typed to limit this run."""
        hosts, only = str(self.vars.get("ansible_limit") or ""), names_of(self.args["only"])
        return typed.scope(hosts, only, str(self.args["to"] or ""))

    def _planned(self) -> dict[str, dict[str, Any]]:
        """Return every host's plans in this play, as its planning task registered them."""
        hosts, registered = self.vars["ansible_play_hosts"], str(self.args["plans"])
        results = {host: self.vars["hostvars"][host].get(registered) or {} for host in hosts}
        return {
            host: {name: {"plan": plan} for name, plan in (result.get("windlass_plan") or {}).items()}
            for host, result in results.items()
        }

    def _refuse_unknown_names(self, planned: Mapping[str, Mapping[str, Any]]) -> None:
        known = {name for part in planned.values() for name in part}
        missing = [name for name in names_of(self.args["only"]) if name not in known]
        if missing:
            raise WindlassError(
                "usage", f"no host here has a database called {', '.join(missing)}", hint="see `invoke status`"
            )

    def _approve(self, digest: str, policy: str) -> None:
        """Compare with what was reviewed; without that, ask as the policy wants it."""
        reviewed = str(self.args["digest"] or "").lower()
        if reviewed:
            refuse_other(digest, reviewed)
        elif not (self._task.check_mode or self.args["approved"]):
            self._ask(digest, policy)

    def _ask(self, digest: str, policy: str) -> None:
        try:
            confirm.ask(policy, self.environment, "run", interactive=False)
        except WindlassError as error:
            error.hint = (
                f"review the plan, then give its digest: -e windlass_plan_digest={digest[:12]} "
                f"(or `invoke deploy --env {shlex.quote(self.environment)}{self._scope()} --plan {digest[:12]}`)"
            )
            raise


def refuse_other(digest: str, reviewed: str) -> None:
    """Refuse a plan that is not the reviewed one.  Raises ``usage`` or ``plan_stale``."""
    if len(reviewed) < SHORTEST_PREFIX or not set(reviewed) <= set("0123456789abcdef"):
        message = f"a plan's digest is at least {SHORTEST_PREFIX} hexadecimal digits"
        raise WindlassError("usage", message, hint="`invoke plan` shows it")
    if not digest.startswith(reviewed):
        raise WindlassError(
            "plan_stale",
            f"the plan is now {digest[:12]}, not {reviewed[:12]} which was reviewed",
            hint="the scripts, the databases or the choice of hosts changed since: review it again with `invoke plan`",
            detail={"reviewed": reviewed, "now": digest},
        )
