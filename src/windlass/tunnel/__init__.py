"""A local port that leads to an environment's database through SSH, for psql or any other client.

The way is the one of the plays (the inventory's SSH settings, ssh_config, agent, bastions), and every host
key on it is held against the known_hosts files.  Nothing is ever added to these, not even where the settings
say StrictHostKeyChecking=no.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from windlass_engine.errors import WindlassError

from . import ssh_options
from .inventory import Destination, find

if TYPE_CHECKING:
    from .forward import Forwarder
    from .link import Link

__all__ = ["Tunnel", "open"]

_LOOK_S = 1.0


class Tunnel:
    """An open tunnel; as a context manager it closes itself."""

    def __init__(self, destination: Destination, link: Link, forwarder: Forwarder) -> None:
        """Take over what :func:`open` made."""
        self.host = destination.host
        self.database = destination.database
        self.local_port = forwarder.port
        self._endpoint = destination.endpoint
        self._link = link
        self._forwarder = forwarder

    @property
    def url(self) -> str:
        """Return the database's URL through the tunnel, without a password."""
        return self._endpoint.local_url(self.local_port, self._link.hops[-1].user)

    def lines(self) -> list[str]:
        """Return what to tell the operator: the way, the command to type, and who asks for the password."""
        way = " -> ".join(str(hop) for hop in self._link.hops)
        lines = [
            f"127.0.0.1:{self.local_port} -> database {self.database} on {self.host} ({self._endpoint})",
            f"over SSH: {way}",
            self._endpoint.client_command(self.local_port, self._link.hops[-1].user),
            "psql asks for the password itself where the server wants one. Ctrl-C closes the tunnel.",
        ]
        if self._endpoint.is_socket:
            user = self._link.hops[-1].user
            lines.append(f"The server sees everyone who uses this port as {user} on its unix socket (peer).")
        return lines

    def serve(self, stop: threading.Event | None = None) -> None:
        """Wait until Ctrl-C, or until ``stop`` is set, then close.

        Raises WindlassError (connection_lost) when the SSH link ends before that.
        """
        stop = stop or threading.Event()
        try:
            while self._link.alive:
                if stop.wait(_LOOK_S):
                    return
        except KeyboardInterrupt:
            return
        finally:
            self.close()
        raise WindlassError(
            "connection_lost",
            "the SSH link of the tunnel has ended",
            hint="open the tunnel again",
            where={"host": self.host, "database": self.database},
        )

    def close(self) -> None:
        """End every connection, the port and the SSH link; a second call does nothing."""
        self._forwarder.close()
        self._link.close()

    def __enter__(self) -> Tunnel:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def open(
    environment: str,
    host: str | None = None,
    database: str | None = None,
    local_port: int = 0,
    root: Path | None = None,
    on_error: Callable[[WindlassError], None] = lambda error: None,
) -> Tunnel:
    """Open a tunnel from 127.0.0.1 to a database of an environment.

    ``local_port`` 0 takes a free port; ``root`` is the project's folder (default: here).  One connection is
    tried at once, so that a wrong way is said here; ``on_error`` is told of a later one that fails.

    Raises WindlassError: ``usage``, ``inventory_invalid``, ``host_unreachable``, ``host_key_changed``,
    ``database_unreachable``, ``tunnel_failed``.
    """
    destination = find((root or Path.cwd()).resolve(), environment, host, database)
    try:
        return _open(destination, local_port, on_error)
    except WindlassError as error:
        raise error.located(host=destination.host, database=destination.database) from None


def _open(destination: Destination, local_port: int, on_error: Callable[[WindlassError], None]) -> Tunnel:
    from . import link as ssh
    from .forward import Forwarder

    link = ssh.connect(ssh_options.route(destination.ssh, _output), destination.password)
    try:
        link.open(destination.endpoint.destination).close()
        forwarder = Forwarder(lambda: link.open(destination.endpoint.destination), local_port, on_error)
    except BaseException:
        link.close()
        raise
    return Tunnel(destination, link, forwarder)


def _output(command: Sequence[str]) -> str:
    from .. import playbook

    return playbook.output(command)
