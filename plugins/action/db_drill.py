# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes scratch copies for a drill, and lets the tasks behind it work on them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass import identity
from windlass.actions import WindlassAction
from windlass_engine.errors import WindlassError


class ActionModule(WindlassAction):
    """See plugins/modules/db_drill.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "stage": "", "copies": None, "backup_dir": "", "client_bin": "", "identity": "", "run_id": "",
    }  # fmt: skip

    def work(self) -> None:
        if self.args["stage"] == "aim":
            self._aim()
            return
        self._refuse_forbidden()
        settings = {database.name: self.settings(database) for database in self.databases}
        more = {key: self.args[key] for key in ("stage", "backup_dir", "client_bin")}
        ends = self.follow(
            "db_drill", self.databases, settings=settings, identity=identity.read(self.args["identity"]), **more
        )
        self.result["windlass_copies"] = {name: end["result"] for name, end in ends.items() if end["result"]}
        for name, end in ends.items():
            if end["error"]:
                raise WindlassError.from_wire(end["error"]).located(host=self.host, database=name)
        self.result["changed"] = not self._task.check_mode

    def _refuse_forbidden(self) -> None:
        """Refuse where the policy allows no scratch database.  Raises ``preflight_failed``."""
        for database in self.databases:
            if database.policy.scratch != "allow":
                where = {"host": self.host, "database": database.name}
                message = "the policy allows no scratch database on this server, so there is nothing to drill on"
                raise WindlassError("preflight_failed", message, hint="windlass_policy.scratch: allow", where=where)

    def _aim(self) -> None:
        """Put the copies in the place of the databases, without pre-change backups: what they save is a copy."""
        copies = self.args["copies"] or {}
        aimed = [
            {**d.login(), "url": copies[d.name]["url"], "policy": {"backup": "never"}}
            for d in self.databases
            if "url" in copies.get(d.name, {})
        ]
        originals = [dict(item) for item in self.args["databases"]]
        self.result["ansible_facts"] = {"windlass_databases": aimed, "windlass_original": originals}
