# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Brings a backup to the control node, resumable and hashed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass import transfer
from windlass.actions import ROOT, WindlassAction
from windlass.settings import Settings
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import outside


class ActionModule(WindlassAction):
    """See plugins/modules/db_download.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "backup": "", "to": "", "project_root": "", "backup_dir": "", "results": "",
    }  # fmt: skip

    def work(self) -> None:
        if self.args["results"]:
            self._require_some()
            return
        self.result["windlass_download"] = {}
        if not self.args["backup"]:
            raise WindlassError("usage", "which backup?", hint="invoke backups --env ENV lists them")
        if not self.databases:
            return
        found = self.call("db_catalogue", self.databases, backup_dir=self.args["backup_dir"])["databases"]
        chosen = {name: self._chosen(listed["entries"]) for name, listed in found.items()}
        wanted = {name: entry for name, entry in chosen.items() if entry}
        for name, entry in wanted.items():
            self._bring(name, entry)
        if not wanted and self.args["backup"] == "latest":
            raise WindlassError("backup_failed", "there is no complete backup here", hint="invoke backup --env ENV")

    def _require_some(self) -> None:
        """Refuse a backup that no host of this play has.  Raises ``backup_failed``."""
        hosts = self.vars["ansible_play_hosts"]
        registered = [self.vars["hostvars"][host].get(self.args["results"]) or {} for host in hosts]
        if not any(result.get("windlass_download") for result in registered):
            message = f"no host has a complete backup {self.args['backup']} of these databases"
            hint = "`invoke backups --env ENV` lists them; --fetch ID brings back one that is only off-site"
            raise WindlassError("backup_failed", message, hint=hint)

    def _chosen(self, entries: list[dict[str, Any]]) -> dict[str, Any] | None:
        """Return the backup that is asked for, of one database."""
        whole = [entry for entry in entries if entry["state"] == "complete"]
        if self.args["backup"] == "latest":
            return whole[0] if whole else None
        return next((entry for entry in whole if entry["id"] == self.args["backup"]), None)

    def _bring(self, name: str, entry: Mapping[str, Any]) -> None:
        root = Path(self.args["project_root"] or ROOT)
        folder = Path(self.args["to"] or Settings(root).state / "downloads").expanduser() / self.host / name
        outside.require_here(dict(entry), "downloaded", "backup_failed")
        known = {"id": entry["id"], "path": str(folder / entry["id"]), "bytes": entry["bytes"]}
        if self._task.check_mode:
            self.result["windlass_download"][name] = {**known, "intended": True}
            return
        with transfer.files_of(self._connection, self.host) as source:
            try:
                transfer.download(
                    source, entry["path"], folder, lambda line: self._tell([f"{self.host} {name}  {line}"])
                )
            except PermissionError as error:
                raise WindlassError(
                    "backup_failed",
                    f"the login user may not read {entry['path']}: {error.strerror}",
                    hint="backups belong to whoever made them: log in as that user, or copy by hand",
                    where={"database": name},
                ) from None
        self.result["windlass_download"][name] = known
        self.result["changed"] = True
