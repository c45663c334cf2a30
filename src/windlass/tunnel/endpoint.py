"""Where a database URL leads as seen from the target, and how a client gets there through a local port."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from windlass_engine.errors import WindlassError

from .link import Destination

_PORT = "5432"
_SOCKET_FOLDER = "/var/run/postgresql"
_SCHEMES = ("postgresql://", "postgres://")
# What decides how a client talks; names of files would mean files on the target.
_KEPT = ("sslmode", "channel_binding", "options", "target_session_attrs", "application_name")


@dataclass(frozen=True)
class Endpoint:
    """A database server as the target sees it; ``parameters`` are libpq's settings without the password."""

    host: str
    port: int
    parameters: tuple[tuple[str, str], ...]

    @property
    def destination(self) -> Destination:
        """Return what an SSH channel is opened to."""
        return f"{self.host}/.s.PGSQL.{self.port}" if self.is_socket else (self.host, self.port)

    @property
    def is_socket(self) -> bool:
        """Return whether the server is reached by a unix socket."""
        return self.host.startswith("/")

    def __str__(self) -> str:
        """Return the socket's path or ``host:port``."""
        place = self.destination
        return place if isinstance(place, str) else f"{place[0]}:{place[1]}"

    def local_url(self, local_port: int, user: str) -> str:
        """Return the URL for this side of the tunnel, without a password.

        ``user`` counts when the database's URL names none.  A certificate is made out to the server's own
        name, so with sslmode=verify-full the name stays in the URL and only the address is the tunnel's.
        """
        given = dict(self.parameters)
        kept = {key: given[key] for key in _KEPT if key in given}
        host = "127.0.0.1"
        if given.get("sslmode") == "verify-full" and not self.is_socket:
            host, kept["hostaddr"] = self.host, host
        name = quote(given.get("dbname") or given.get("user") or user, safe="")
        login = quote(given.get("user") or user, safe="")
        query = f"?{urlencode(kept, quote_via=quote)}" if kept else ""
        return f"postgresql://{login}@{host}:{local_port}/{name}{query}"

    def client_command(self, local_port: int, user: str) -> str:
        """Return the command that opens a client through the tunnel."""
        return f"psql {shlex.quote(self.local_url(local_port, user))}"


def of_url(url: str) -> Endpoint:
    """Read a database URL that holds no password.  Raise WindlassError (inventory_invalid)."""
    if not url.startswith(_SCHEMES):
        raise WindlassError(
            "inventory_invalid",
            "a tunnel needs a PostgreSQL URL",
            hint="write postgresql://user@host:port/database",
        )
    given = _parameters(url)
    hosts = (given.get("hostaddr") or given.get("host") or _SOCKET_FOLDER).split(",")
    ports = (given.get("port") or _PORT).split(",")
    return Endpoint(hosts[0] or _SOCKET_FOLDER, int(ports[0] or _PORT), tuple(sorted(given.items())))


def _parameters(url: str) -> dict[str, str]:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        return {key: str(value) for key, value in conninfo_to_dict(url).items() if key != "password"}
    except psycopg.ProgrammingError:
        # libpq's own words repeat the URL, so they are not passed on.
        raise WindlassError(
            "inventory_invalid",
            "the database URL cannot be parsed",
            hint="write postgresql://user@host:port/database?option=value",
        ) from None
