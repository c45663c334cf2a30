# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tests backups by restoring them: found on their host, restored on the test host, marked on their host again."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from windlass import identity, transfer
from windlass.elsewhere import OnTestHost
from windlass.environment import Database
from windlass.project import Project, load
from windlass_engine.errors import WindlassError
from windlass_engine.keeping import workplace
from windlass_engine.model import to_wire
from windlass_engine.wire import pack

_NEXT = "invoke backups --env ENV shows what there is; make a new backup and test it"


class ActionModule(OnTestHost):
    """See plugins/modules/db_restore_test.py."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "stage": "bring", "earlier": None, "project_root": "", "backup_dir": "", "client_bin": "", "identity": "",
        "run_id": "",
    }  # fmt: skip

    def work(self) -> None:
        earlier = (self.args["earlier"] or {}).get("windlass_restore_test") or {}
        self.found: dict[str, dict[str, Any]] = {name: dict(known) for name, known in earlier.items()}
        self.result["windlass_restore_test"] = self.found
        {"bring": self._bring, "test": self._test, "mark": self._mark}[self.args["stage"]]()

    # ------------------------------------------------------------ on the backups' host

    def _bring(self) -> None:
        """Find the newest backup of each database, and bring it to the control node where another host tests it."""
        for database in self.databases:
            self._require_host(database)
        workplace.clear_copies(str(self.transit.parent.parent))
        listed = self.call("db_catalogue", self.databases, backup_dir=self.args["backup_dir"])["databases"]
        for database in self.databases:
            whole = [entry for entry in listed[database.name]["entries"] if entry["state"] == "complete"]
            if not whole:
                self.found[database.name] = {"skipped": "there is no complete backup", "failed": ""}
                continue
            known = {"backup": whole[0]["id"], "path": whole[0]["path"], "host": database.policy.restore_test_host}
            self.found[database.name] = {**known, "failed": ""}
            if self._task.check_mode:
                self.found[database.name]["intended"] = True
            elif database.policy.restore_test_host != self.host:
                self._fetch(database.name, whole[0])

    def _require_host(self, database: Database) -> None:
        """Refuse without a host to test on: on a production server a test takes room and time from others."""
        chosen = str((self.args["policy"] or {}).get("restore_test_host") or "")
        if not database.policy.restore_test_host:
            raise WindlassError(
                "preflight_failed",
                "the policy names no host for restore tests, and a server in use is not taken without a word",
                hint="set windlass_policy.restore_test_host to a host of the inventory "
                f"(to {self.host} if it shall be this very server)",
                where={"database": database.name},
            )
        if database.policy.restore_test_host not in self.vars.get("hostvars", {}):
            raise WindlassError(
                "inventory_invalid",
                f"restore_test_host: the inventory has no host {database.policy.restore_test_host}",
                where={"database": database.name},
            )
        if database.policy.restore_test_host != chosen:
            raise WindlassError(
                "inventory_invalid", "restore_test_host is one for all databases of a host: set it in windlass_policy",
                where={"database": database.name},
            )  # fmt: skip

    def _fetch(self, name: str, entry: Mapping[str, Any]) -> None:
        folder = self.transit / name
        with transfer.files_of(self._connection, self.host) as source:
            path = transfer.download(
                source, entry["path"], folder, lambda line: self._tell([f"{self.host} {name}  {line}"])
            )
        self.found[name]["transit"] = str(path)

    # ------------------------------------------------------------ on the test host

    def _test(self) -> None:
        """Restore each backup, whatever became of another's."""
        try:
            ready = dict(self._ready())
            if not ready:
                return
            done, errors = self.follow_all(
                "db_restore_test", [server for server, _ in ready.values()],
                trials={name: trial for name, (_, trial) in ready.items()}, client_bin=self.client_bin(),
                identity=identity.read(self.args["identity"]),
            )  # fmt: skip
        finally:
            self.clear_transit()
        for name, outcome in done.items():
            self.found[name].update(outcome)
        for name, error in errors.items():
            self._skip(name, error)
        self.result["changed"] = bool(done)

    def _ready(self) -> Iterator[tuple[str, tuple[Database, dict[str, Any]]]]:
        """Yield the databases whose backups can be restored: name, server, and what is restored and run."""
        for database in self.databases:
            if not self._is_to_be_tested(database.name):
                continue
            try:
                yield database.name, (self.server(database), self._trial(database))
            except WindlassError as error:
                self._skip(database.name, error)

    def _skip(self, name: str, error: WindlassError) -> None:
        self.found[name].update(skipped=error.message, hint=error.hint)

    def _is_to_be_tested(self, name: str) -> bool:
        known = self.found.get(name, {})
        return bool(known.get("backup")) and not known.get("skipped") and not known.get("intended")

    def _trial(self, database: Database) -> dict[str, Any]:
        """Return where the backup lies on the test host, brought there if need be, and the scripts to run on it."""
        project = load(self.root, database.system, parse="all")
        path = self.path_there(database, self.found[database.name])
        return {"path": path, "scripts": pack(_scripts(project))}

    # ------------------------------------------------------------ and back

    def _mark(self) -> None:
        """Keep what was learnt beside the backups; raise when anything failed or was skipped."""
        tested = {
            name: {
                "id": known["backup"],
                "host": known["host"],
                "failed": known["failed"],
                "duration_ms": known["duration_ms"],
            }
            for name, known in self.found.items()
            if "duration_ms" in known
        }
        if tested:
            asked = [database for database in self.databases if database.name in tested]
            self.call("db_catalogue", asked, backup_dir=self.args["backup_dir"], marks=tested)
        for name, known in self.found.items():
            if known["failed"] or known.get("skipped"):
                raise WindlassError(
                    "restore_untested",
                    known["failed"] or f"not tested: {known['skipped']}",
                    hint=known.get("hint") or _NEXT,
                    where={"host": self.host, "database": name},
                )


def _scripts(project: Project) -> dict[str, Any]:
    """Return the scripts that shall pass, and the migrations after which they can."""
    scripts: dict[str, Any] = {
        kind: [to_wire(project.full(script)) for script in getattr(project, kind)] for kind in ("checks", "samples")
    }
    return {**scripts, "migrations": [migration.name for migration in project.migrations]}
