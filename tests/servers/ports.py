"""Free ports on the loopback address."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: Below the ports that Linux gives to clients (net.ipv4.ip_local_port_range): no connection takes that of a server which
#: is just being started again.
_SERVERS = range(15_000, 32_000)


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that nobody uses now."""
    for port in random.sample(_SERVERS, len(_SERVERS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"every port of {_SERVERS} is taken")


@contextmanager
def closed_port() -> Iterator[int]:
    """Give a TCP port on 127.0.0.1 that refuses connections: it is ours for the length of the block, and nobody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
