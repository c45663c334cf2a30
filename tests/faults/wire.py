"""A wire between a run and its server, which breaks at the nth message of the run's first session."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

#: How a wire may break: the server never gets the message, gets it and its answer is lost, or works on it unheard.
WAYS = ("before", "after", "deserted")


class Wire:
    """A listening end, passed on to the port of a server; `messages` counts those of the first session.

    At message `at` (none for 0) the wire breaks in one of :data:`WAYS`; or `instead` is called, right behind the
    message or, with the way "first", in front of it.  Later sessions find the wire whole.
    """

    def __init__(self, port: int, at: int = 0, way: str = "", instead: Callable[[], None] | None = None) -> None:
        self.messages = 0
        self.broken = False
        self._at, self._way, self._instead = at, way, instead
        self._port = port
        self._sessions = 0
        self._first: socket.socket
        wire = self

        class Client(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):
                    wire._serve(self.request)

        class Front(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._front = Front(("127.0.0.1", 0), Client)
        threading.Thread(target=self._front.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, url: str) -> str:
        """Return a server's URL by way of this wire."""
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{self._front.server_address[1]}"))

    def desert(self) -> None:
        """Break the first session's wire now, unheard by the server until it has ended what it does."""
        self._first.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let nobody in any more."""
        self._front.shutdown()
        self._front.server_close()

    def _serve(self, client: socket.socket) -> None:
        self._sessions += 1
        counted, answered = self._sessions == 1, True
        if counted:
            self._first = client
        with client, socket.create_connection(("127.0.0.1", self._port)) as server:
            while True:
                ready = select.select([server, client], [], [])[0]
                data = (server if server in ready else client).recv(65536)
                if not data and server not in ready and counted:
                    self._desert(client, server)
                if not data:
                    return
                if server in ready:
                    client.sendall(data)
                    answered = True
                    continue
                self.messages += counted and answered
                answered = False
                if counted and not self.broken and self.messages == self._at:
                    self.broken = True
                    if self._breaks(client, server, data):
                        return
                else:
                    server.sendall(data)

    def _breaks(self, client: socket.socket, server: socket.socket, data: bytes) -> bool:
        """Do what happens at the message; return whether the wire is no more."""
        if self._way == "before":
            return True
        if self._instead and self._way == "first":
            self._instead()
        server.sendall(data)
        if self._instead and self._way != "first":
            self._instead()
        if self._way == "after":
            self._pass_whole(client, server)
        if self._way in ("after", "deserted"):
            self._desert(client, server)
        return self._way in ("after", "deserted")

    def _pass_whole(self, client: socket.socket, server: socket.socket) -> None:
        """Let the message go through to its end: the server answers it."""
        while server not in select.select([server, client], [], [])[0]:
            server.sendall(client.recv(65536))

    def _desert(self, client: socket.socket, server: socket.socket) -> None:
        """Let the server do what it got to its end, with nobody to hear of it."""
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        server.shutdown(socket.SHUT_WR)
        while server.recv(65536):
            pass
