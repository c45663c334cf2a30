"""An SSH connection by paramiko, through bastions if need be, with every host key checked."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import paramiko
from paramiko.auth_strategy import AuthSource, AuthStrategy, InMemoryPrivateKey, Password

from windlass_engine.errors import WindlassError

from . import host_keys
from .ssh_options import Hop

_STREAMLOCAL = "direct-streamlocal@openssh.com"
_KEEPALIVE_S = 30
_CHANNEL_TIMEOUT_S = 30.0
#: A busy host that has answered gets so long for each further step: the time to connect is not meant for these.
_HANDSHAKE_S = 60.0
_ORIGIN = ("127.0.0.1", 0)
# One RSA key is used with newer signatures than the SHA-1 of its old name.
_RSA = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}

#: Where a channel ends on the far side: a host and port, or the path of a unix socket.
Destination = tuple[str, int] | str

# A refused channel is told to the operator by this package; paramiko's own log lines would say it twice.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class StreamlocalTransport(paramiko.Transport):
    """A transport that can also open a channel to a unix socket, an OpenSSH extension which paramiko lacks.

    The request differs from the others only in its tail, so the tail is added as the message leaves.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._opening = threading.local()

    def open_streamlocal(self, path: str, timeout: float) -> paramiko.Channel:
        """Open a channel to the unix socket ``path`` on the far side.  Raise paramiko's SSHException."""
        self._opening.path = path
        try:
            return self.open_channel(_STREAMLOCAL, timeout=timeout)
        finally:
            self._opening.path = None

    def _send_user_message(self, data: paramiko.Message) -> None:
        path = getattr(self._opening, "path", None)
        if path is not None:
            self._opening.path = None
            data.add_string(path)
            data.add_string("")  # reserved by the protocol
            data.add_int(0)
        super()._send_user_message(data)  # type: ignore[misc]


class Link:
    """The chain of SSH connections to a host; the last one carries the channels."""

    def __init__(self, transports: Sequence[StreamlocalTransport], hops: Sequence[Hop]) -> None:
        """Take over what :func:`connect` made."""
        self._transports = tuple(transports)
        self.hops = tuple(hops)

    @property
    def end(self) -> StreamlocalTransport | None:
        """Return the connection to the last hop, None when there is no hop at all."""
        return self._transports[-1] if self._transports else None

    @property
    def alive(self) -> bool:
        """Return whether every connection of the chain still stands."""
        return all(transport.is_active() for transport in self._transports)

    def open(self, destination: Destination) -> paramiko.Channel:
        """Open a channel to the far side.  Raise WindlassError (tunnel_failed, database_unreachable)."""
        try:
            return _channel(self._transports[-1], destination, _CHANNEL_TIMEOUT_S)
        except paramiko.ChannelException as error:
            raise _refused_channel(error, destination, self.hops[-1]) from None
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise WindlassError(
                "tunnel_failed",
                f"the SSH link to {self.hops[-1]} does not open a channel: {error}",
                hint="open the tunnel again",
            ) from None

    def close(self) -> None:
        """End the chain, the far end first; never raises."""
        for transport in reversed(self._transports):
            with suppress(Exception):
                transport.close()
        for transport in reversed(self._transports):
            transport.join(timeout=5)


def connect(hops: Sequence[Hop], password: str = "") -> Link:
    """Log in to the last hop through those before it; ``password`` is for the last one.

    Raises WindlassError: ``host_unreachable``, ``host_key_changed``, ``tunnel_failed``.
    """
    transports: list[StreamlocalTransport] = []
    try:
        for hop in hops:
            transports.append(_open_transport(hop, transports[-1] if transports else None))
            _log_in(transports[-1], hop, password if hop is hops[-1] else "")
    except BaseException:
        Link(transports, hops).close()
        raise
    return Link(transports, hops)


def check_keys(hops: Sequence[Hop]) -> None:
    """Hold every host key on a way against the record, without logging in to the last host.

    Raises WindlassError: ``host_unreachable``, ``host_key_changed``, ``tunnel_failed``.
    """
    bastions = connect(hops[:-1])
    try:
        Link([_open_transport(hops[-1], bastions.end)], hops[-1:]).close()
    finally:
        bastions.close()


def _open_transport(hop: Hop, through: StreamlocalTransport | None) -> StreamlocalTransport:
    """Connect and agree on keys with a server whose host key is on record."""
    line = _dial(hop, through)
    entries = host_keys.read(hop.known_hosts)
    transport = _negotiated(line, hop, host_keys.recorded_types(entries, host_keys.name_of(hop.key_name, hop.port)))
    try:
        host_keys.check(transport.get_remote_server_key(), entries, hop.key_name, hop.port, hop.known_hosts)
    except BaseException:
        transport.close()
        raise
    return transport


def _dial(hop: Hop, through: StreamlocalTransport | None) -> Any:
    try:
        if through is None:
            return socket.create_connection((hop.host, hop.port), timeout=hop.connect_timeout_s)
        return _channel(through, (hop.host, hop.port), hop.connect_timeout_s)
    except (OSError, paramiko.SSHException) as error:
        way = " through its bastion" if through is not None else ""
        raise WindlassError(
            "host_unreachable",
            f"{hop.host} port {hop.port} does not answer{way}: {_words(error)}",
            hint="check ansible_host and ansible_port, the network and the firewall",
        ) from None


def _negotiated(line: Any, hop: Hop, recorded: Sequence[str]) -> StreamlocalTransport:
    transport = StreamlocalTransport(line)
    transport.banner_timeout = max(transport.banner_timeout, hop.connect_timeout_s)
    transport.handshake_timeout = transport.auth_timeout = _HANDSHAKE_S
    try:
        _prefer(transport, recorded)
        transport.start_client()  # a limit given here would end the waiting, and not be told
        transport.set_keepalive(_KEEPALIVE_S)
    except (paramiko.SSHException, OSError, EOFError) as error:
        transport.close()
        line.close()
        raise WindlassError(
            "host_unreachable",
            f"{hop.host} port {hop.port} does not speak SSH with us: {_words(error)}",
            hint=f"try: ssh -v -p {hop.port} {hop.user}@{hop.host}",
        ) from None
    return transport


def _prefer(transport: StreamlocalTransport, recorded: Sequence[str]) -> None:
    """Ask first for the key types on record: a server has several keys and shows one."""
    options = transport.get_security_options()
    wanted = [name for kind in recorded for name in _RSA.get(kind, (kind,))]
    known = [name for name in wanted if name in options.key_types]
    options.key_types = [*known, *(name for name in options.key_types if name not in known)]


def _channel(transport: StreamlocalTransport, destination: Destination, timeout: float) -> paramiko.Channel:
    if isinstance(destination, str):
        return transport.open_streamlocal(destination, timeout)
    return transport.open_channel("direct-tcpip", destination, _ORIGIN, timeout=timeout)


def _log_in(transport: StreamlocalTransport, hop: Hop, password: str) -> None:
    try:
        _Login(hop, password).authenticate(transport)
    except (paramiko.SSHException, OSError, EOFError):
        # paramiko's own text lists every key tried over many lines; the way out is what helps.
        raise WindlassError(
            "tunnel_failed",
            f"{hop.host} does not let {hop.user} in over SSH",
            hint=f"load the key into the agent (ssh-add), or try: ssh -p {hop.port} {hop.user}@{hop.host}",
        ) from None


class _Login(AuthStrategy):
    """What to offer, in order: identity files, the agent's keys for encrypted ones, its others, password."""

    def __init__(self, hop: Hop, password: str) -> None:
        super().__init__(ssh_config=paramiko.SSHConfig())
        self._hop = hop
        self._password = password

    def get_sources(self) -> Iterator[AuthSource]:
        """Yield what may let us in."""
        user, hop = self._hop.user, self._hop
        keys = [key for path in hop.identities for key in _private_keys(str(path))]
        yield from (InMemoryPrivateKey(user, key) for key in keys)
        yield from (InMemoryPrivateKey(user, key) for key in _agent_keys(hop, {key.asbytes() for key in keys}))
        if self._password:
            yield Password(user, self._getter())

    def _getter(self) -> Callable[[], str]:
        return lambda: self._password


def _private_keys(path: str) -> Iterator[paramiko.PKey]:
    """Yield a file's key, with its certificate if it has one; nothing for an encrypted or missing file."""
    with suppress(OSError, ValueError, TypeError, paramiko.SSHException):
        yield paramiko.PKey.from_path(path)


def _agent_keys(hop: Hop, tried: set[bytes]) -> Iterator[paramiko.PKey]:
    wanted = _public_parts(hop)
    agent = [key for key in paramiko.Agent().get_keys() if key.asbytes() not in tried]
    named = [key for key in agent if key.get_base64() in wanted]
    yield from named
    if not hop.identities_only:
        yield from (key for key in agent if key not in named)


def _public_parts(hop: Hop) -> set[str]:
    """Return the base64 public keys beside the identity files."""
    parts = set()
    for path in hop.identities:
        with suppress(OSError, UnicodeDecodeError):
            parts.update(path.with_name(path.name + ".pub").read_text(encoding="utf-8").split()[1:2])
    return parts


def _refused_channel(error: paramiko.ChannelException, destination: Destination, hop: Hop) -> WindlassError:
    place = destination if isinstance(destination, str) else f"{destination[0]}:{destination[1]}"
    if error.code == 1:  # administratively prohibited
        return WindlassError(
            "tunnel_failed",
            f"sshd on {hop.host} forbids forwarding to {place}",
            hint="allow it in sshd_config (AllowTcpForwarding, AllowStreamLocalForwarding, PermitOpen)",
        )
    return WindlassError(
        "database_unreachable",
        f"nothing answers at {place} as seen from {hop.host} ({error.text})",
        hint=f"check the database's url in the inventory, and on {hop.host} that the server runs",
    )


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
