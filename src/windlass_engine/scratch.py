"""Scratch databases: made for one piece of work on a server that allows it, and gone afterwards.

While the work goes on, a session of its own is named after the database.  One without such a session was left behind
by a process that was killed, and the next piece of work takes it away.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from .errors import WindlassError
from .model import Target
from .session import ServerError, Session, connect

PREFIX = "windlass_scratch_"


@contextmanager
def database(target: Target) -> Iterator[Target]:
    """Give an empty database on a target's server, dropped at the end whatever happened.

    Raises WindlassError: ``preflight_failed`` where the login may not make one, and what connecting raises.
    """
    name = PREFIX + secrets.token_hex(6)
    with connect(target, name) as keeper:
        _make(keeper, target, name)
        try:
            yield replace(target, url=keeper.dialect.url_of_database(target.url, name))
        finally:
            _drop(keeper, target, name)


def _make(keeper: Session, target: Target, name: str) -> None:
    """Drop what others left behind, and make the database."""
    try:
        drop_stale(keeper)
        for statement in keeper.dialect.make_database(name):
            keeper.run(statement)
    except ServerError as error:
        raise WindlassError(
            "preflight_failed",
            f"no scratch database can be made: {error.message}",
            hint="let the login make databases (PostgreSQL: CREATEDB; MySQL, MariaDB: ALL on `windlass_scratch_%`.*; "
            "SQL Server: the role dbcreator), or name another server",
            where={"database": target.name},
        ) from None


def drop_stale(keeper: Session) -> None:
    """Drop what killed work left behind; others may do the same at this moment.  Raise ServerError."""
    dialect = keeper.dialect
    for stale in dialect.unkept_databases(keeper.link, PREFIX):
        try:
            keeper.run(dialect.drop_database(stale))
        except ServerError:
            if stale in dialect.unkept_databases(keeper.link, PREFIX):
                raise


def _drop(keeper: Session, target: Target, name: str) -> None:
    """Drop the database; over a new connection where the first was lost.  What stays is the next one's to take."""
    try:
        keeper.run(keeper.dialect.drop_database(name))
    except ServerError:
        try:
            with connect(target, name) as other:
                other.run(other.dialect.drop_database(name))
        except (ServerError, WindlassError):
            return
