"""A database server of one's own: a process with a folder, a loopback port and passwords, whatever its make."""

from __future__ import annotations

import itertools
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from testbed.waiting import LIMIT_S, wait_until
from tests.servers import unprivileged
from tests.servers.ports import free_port

#: How often a server is started: at ever another port at first, then until its own is free again.
_TRIES, _TRIES_AGAIN = 3, 100
_PAUSE_S = 0.2


class Server(ABC):
    """A server that `start` starts; `superuser` and `password` are the account in `url`, `log` is what it logs to."""

    title = ""
    superuser = ""
    scheme = ""
    maintenance_database = ""
    #: What a client's connection fails with, as long as the server is not ready.
    refusals: tuple[type[Exception], ...] = ()
    #: What ends the server and every session.
    gentle = signal.SIGTERM

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"windlass-{self.title.lower()}-"))
        self.password = secrets.token_urlsafe(12)
        self.port = 0
        self._names = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        unprivileged.give(self.folder)

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.folder / "log"

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    @property
    def url(self) -> str:
        """The URI of the server's own database, as superuser."""
        return self.url_of(self.maintenance_database)

    def url_of(self, database: str, *, user: str | None = None, password: str | None = None) -> str:
        """Return the URI of `database` over TCP, as superuser or as `user`."""
        login = f"{quote(user or self.superuser, safe='')}:{quote(password or self.password, safe='')}"
        return f"{self.scheme}://{login}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    @property
    def is_running(self) -> bool:
        """Whether the server was started and has not ended since, by itself or by anybody."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and wait until it answers; once it has had a port, it keeps it, for others know it by that."""
        for _attempt in range(
            _TRIES_AGAIN if self.port else _TRIES
        ):  # the port may be taken for a moment, or what a killed one left be still in use
            port = self.port or free_port()
            if self._starts_at(port):
                self.port = port
                return
            time.sleep(_PAUSE_S)
        raise RuntimeError(f"{self.title} did not start:\n{self.log.read_text()}")

    def _starts_at(self, port: int) -> bool:
        """Start the server at a port; return whether it came to answer."""
        kept, self.port = self.port, port
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                unprivileged.command(self._command(), dies_with_parent=True),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
            )  # fmt: skip
        try:
            wait_until(self._answers, what=f"{self.title} in {self.folder}")
        except _EndedEarly:
            self.port = kept
            return False
        return True

    def stop(self) -> None:
        """Shut the server down, ending every session."""
        self._end(self.gentle)

    def kill(self) -> None:
        """Kill the server with -9, as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop the server, start it again on the same port."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """Kill the server and delete its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def database(self, name: str | None = None) -> Iterator[str]:
        """Create a database for the length of a block; give its URI."""
        name = name or self._new_name()
        url = self.create_database(name)
        try:
            yield url
        finally:
            self.drop_database(name)

    @abstractmethod
    def connect(self, **options: Any) -> Any:
        """Return an autocommit connection as superuser."""

    @abstractmethod
    def create_database(self, name: str | None = None) -> str:
        """Create a database (with a name of its own unless one is given) and return its URI."""

    @abstractmethod
    def drop_database(self, name: str) -> None:
        """Drop the database `name` if it is there, ending its sessions."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the server's program with all its settings."""

    def _new_name(self) -> str:
        return f"windlass_{next(self._names)}_{secrets.token_hex(4)}"

    def _run(self, *command: str) -> None:
        """Run a program that makes the data folder."""
        done = subprocess.run(
            unprivileged.command(list(command)), capture_output=True, text=True, check=False, cwd=self.folder
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise _EndedEarly
        try:
            self.connect(connect_timeout=5).close()
        except self.refusals:
            return False
        return True

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
            self._process.wait(timeout=LIMIT_S)
            self._process = None


class _EndedEarly(Exception):
    """The server's process ended before the server answered."""
