"""What restore tests and rehearsals share: a backup of one host is restored on another, which the policy names."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from windlass import environment, transfer
from windlass.actions import ROOT, WindlassAction
from windlass.environment import Database
from windlass.settings import Settings
from windlass_engine.dialects import for_url
from windlass_engine.errors import WindlassError


class OnTestHost(WindlassAction):
    """An action of which one task looks at the backups' host, and another is delegated to the test host."""

    @property
    def root(self) -> Path:
        """Return the folder that holds ``sql/``."""
        return Path(self.args["project_root"] or ROOT)

    @property
    def job_id(self) -> str:
        """Return an id of this host's own: several hosts may have a database of one name tested on one server."""
        return f"{self.run_id}-{re.sub(r'[^A-Za-z0-9_.-]', '-', self.host)}"

    @property
    def transit(self) -> Path:
        """Return the folder of this run for backups on their way, on the control node."""
        return Settings(self.root).state / "transit" / self.run_id / self.host

    def clear_transit(self) -> None:
        """Delete what was brought for this host; the run's folder goes with the last one."""
        shutil.rmtree(self.transit, ignore_errors=True)
        with contextlib.suppress(OSError):  # others of this run are still on their way, or nothing was brought
            self.transit.parent.rmdir()

    def path_there(self, database: Database, known: Mapping[str, Any]) -> str:
        """Return where a backup lies on the test host, brought there if it is another's."""
        if not known.get("transit"):
            return str(known["path"])
        place = self.call("db_restore_test", [self.server(database)], place=True, run_id=self.job_id)["folder"]
        path = f"{place}/{database.name}/{known['backup']}"
        with transfer.files_of(self._connection, known["host"]) as files:
            files.mkdir(f"{place}/{database.name}")
            transfer.upload(files, Path(known["transit"]), path)
        return path

    def server(self, database: Database) -> Database:
        """Return how to log in to the server that takes the scratch database.  Raises ``inventory_invalid``."""
        host = database.policy.restore_test_host
        if host == self.host:
            return database
        variables = self.vars.get("hostvars", {}).get(host) or {}
        listed = variables.get("windlass_restore_test_servers") or variables.get("windlass_databases") or ()
        wanted = for_url(database.url).name
        for item in listed:
            url, password = environment.part_url(str(item.get("url") or ""), host=host)
            if for_url(url).name == wanted:
                return replace(database, url=url, password=str(item.get("password") or password))
        raise WindlassError(
            "inventory_invalid",
            f"the host {host} has no {for_url(database.url).title} server to restore into",
            hint=f"give {host} windlass_restore_test_servers: [{{url: …, password: …}}]",
            where={"database": database.name},
        )

    def client_bin(self) -> str:
        """Return the folder of the client programs on the test host, empty for the usual."""
        host = str((self.args["policy"] or {}).get("restore_test_host") or "")
        if host == self.host:
            return str(self.args["client_bin"])
        return str((self.vars.get("hostvars", {}).get(host) or {}).get("windlass_client_bin") or "")
