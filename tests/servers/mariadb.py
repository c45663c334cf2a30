"""MariaDB: the system's own server, or one out of another Debian release."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.servers.mysqld import ClientPrograms, Mysqld

_PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


class MariaDBServer(Mysqld):
    """A server of the system's own programs, or of those below `root`."""

    title = "MariaDB"

    def __init__(self, settings: Mapping[str, str] | None = None, root: Path | None = None) -> None:
        self._root = root
        self.client_bin = str(root / "usr/bin") if root else ""
        super().__init__(settings)

    @property
    def client_programs(self) -> ClientPrograms:
        """The server's own client programs."""
        return ClientPrograms(self._program("mariadb"), (self._program("mariadb-dump"),))

    def _install(self) -> None:
        self._run(
            self._program("mariadb-install-db"), *self._place(), f"--datadir={self.data}", "--skip-test-db",
            f"--tmpdir={self.temporary}", "--auth-root-authentication-method=normal",
        )  # fmt: skip
        self._write_first(
            "DROP USER IF EXISTS root@'127.0.0.1', root@'::1'",
            f"ALTER USER root@localhost IDENTIFIED BY '{self.password}'",
            f"CREATE OR REPLACE USER root@'%' IDENTIFIED BY '{self.password}'",
            "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION",
        )

    def _program_of_make(self) -> list[str]:
        return [self._program("mariadbd"), *self._place(), "--innodb-log-file-size=16M"]

    def _place(self) -> list[str]:
        return ["--no-defaults", *([f"--basedir={self._root}/usr"] if self._root else [])]

    def _program(self, name: str) -> str:
        found = [self._root / folder / name for folder in ("usr/sbin", "usr/bin")] if self._root else []
        return next((str(path) for path in found if path.exists()), "") or program(name)


def program(name: str) -> str:
    """Return the path of one of the system's own programs, or an empty string."""
    return shutil.which(name, path=_PATH + os.pathsep + os.environ.get("PATH", "")) or ""
