"""What rights and room a restore and an exchange would lack, looked up before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Target, Wire
from ..link import Link
from . import outlook, rights
from .address import connect_options
from .driver import MARIADB
from .restoring import maintenance
from .text import quoted

#: With these databases are made beside, filled, and emptied again by an exchange.
_NEEDED = ("CREATE", "DROP", "ALTER", "INSERT", "SELECT")


def obstacles(target: Target, known: Wire, name: str, kept: str) -> list[str]:
    """Return what is lacking for a restore into ``name``, and for keeping the original as ``kept``."""
    with maintenance(target) as admin:
        return [*_rights(admin, target, (name, kept)), *_room(admin, target, int(known["database_bytes"]))]


def _rights(admin: Link, target: Target, names: tuple[str, ...]) -> Iterator[str]:
    """Yield the rights that the login lacks."""
    for name in names:
        granted = rights.in_database(admin, name, admin.server_version >= MARIADB)
        lacking = [right for right in _NEEDED if right not in granted]
        if lacking:
            pattern = f"{connect_options(target)['database']}_%".replace("_", "\\_")
            yield f"the login lacks {', '.join(lacking)} on {name} (GRANT ALL ON {quoted(pattern)}.* TO it)"
            return


def _room(admin: Link, target: Target, needed: int) -> Iterator[str]:
    """Yield that the room is too small, where it can be seen from here."""
    free = outlook.free(admin, str(connect_options(target)["host"]))
    if free is not None and needed > free:
        there = f"the server's data folder, where {free / 1e6:.1f} MB are free"
        yield f"it would take about {needed / 1e6:.1f} MB in {there}"
