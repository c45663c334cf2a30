"""A pgbouncer in front of a PostgreSQL server."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from testbed.waiting import wait_until
from tests.servers import unprivileged
from tests.servers.ports import free_port
from tests.servers.postgresql import PostgresServer

_CONFIGURATION = """\
[databases]
* = host={server.host} port={server.port}

[pgbouncer]
listen_addr = {listen}
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = 10
max_client_conn = 100
ignore_startup_parameters = extra_float_digits,options
logfile = {folder}/log
"""


@dataclass(frozen=True)
class Behind:
    """The server behind a pooler, and the one account that the pooler lets through."""

    host: str
    port: int
    user: str
    password: str


class Pool:
    """A running pgbouncer; `url_of(database)` goes through it to the server behind."""

    def __init__(self, server: Behind, *, mode: str = "transaction", listen: str = "127.0.0.1") -> None:
        self.behind = server
        self.listen = listen
        self.folder = Path(tempfile.mkdtemp(prefix="windlass-pgbouncer-"))
        unprivileged.give(self.folder)
        self._write("users", f'"{server.user}" "{server.password}"\n')
        for _attempt in range(3):  # the port may be taken between the look and the start
            self.port = free_port()
            text = _CONFIGURATION.format(server=server, port=self.port, folder=self.folder, mode=mode, listen=listen)
            self._write("pgbouncer.ini", text)
            self._process = subprocess.Popen(
                unprivileged.command([program(), str(self.folder / "pgbouncer.ini")], dies_with_parent=True),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            wait_until(lambda: self._has_ended() or self._answers(), what="pgbouncer")
            if not self._has_ended():
                return
        raise RuntimeError(f"pgbouncer ended: {(self.folder / 'log').read_text()}")

    def url_of(self, database: str) -> str:
        """Return the URI of `database` through pgbouncer."""
        login = f"{self.behind.user}:{quote(self.behind.password, safe='')}"
        return f"postgresql://{login}@{self.listen}:{self.port}/{quote(database, safe='')}"

    def remove(self) -> None:
        """Stop pgbouncer and delete its folder."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.folder)

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        unprivileged.give(path)

    def _has_ended(self) -> bool:
        return self._process.poll() is not None

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection((self.listen, self.port), timeout=5):
            return True
        return False


class Pgbouncer(Pool):
    """A pool in transaction mode in front of a server of the tests' own."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        super().__init__(Behind("127.0.0.1", server.port, server.superuser, server.password))


def program() -> str:
    """Return the path of the pgbouncer program, or an empty string."""
    return shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin") or ""
