# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restores databases beside the originals and reports progress until they stand."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass import identity
from windlass.actions import WindlassAction, names_of
from windlass_engine.errors import WindlassError


class ActionModule(WindlassAction):
    """See plugins/modules/db_restore.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "backup": "latest", "into": "", "suffix": "_restored", "swap": False, "undo": False, "standing": False,
        "drop": "", "backup_dir": "", "client_bin": "", "run_id": "", "identity": "", "offsite": None, "tables": (),
    }  # fmt: skip

    def work(self) -> None:
        self.result["windlass_restore"] = {}
        asked = self.databases
        if (self.args["into"] or self.args["drop"]) and len(asked) > 1:
            hint = "choose one: windlass_database (--database NAME)"
            raise WindlassError("usage", "one name beside cannot be that of several databases", hint=hint)
        tables = names_of(self.args["tables"])
        if tables and (self.args["swap"] or self.args["undo"]):
            hint = "copy the rows back from the side database, or restore the whole backup to swap"
            raise WindlassError("usage", "single tables cannot take the place of a database", hint=hint)
        if not asked:
            return
        settings = {database.name: self.settings(database) for database in asked}
        passed_on = ["backup", "into", "suffix", "swap", "undo", "standing", "drop"]
        passed_on += ["backup_dir", "client_bin", "offsite"]
        more = {key: self.args[key] for key in passed_on}
        more["tables"] = tables
        more["identity"] = identity.read(self.args["identity"])
        ends = self.follow("db_restore", asked, settings=settings, **more)
        done = {name: end["result"] for name, end in ends.items() if end["result"]}
        self.result.update(windlass_restore=done, changed=any("skipped" not in result for result in done.values()))
        for name, end in ends.items():
            if end["error"]:
                raise WindlassError.from_wire(end["error"]).located(host=self.host, database=name)
