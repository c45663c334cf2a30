"""What pending statements will do to the tables that stand: asked of the server, on a scratch database."""

from __future__ import annotations

from collections.abc import Sequence

from .. import scratch
from ..dialects import for_url
from ..model import StatementFacts, Target
from ..session import connect


def weigh(target: Target, statements: Sequence[str]) -> list[tuple[StatementFacts, ...]]:
    """Return the facts of each statement, in order.

    Where the engine tries them, it does so on empty copies of the tables in a scratch database; the database itself is
    only read.  Raises WindlassError where no scratch database can be had, ServerError.
    """
    with connect(target, "windlass plan") as session:
        original = session.dialect.facts(session.link).database
        if "foresees" in session.dialect.capabilities:
            return session.dialect.weigh(session.link, original, statements)
    with scratch.database(target) as place, connect(place, "windlass plan") as session:
        return session.dialect.weigh(session.link, original, statements)


def can_weigh(url: str, scratch_allowed: bool) -> bool:
    """Return whether a database's engine can tell beforehand, some only where they may make a scratch database."""
    capabilities = for_url(url).capabilities
    return "foresees" in capabilities or (scratch_allowed and "weighs" in capabilities)
