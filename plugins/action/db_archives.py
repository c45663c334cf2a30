# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lists archives, writes one as CSV on the control node, puts one back, purges one."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass.actions import ROOT, WindlassAction
from windlass.environment import Database
from windlass.telling import archives
from windlass_engine.errors import WindlassError

#: Rows that one call brings.
PAGE_ROWS = 5000
PAST = {"export": "exported", "put_back": "put_back", "purge": "purged"}


class ActionModule(WindlassAction):
    """See plugins/modules/db_archives.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"export": "", "to": "", "put_back": "", "purge": "", "project_root": ""}

    def work(self) -> None:
        self.result["windlass_archives"] = {}
        if not self.databases:
            return
        found = self.call("db_archives", self.databases)["databases"]
        for name, entries in found.items():
            self.result["windlass_archives"][name] = {"entries": entries, **dict.fromkeys(PAST.values())}
        works = {"export": self._export, "put_back": self._put_back, "purge": self._purge}
        for word, work in works.items():
            name = str(self.args[word] or "")
            if name:
                database = self._holder(name)
                self.result["windlass_archives"][database.name][PAST[word]] = work(database, name)

    def _holder(self, name: str) -> Database:
        """Return the database that has an archive.  Raises ``usage``."""
        found = self.result["windlass_archives"]
        known = {
            entry["name"]: held for held in found for entry in found[held]["entries"] if entry["state"] != "purged"
        }
        if name not in known:
            hint = f"there are: {', '.join(known) or 'none'}"
            raise WindlassError("usage", f"there is no archive {name}", hint=hint)
        return next(database for database in self.databases if database.name == known[name])

    def _export(self, database: Database, name: str) -> dict[str, Any]:
        """Write an archive page by page."""
        root = Path(self.args["project_root"] or ROOT)
        folder = Path(self.args["to"]) if self.args["to"] else root / ".windlass" / "archives"
        path = folder / f"{name}.csv"
        if self._task.check_mode:
            return {"name": name, "path": str(path), "intended": True}
        rows = archives.write_csv(path, self._pages(database, name))
        return {"name": name, "path": str(path), "rows": rows}

    def _pages(self, database: Database, name: str) -> Iterator[Mapping[str, Any]]:
        after, page = 0, {"rows": [None]}
        while page["rows"]:
            page = self.call("db_archives", [database], export=name, after=after, limit=PAGE_ROWS)["page"]
            after = page["last"]
            yield page

    def _put_back(self, database: Database, name: str) -> dict[str, Any]:
        if self._task.check_mode:
            return {"name": name, "intended": True}
        told = dict(self.call("db_archives", [database], put_back=name)["put_back"])
        self.result["changed"] = bool(told["put_back"])
        return told

    def _purge(self, database: Database, name: str) -> dict[str, Any]:
        if self._task.check_mode:
            return {"name": name, "intended": True}
        self.result["changed"] = True
        who = str(self.settings(database)["who"])
        return dict(self.call("db_archives", [database], purge=name, who=who)["purged"])
