# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what stands in databases."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass.actions import WindlassAction
from windlass_engine.errors import WindlassError


class ActionModule(WindlassAction):
    """See plugins/modules/db_info.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "texts_of": None,
        "history": 0,
        "journal": False,
        "lock_wait": 0,
        "backups": False,
        "backup_dir": "",
    }

    def work(self) -> None:
        if int(self.args["history"] or 0) < 0:
            raise WindlassError("usage", "the number of events (windlass_limit) is negative")
        more = {key: self.args[key] for key in ("texts_of", "history", "lock_wait", "backups", "backup_dir")}
        found = self.call("db_info", self.databases, **more)["databases"]
        journals = {name: info.pop("journal") for name, info in found.items()}
        histories = {name: info.pop("history") for name, info in found.items()}
        self.result["windlass_info"] = found
        if self.args["history"]:
            self.result["windlass_history"] = {name: [shown(event) for event in log] for name, log in histories.items()}
        if self.args["journal"]:
            self.result["windlass_journal"] = journals


def shown(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event of the journal's log under the names that people see."""
    failed = event["event"] in ("failed", "maintenance_failed")
    return {**event, "migration": event["name"], "error": event["detail"] if failed else ""}
