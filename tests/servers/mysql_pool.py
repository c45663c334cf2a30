"""A pooler in front of a MariaDB server: none is packaged, so it is a small one that the tests run themselves.

It gives each client a session of the server for as long as it stays (mode `session`), or for one transaction or
statement at a time (mode `transaction`), another one each time.  Its clients see a connection number that it invents.
"""

from __future__ import annotations

import itertools
import os
import socket
import socketserver
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pymysql
from pymysql import _auth
from pymysql.constants import CLIENT

from tests.servers.pgbouncer import Behind

_ABILITIES = (
    CLIENT.LONG_PASSWORD | CLIENT.FOUND_ROWS | CLIENT.CONNECT_WITH_DB | CLIENT.PROTOCOL_41 | CLIENT.TRANSACTIONS
    | CLIENT.SECURE_CONNECTION | CLIENT.MULTI_RESULTS | CLIENT.PLUGIN_AUTH
)  # fmt: skip
_QUIT, _OK, _ERROR, _EOF = b"\x01", b"\x00", b"\xff", b"\xfe"
_IN_TRANSACTION, _MORE_RESULTS = 0x0001, 0x0008
_ACCEPTED = bytes((0, 0, 0, 2, 0, 0, 0))
_LARGEST = 0xFFFFFF
_NATIVE = b"mysql_native_password"


class MySQLPool:
    """A running pooler; `url_of(database)` goes through it to the server behind."""

    def __init__(self, server: Behind, *, mode: str = "transaction", listen: str = "127.0.0.1") -> None:
        self.behind = server
        self.mode = mode
        self._numbers = itertools.count(70_000_001)
        self._idle: dict[str, deque[pymysql.Connection[Any]]] = defaultdict(deque)
        self._guard = threading.Lock()
        pool = self

        class Client(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError, EOFError, pymysql.Error):
                    pool.serve(self.request)

        self._front = socketserver.ThreadingTCPServer((listen, 0), Client)
        self._front.daemon_threads = True
        threading.Thread(target=self._front.serve_forever, args=(0.05,), daemon=True).start()

    def url_of(self, database: str) -> str:
        """Return the URI of `database` through the pooler."""
        host, port = self._front.server_address[:2]
        login = f"{self.behind.user}:{quote(self.behind.password, safe='')}"
        return f"mysql://{login}@{host!s}:{port}/{quote(database, safe='')}"

    def remove(self) -> None:
        """End the pooler and its idle sessions."""
        self._front.shutdown()
        self._front.server_close()
        for each in itertools.chain.from_iterable(self._idle.values()):
            each.close()

    def serve(self, client: socket.socket) -> None:
        """Serve one client until it leaves."""
        database = self._greet(client)
        session: pymysql.Connection[Any] | None = None
        try:
            while (command := _read(client))[4:5] != _QUIT:
                session = session or self._take(database)
                behind: socket.socket = vars(session)["_sock"]
                behind.sendall(command)
                if not _pass_on(behind, client) & _IN_TRANSACTION and self.mode == "transaction":
                    self._give_back(database, session)
                    session = None
        finally:
            if session is not None:
                session.close()

    def _greet(self, client: socket.socket) -> str:
        """Log a client in; return the database that it asked for."""
        salt = bytes(byte % 127 + 1 for byte in os.urandom(20))
        head = b"\x0a5.5.5-10.11.0-MariaDB-pooled\0" + struct.pack("<I", next(self._numbers)) + salt[:8] + b"\0"
        middle = struct.pack("<HBHHB", _ABILITIES & 0xFFFF, 45, 2, _ABILITIES >> 16, 21)
        _write(client, 0, head + middle + bytes(10) + salt[8:] + b"\0" + _NATIVE + b"\0")
        answer = _read(client)[4:]
        name, _, rest = answer[32:].partition(b"\0")
        proof, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
        wanted = _auth.scramble_native_password(self.behind.password.encode(), salt)
        if (name.decode(), proof) != (self.behind.user, wanted):
            _write(client, 2, b"\xff\x15\x04#28000the pooler does not know you")
            raise EOFError
        _write(client, 2, _ACCEPTED)
        return rest.partition(b"\0")[0].decode()

    def _take(self, database: str) -> pymysql.Connection[Any]:
        """Return the session that was idle longest; there are always some to choose from."""
        with self._guard:
            idle = self._idle[database]
            while len(idle) < 3:
                idle.append(self._connect(database))
            return idle.popleft()

    def _give_back(self, database: str, session: pymysql.Connection[Any]) -> None:
        with self._guard:
            self._idle[database].append(session)

    def _connect(self, database: str) -> pymysql.Connection[Any]:
        server = self.behind
        return pymysql.connect(
            host=server.host, port=server.port, user=server.user, password=server.password, database=database or None,
            autocommit=True, charset="utf8mb4", client_flag=CLIENT.MULTI_RESULTS | CLIENT.FOUND_ROWS,
        )  # fmt: skip


def _pass_on(server: socket.socket, client: socket.socket) -> int:
    """Pass all results of a command on; return the last one's status flags."""
    while True:
        status = 0
        for packet, told in _result(server):
            client.sendall(packet)
            status = told
        if not status & _MORE_RESULTS:
            return status


def _result(server: socket.socket) -> Iterator[tuple[bytes, int]]:
    """Yield the packets of one result, each with the status flags that it tells (0: none)."""
    packet = _read(server)
    if packet[4:5] in (_OK, _ERROR):
        yield packet, _status_of(packet)
        return
    yield packet, 0
    for _ in range(2):  # the columns, then the rows, each with a packet behind them that says so
        while not _ends(packet := _read(server)):
            yield packet, 0
        yield packet, _status_of(packet)
        if packet[4:5] == _ERROR:
            return


def _ends(packet: bytes) -> bool:
    return packet[4:5] == _ERROR or (packet[4:5] == _EOF and len(packet) < 4 + 9)


def _status_of(packet: bytes) -> int:
    """Return the status flags of a packet that ends something; an error tells none."""
    body = packet[4:]
    if body[:1] == _ERROR:
        return 0
    if body[:1] == _EOF:
        return int.from_bytes(body[3:5], "little")
    place = 1
    for _ in range(2):  # the rows that it affected, and the last number that it gave
        place += 1 + {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(body[place], 0)
    return int.from_bytes(body[place : place + 2], "little")


def _read(stream: socket.socket) -> bytes:
    """Return a packet with its head; of one longer than 16 MB, all its parts."""
    head = _exactly(stream, 4)
    length = int.from_bytes(head[:3], "little")
    whole = head + _exactly(stream, length)
    return whole + _read(stream) if length == _LARGEST else whole


def _exactly(stream: socket.socket, count: int) -> bytes:
    """Return so many bytes.  Raises EOFError where the other side has gone."""
    found = bytearray()
    while len(found) < count:
        part = stream.recv(count - len(found))
        if not part:
            raise EOFError
        found += part
    return bytes(found)


def _write(stream: socket.socket, number: int, body: bytes) -> None:
    stream.sendall(len(body).to_bytes(3, "little") + bytes((number,)) + body)
