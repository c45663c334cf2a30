"""Other databases of the same server."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from ..link import Link
from .text import literal


def url_of(url: str, name: str) -> str:
    """Return a URL with another database in it; one in the query would win, so it goes."""
    parts = urlsplit(url)
    query = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if key != "dbname"]
    path = "/" + quote(name, safe="")
    return urlunsplit((parts.scheme, parts.netloc, path, urlencode(query, quote_via=quote, safe="/"), ""))


def make(name: str) -> tuple[str, ...]:
    """Return what makes an empty database; the server's own template may hold things."""
    return (f"CREATE DATABASE {_quoted(name)} TEMPLATE template0",)


def drop(name: str) -> str:
    """Return what drops a database with its sessions."""
    return f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)"


def unkept(link: Link, prefix: str) -> tuple[str, ...]:
    """Return the databases of this login whose names begin so and that no session of it is named after."""
    rows = link.query(
        "SELECT d.datname FROM pg_catalog.pg_database d "
        f"WHERE pg_catalog.starts_with(d.datname::text, {literal(prefix)}) "
        "AND pg_catalog.pg_has_role(d.datdba, 'USAGE') "
        "AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.application_name = d.datname)"
    )
    return tuple(str(name) for (name,) in rows)


def _quoted(name: str) -> str:
    """Return a name quoted whole: a dot in it parts nothing."""
    return '"' + name.replace('"', '""') + '"'
