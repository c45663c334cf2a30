"""The search for a pooler that gives each transaction another session of the server."""

from __future__ import annotations

from typing import Callable

from ..errors import WindlassError
from .link import Link, Message, ServerError


def found(connect: Callable[[], Link], link: Link, own_number: str, begin: Message) -> str:
    """Return how one was found, or an empty string.

    A pooler invents the number of the session that it sends at login, so one that is not the server's own betrays it.
    Whether it pools by transaction is then seen by holding a session of the server with a second one: a pooler by
    session leaves the first where it was.  ``own_number`` asks for the number, ``begin`` opens a transaction.
    """
    number = link.query(own_number)[0][0]
    if number == link.backend_pid:
        return ""
    try:
        other = connect()
    except Exception:
        return "a second session could not be had through the pooler in front of this database"
    try:
        other.run(begin)
        other.query(own_number)
        moved = link.query(own_number)[0][0] != number
    except ServerError:
        moved = True
    finally:
        other.close()
    return "the server's session changes between two statements of one connection" if moved else ""


def refusal(how: str) -> WindlassError:
    """Return the error of work that needs a session of its own, where :func:`found` said how there is none."""
    return WindlassError(
        "pooler_detected",
        f"a transaction pooler stands in front of this database: {how}",
        hint="put the server's own address and port into the inventory, or a pool in session mode",
    )
