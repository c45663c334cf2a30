# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lets the backups go that no rule keeps."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass.actions import WindlassAction
from windlass.telling import keeping
from windlass_engine.keeping import retention


class ActionModule(WindlassAction):
    """See plugins/modules/db_prune.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "retention": None, "by_policy": False, "backup_dir": "", "offsite": None, "run_id": "",
    }  # fmt: skip

    def work(self) -> None:
        retention.policy_of(self.args["retention"])  # a mistake in it touches nothing
        wanted = ("after_backup",) if self.args["by_policy"] else ("after_backup", "manual")
        asked = [database for database in self.databases if database.policy.prune in wanted]
        self.result["windlass_retention"] = {}
        if not asked:
            return
        more = {key: self.args[key] for key in ("retention", "backup_dir", "offsite")}
        found, errors = self.follow_all("db_prune", asked, **more)
        self.result["windlass_retention"] = found
        self.result["changed"] = any(keeping.would_delete(result) for result in found.values())
        if self._task.diff:
            self.result["diff"] = [keeping.diff(name, result) for name, result in found.items()]
        for error in errors.values():
            raise error
