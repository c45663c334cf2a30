"""Other databases of the same server."""

from __future__ import annotations

from urllib.parse import quote, urlsplit, urlunsplit

from ..link import Link
from .text import literal, quoted


def url_of(url: str, name: str) -> str:
    """Return a URL with another database in it."""
    return urlunsplit(urlsplit(url)._replace(path="/" + quote(name, safe="")))


def make(name: str) -> tuple[str, ...]:
    """Return what makes an empty database and, for as long as this session lives, keeps it."""
    return (*keep(name), f"CREATE DATABASE {quoted(name)} CHARACTER SET utf8mb4")


def keep(name: str) -> tuple[str, ...]:
    """Return what keeps a database for as long as this session lives."""
    return (f"DO GET_LOCK({literal(name)}, 0)",)


def drop(name: str) -> str:
    """Return what drops a database."""
    return f"DROP DATABASE IF EXISTS {quoted(name)}"


def unkept(link: Link, prefix: str) -> tuple[str, ...]:
    """Return the databases whose names begin so and that no session holds a lock for."""
    pattern = literal(prefix.replace("_", "\\_") + "%")
    rows = link.query(f"SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE {pattern}")
    return tuple(str(name) for (name,) in rows if _is_free(link, str(name)))


def _is_free(link: Link, name: str) -> bool:
    """Return whether nobody holds the lock of a name."""
    return bool(link.query(f"SELECT IS_FREE_LOCK({literal(name)})")[0][0])
