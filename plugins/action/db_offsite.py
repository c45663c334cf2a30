# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copies backups off their hosts and fetches them back; a copy that fails leaves the local backup as it is."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass.actions import WindlassAction


class ActionModule(WindlassAction):
    """See plugins/modules/db_offsite.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "offsite": None, "create": False, "check": False, "fetch": "", "backup_dir": "", "run_id": "",
    }  # fmt: skip

    def work(self) -> None:
        self.result["windlass_offsite"] = {}
        if not self.databases:
            return
        more = {key: self.args[key] for key in ("offsite", "create", "check", "fetch", "backup_dir")}
        found, errors = self.follow_all("db_offsite", self.databases, **more)
        self.result["windlass_offsite"] = found
        self.result["changed"] = any(
            result.get("copied") or result.get("fetched") or result.get("created") for result in found.values()
        )
        for error in errors.values():
            raise error
