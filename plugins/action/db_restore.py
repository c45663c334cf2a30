# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restores databases beside the originals and reports progress until they stand."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass import identity
from windlass.actions import WindlassAction, names_of
from windlass_engine.errors import WindlassError

#: What is done beside or in place of a restore, by the option's name, as it is typed.
WAYS = {"swap": "--swap", "standing": "--swap-standing", "undo": "--undo", "drop": "--drop"}


class ActionModule(WindlassAction):
    """See plugins/modules/db_restore.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "backup": "latest", "into": "", "suffix": "_restored", "swap": False, "undo": False, "standing": False,
        "drop": "", "backup_dir": "", "client_bin": "", "run_id": "", "identity": "", "offsite": None, "tables": (),
    }  # fmt: skip

    def work(self) -> None:
        self.result["windlass_restore"] = {}
        asked = self.databases
        tables = names_of(self.args["tables"])
        self._refuse_unclear(len(asked), tables)
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

    def _refuse_unclear(self, count: int, tables: Sequence[str]) -> None:
        """Refuse wishes that no restore of ``count`` databases could meet together.  Raises ``usage``."""
        ways = [way for key, way in WAYS.items() if self.args[key]]
        if len(ways) > 1:
            hint = f"give one of {', '.join(WAYS.values())}"
            raise WindlassError("usage", f"{' and '.join(ways)} are different things", hint=hint)
        if (self.args["into"] or self.args["drop"]) and count > 1:
            hint = "choose one: windlass_database (--database NAME)"
            raise WindlassError("usage", "one name beside cannot be that of several databases", hint=hint)
        if tables and ways and not self.args["drop"]:
            hint = "copy the rows back from the side database, or restore the whole backup to swap"
            raise WindlassError("usage", "single tables cannot take the place of a database", hint=hint)
