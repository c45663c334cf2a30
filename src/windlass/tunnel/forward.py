"""A local port, each of whose connections is carried over a channel of its own."""

from __future__ import annotations

import errno
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from windlass_engine.errors import WindlassError

_CHUNK = 64 * 1024
_BACKLOG = 128
_JOIN_S = 5.0


class Stream(Protocol):
    """What a socket and an SSH channel have in common."""

    def recv(self, nbytes: int, /) -> bytes:
        """Return what has come, or nothing at the end."""

    def sendall(self, data: bytes, /) -> Any:
        """Send everything."""

    def shutdown(self, how: int, /) -> None:
        """End one direction or both."""

    def close(self) -> None:
        """End the stream."""


class Forwarder:
    """Listens on 127.0.0.1 and joins each connection to a stream of ``open_stream``."""

    def __init__(
        self,
        open_stream: Callable[[], Stream],
        port: int = 0,
        on_error: Callable[[WindlassError], None] = lambda error: None,
    ) -> None:
        """Listen at once; port 0 takes a free one, and ``on_error`` is told of a stream that does not open.

        Raises WindlassError (tunnel_failed) when the port cannot be had.
        """
        self._open_stream = open_stream
        self._on_error = on_error
        self._listener = _listen(port)
        self.port: int = self._listener.getsockname()[1]
        self._wake, self._waker = socket.socketpair()
        self._lock = threading.Lock()
        self._streams: set[Stream] = set()
        self._threads: set[threading.Thread] = set()
        self._closing = False
        self._acceptor = self._thread(self._accept, "accept")

    def close(self) -> None:
        """Stop listening, end every connection and wait for the threads; a second call does nothing."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            streams = list(self._streams)
        self._waker.close()
        for stream in streams:
            _abort(stream)
        self._acceptor.join(_JOIN_S)  # first, so that no further thread begins
        for thread in list(self._threads):
            thread.join(_JOIN_S)
        self._listener.close()
        self._wake.close()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while not self._closing:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._wake in ready:
                    return
                with suppress(OSError):
                    client, _ = self._listener.accept()
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._thread(self._carry, "carry", client)

    def _carry(self, client: socket.socket) -> None:
        """Carry one connection to its end, both ways at once."""
        try:
            far = self._open_stream()
        except WindlassError as error:
            client.close()
            self._on_error(error)
            return
        if not self._hold(client, far):
            return
        back = self._thread(_pump, "back", far, client)
        _pump(client, far)
        back.join()
        self._release(client, far)

    def _hold(self, *streams: Stream) -> bool:
        """Remember open streams so that closing can end them; when it has begun already, end them here."""
        with self._lock:
            closing = self._closing
            if not closing:
                self._streams.update(streams)
        if closing:
            for stream in streams:
                _abort(stream)
        return not closing

    def _release(self, *streams: Stream) -> None:
        with self._lock:
            self._streams.difference_update(streams)
        for stream in streams:
            with suppress(OSError, EOFError):
                stream.close()

    def _thread(self, work: Callable[..., None], name: str, *arguments: Any) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, name=f"tunnel-{name}", daemon=True)
        with self._lock:  # a thread that is about to end is waited for as well: those that are gone are let go here
            self._threads = {each for each in self._threads if each.is_alive()} | {thread}
            thread.start()
        return thread


def _pump(source: Stream, sink: Stream) -> None:
    """Carry bytes one way; an orderly end is passed on as a half-close, a broken side ends both ways."""
    try:
        while data := source.recv(_CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except (OSError, EOFError):
        _abort(source)
        _abort(sink)


def _abort(stream: Stream) -> None:
    """End both directions, which wakes whoever waits on the stream in another thread.

    A socket is not closed here: its number could be given to a new one while the other thread still reads it.
    """
    with suppress(OSError, EOFError):
        if isinstance(stream, socket.socket):
            stream.shutdown(socket.SHUT_RDWR)
        else:
            stream.close()


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except (OSError, OverflowError) as error:
        listener.close()
        raise _no_port(port, error) from None
    return listener


def _no_port(port: int, error: Exception) -> WindlassError:
    number = getattr(error, "errno", None)
    reason = {
        errno.EADDRINUSE: "is taken by another program",
        errno.EACCES: "needs root (ports below 1024 do)",
    }.get(number or 0, f"cannot be opened ({error})")
    return WindlassError(
        "tunnel_failed",
        f"local port {port} {reason}",
        hint="name another one with --port, or none to get a free one",
    )
