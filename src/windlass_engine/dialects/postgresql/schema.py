"""Reads PostgreSQL's catalogue under settings that make definitions comparable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from ..answers import Object
from ..link import Link, ServerError
from . import catalogue, deparse
from .text import literal


def read(link: Link) -> Sequence[Object]:
    """Return every user object.  Raise ServerError."""
    with _plain_settings(link):
        rows = link.query(catalogue.query(link.server_version))
    return [(kind, identity, deparse.settled(definition)) for kind, identity, definition in rows]


@contextmanager
def _plain_settings(link: Link) -> Iterator[None]:
    """Give the session the settings that make definitions comparable, and its own ones back."""
    changes = ", ".join(
        f"pg_catalog.current_setting('{name}'), pg_catalog.set_config('{name}', '{value}', false)"
        for name, value in catalogue.SETTINGS.items()
    )
    own = dict(zip(catalogue.SETTINGS, link.query(f"SELECT {changes}")[0][::2]))
    try:
        yield
    except ServerError:
        # In a failed transaction nothing can be set, and its end gives the settings back.
        with suppress(ServerError):
            _give_back(link, own)
        raise
    _give_back(link, own)


def _give_back(link: Link, own: dict[str, str]) -> None:
    """Set the session's own values again."""
    changes = ", ".join(f"pg_catalog.set_config('{name}', {literal(value)}, false)" for name, value in own.items())
    link.query(f"SELECT {changes}")
