"""A local port whose connections are carried, with plain sockets as the far side."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from testbed.waiting import LIMIT_S, wait_until
from windlass.tunnel.forward import Forwarder, Stream
from windlass_engine.errors import WindlassError


class Far:
    """The far side: each stream opened is one end of a socket pair, whose other end goes to `serve`."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self.serve = serve
        self.threads: list[threading.Thread] = []

    def open(self) -> Stream:
        near, far = socket.socketpair()
        thread = threading.Thread(target=self._served, args=[far])
        self.threads.append(thread)
        thread.start()
        return near

    def _served(self, far: socket.socket) -> None:
        with far:
            self.serve(far)


def echo(far: socket.socket) -> None:
    while data := far.recv(4096):
        far.sendall(data)


def digest(far: socket.socket) -> None:
    """Answer only after the other side has finished sending, which needs the half-close to come through."""
    with far.makefile("rb") as stream:
        far.sendall(hashlib.sha256(stream.read()).hexdigest().encode())


@pytest.fixture
def forward() -> Iterator[Callable[..., Forwarder]]:
    opened: list[Forwarder] = []

    def start(*arguments: object, **settings: object) -> Forwarder:
        opened.append(Forwarder(*arguments, **settings))  # type: ignore[arg-type]
        return opened[-1]

    yield start
    for forwarder in opened:
        forwarder.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("tunnel-")]


def connect(forwarder: Forwarder) -> socket.socket:
    return socket.create_connection(("127.0.0.1", forwarder.port), timeout=LIMIT_S)


def test_a_half_close_lets_the_answer_come_back(forward: Callable[..., Forwarder]) -> None:
    forwarder = forward(Far(digest).open)
    data = os.urandom(3_000_000)

    def ask(_: int) -> bytes:
        with connect(forwarder) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return client.makefile("rb").read()

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(ask, range(20))) == {hashlib.sha256(data).hexdigest().encode()}


def test_both_ways_full_at_once_do_not_block_each_other(forward: Callable[..., Forwarder]) -> None:
    forwarder = forward(Far(echo).open)
    data = os.urandom(8_000_000)
    with connect(forwarder) as client:

        def send() -> None:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        assert client.makefile("rb").read() == data
        sender.join()


def test_a_client_that_vanishes_ends_the_far_side(forward: Callable[..., Forwarder]) -> None:
    ended = threading.Event()

    def wait_for_end(far: socket.socket) -> None:
        far.sendall(b"hello")
        while far.recv(100):
            pass
        ended.set()

    client = connect(forward(Far(wait_for_end).open))
    assert client.recv(5) == b"hello"
    client.close()
    assert ended.wait(timeout=LIMIT_S)


def test_closing_ends_connections_under_way(forward: Callable[..., Forwarder]) -> None:
    forwarder = forward(Far(echo).open)
    clients = [connect(forwarder) for _ in range(5)]
    for client in clients:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    forwarder.close()
    forwarder.close()
    for client in clients:
        with client:
            assert client.recv(1) == b""
    with pytest.raises(OSError):
        connect(forwarder)


def test_a_stream_that_does_not_open_is_told_and_the_next_one_works(forward: Callable[..., Forwarder]) -> None:
    far = Far(echo)
    errors: list[WindlassError] = []
    refusals = [WindlassError("database_unreachable", "not now")]

    def sometimes() -> Stream:
        if refusals:
            raise refusals.pop()
        return far.open()

    forwarder = forward(sometimes, on_error=errors.append)
    with connect(forwarder) as client:
        assert client.recv(1) == b""
    wait_until(lambda: errors, what="the error")
    assert errors[0].message == "not now"
    with connect(forwarder) as client:
        client.sendall(b"again")
        assert client.recv(5) == b"again"


def test_only_this_machine_can_connect(forward: Callable[..., Forwarder]) -> None:
    forwarder = forward(Far(echo).open)
    with pytest.raises(OSError):
        # 127.0.0.2 is this machine as well, but not the address that is listened on.
        socket.create_connection(("127.0.0.2", forwarder.port), timeout=5).close()


@pytest.mark.parametrize("port", [-1, 70000])
def test_a_port_that_is_none(port: int) -> None:
    with pytest.raises(WindlassError) as caught:
        Forwarder(Far(echo).open, port)
    assert caught.value.code == "tunnel_failed"
