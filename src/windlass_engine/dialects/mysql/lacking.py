"""What rights a restore and an exchange would lack, looked up before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Target, Wire
from ..link import Link
from . import code, exchange_plan, rights, surroundings
from .address import connect_options
from .driver import MARIADB
from .restoring import maintenance
from .text import quoted

#: With these tables go from one database to another.
_TABLES = ("CREATE", "DROP", "ALTER", "INSERT", "SELECT")
#: With these databases are made beside, filled, and emptied again by an exchange; their table of notes is written to.
_BESIDE = (*_TABLES, "UPDATE", "DELETE")
#: With these code of a kind is seen, taken away and made anew.
_CODE = {
    "VIEW": ("SHOW VIEW", "CREATE VIEW"),
    "TRIGGER": ("TRIGGER",),
    "EVENT": ("EVENT",),
    **dict.fromkeys(code.ROUTINES, ("CREATE ROUTINE", "ALTER ROUTINE")),
}


def obstacles(target: Target, known: Wire, name: str, kept: str) -> list[str]:
    """Return what is lacking for a restore into ``name``, and for keeping the original as ``kept``."""
    original = str(connect_options(target)["database"])
    with maintenance(target) as admin:
        lacking = list(_rights(admin, known, original, (name, kept)))
        # Without the rights the server does not show all code, nor tell whose it is.
        lacking += [] if lacking else _standing(admin, original)
        return lacking


def _rights(admin: Link, known: Wire, original: str, beside: tuple[str, ...]) -> Iterator[str]:
    """Yield the rights that the login lacks."""
    kinds = {*known["globals"].get("kinds", ()), *code.kinds(admin, original)}  # older backups do not say
    for_code = tuple(dict.fromkeys(right for kind in code.KINDS if kind in kinds for right in _CODE[kind]))
    pattern = f"{original}_%".replace("_", "\\_")
    places: list[tuple[str, str, tuple[str, ...]]] = [(name, pattern, _BESIDE) for name in beside]
    if exchange_plan.is_there(admin, original):
        needed = tuple(dict.fromkeys((*_TABLES, *surroundings.NEEDED)))
        places.append((original, original.replace("_", "\\_"), needed))
    for name, granted_on, needed in places:
        granted = rights.in_database(admin, name, admin.server_version >= MARIADB)
        lacking = [right for right in dict.fromkeys((*needed, *for_code)) if right not in granted]
        if lacking:
            yield f"the login lacks {', '.join(lacking)} on {name} (GRANT ALL ON {quoted(granted_on)}.* TO it)"
            return


def _standing(admin: Link, original: str) -> Iterator[str]:
    """Yield what of the original would stand in the way of an exchange.  Raise WindlassError (restore_failed)."""
    if not exchange_plan.is_there(admin, original):
        return
    pieces = surroundings.code_of(admin, original, "restore_failed")
    is_mariadb = admin.server_version >= MARIADB
    strange = surroundings.forbidden_definers(admin, code.definers(pieces), is_mariadb)
    if strange:
        yield f"code of {original} runs as {', '.join(strange)}, which the login may not make (GRANT SET USER to it)"
    leading = exchange_plan.leading_here(admin, original)
    if leading:
        yield f"foreign keys of other databases lead to {original}: {', '.join(leading[:5])} (drop them first)"
