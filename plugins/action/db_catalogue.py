# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lists the backups of databases."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass.actions import WindlassAction
from windlass_engine.errors import WindlassError


class ActionModule(WindlassAction):
    """See plugins/modules/db_catalogue.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"backup_dir": "", "offsite": None}

    def work(self) -> None:
        self.result["windlass_backups"] = {}
        if not self.databases:
            return
        more = {key: self.args[key] for key in self.OPTIONS}
        found = self.call("db_catalogue", self.databases, **more)["databases"]
        self.result["windlass_backups"] = found
        for listed in found.values():
            if listed["offsite_error"]:
                raise WindlassError.from_wire(listed["offsite_error"]).located(host=self.host)
