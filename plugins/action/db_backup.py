# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backs databases up and reports progress until the backups stand, as far as the policy asks for them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass.actions import WindlassAction, names_of
from windlass.environment import Database
from windlass_engine.errors import WindlassError


class ActionModule(WindlassAction):
    """See plugins/modules/db_backup.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "plans": None, "by_policy": False, "backup_dir": "", "client_bin": "", "recipients": (), "why": "",
        "moment": "", "run_id": "", "copies_offsite": False,
    }  # fmt: skip

    def work(self) -> None:
        plans = self.args["plans"]
        asked = [database for database in self.databases if plans is None or database.name in plans]
        self.result["windlass_backup"] = {}
        for need in ("required", "optional", "never"):
            self._back_up([database for database in asked if self._need(database) == need], need)
        if self.args["moment"]:
            self.result[f"windlass_{self.args['moment']}_backup"] = self.result.pop("windlass_backup")

    def _need(self, database: Database) -> str:
        return database.policy.backup if self.args["by_policy"] else "required"

    def _back_up(self, asked: Sequence[Database], need: str) -> None:
        """Back up the databases of one policy; only a required backup that fails is a failure.

        Before a change the first failure is the end.  Else every other database still gets its backup.
        """
        made = self.result["windlass_backup"]
        if need == "never":
            made.update({database.name: {"skipped": "the policy asks for none"} for database in asked})
            return
        left, failed = list(asked), []
        while left:
            ends = self._run(left)
            made.update({name: end["result"] for name, end in ends.items() if end["result"]})
            for name, end in ends.items():
                if end["error"]:
                    failed += self._failed(name, WindlassError.from_wire(end["error"]), need)
            if failed and self.args["plans"] is not None:
                break
            left = [database for database in left if database.name not in ends]
        self.result["changed"] = any("skipped" not in backup for backup in made.values())
        for error in failed[1:]:
            self.note(f"{error.where['database']}: {error.code}: {error.message.splitlines()[0]}")
        if failed:
            raise failed[0]

    def _run(self, asked: Sequence[Database]) -> dict[str, Any]:
        settings = {database.name: self.settings(database) for database in asked}
        more = {key: str(self.args[key] or "") for key in ("backup_dir", "client_bin", "why", "moment")}
        recipients = names_of(self.args["recipients"])
        bands = {database.name: database.policy.backup_size_band for database in asked}
        # A backup before a change is made all the same: it is not copied with it.
        copies = bool(self.args["copies_offsite"]) and not (self.args["by_policy"] or self.args["moment"])
        return self.follow(
            "db_backup",
            asked,
            settings=settings,
            recipients=recipients,
            size_bands=bands,
            copies_offsite=copies,
            **more,
        )

    def _failed(self, database: str, error: WindlassError, need: str) -> list[WindlassError]:
        """Return the error where a backup is required; else note that the run goes on without."""
        if need == "required":
            return [error.located(host=self.host, database=database)]
        self.note(f"{database}: goes on without a backup, as the policy allows: {error.message}")
        self.result["windlass_backup"][database] = {"skipped": error.message}
        return []
