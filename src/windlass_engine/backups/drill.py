"""Scratch copies for drills: the newest backup, restored beside the original under a name of its own."""

from __future__ import annotations

import hashlib
from typing import Callable

from ..model import Target, Wire
from ..session import connect
from . import restore
from .backup import keeper_of

PREFIX = "windlass_drill_"
_LENGTH = 36


def name_of(target: Target) -> str:
    """Return the name of a database's copy, short enough for what an exchange adds to it, and no other's."""
    name = keeper_of(target).database_name(target)
    if len(PREFIX + name) <= _LENGTH:
        return PREFIX + name
    mark = hashlib.sha256(name.encode("utf-8")).hexdigest()[:8]
    return f"{(PREFIX + name)[: _LENGTH - 9]}_{mark}"


def copy(target: Target, path: str, client_bin: str, emit: Callable[[Wire], None], identity: str) -> Wire:
    """Restore a backup into the copy; return ``{name, url, backup, duration_ms}``.

    What an earlier drill left is dropped first.  Raises WindlassError as :func:`restore.beside` does.
    """
    drop(target)
    name = name_of(target)
    restored = restore.beside(target, path, name, client_bin, 0, emit, identity)
    with connect(target, "windlass drill") as session:
        url = session.dialect.url_of_database(target.url, name)
    return {"name": name, "url": url, "backup": restored["backup"], "duration_ms": restored["duration_ms"]}


def drop(target: Target) -> Wire:
    """Drop the copy and what an exchange made of it; return ``{dropped}``, their names."""
    name, dropped = name_of(target), []
    with connect(target, "windlass drill") as session:
        for found in session.dialect.unkept_databases(session.link, name):
            if found == name or found[len(name) :].startswith(("_before_", "_undone_", "_restored")):
                session.run(session.dialect.drop_database(found))
                dropped.append(found)
    return {"dropped": dropped}
