"""One moment that several sessions share: commits are held up until each has begun its snapshot.

``BACKUP STAGE`` (MariaDB) holds up commits and waits for no query.  ``FLUSH TABLES WITH READ LOCK`` (MySQL) waits for
those that run, and holds up all that come after it, so it is given up soon and tried again.  Both need the right
``RELOAD``; with ``LOCK TABLES`` alone the tables themselves are locked against writing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from ..link import Link, ServerError
from .text import quoted

#: Whoever waits for a lock holds up those behind it: for so long at most, so many times, with pauses to let them pass.
_TRY_S = 1
_TRIES = 5
_PAUSE_S = 2.0
_TIMEOUT = 1205
#: Not allowed, or another way is needed.
_FORBIDDEN = (1044, 1142, 1227, 1370)


class Moment:
    """How the moment is held: ``way`` is empty when it could not be had, and then ``why`` says the reason."""

    def __init__(self, way: str, why: str = "") -> None:
        """Keep both."""
        self.way = way
        self.why = why


@contextmanager
def held(link: Link, database: str, tables: Sequence[str], is_mariadb: bool, patience_s: float) -> Iterator[Moment]:
    """Hold commits up on ``link`` while the block runs, if the login may and it is to be had in time."""
    reasons = []
    deadline = time.monotonic() + patience_s
    for way, take, give in _ways(database, tables, is_mariadb):
        reason = _take(link, take, give, deadline)
        if not reason:
            try:
                yield Moment(way)
            finally:
                _give(link, give)
            return
        reasons.append(f"{way}: {reason}")
    yield Moment("", "; ".join(reasons))


def _ways(database: str, tables: Sequence[str], is_mariadb: bool) -> Iterator[tuple[str, list[str], str]]:
    """Yield the ways to try: name, what takes the lock, what gives it back."""
    if is_mariadb:
        yield "BACKUP STAGE", ["BACKUP STAGE START", "BACKUP STAGE BLOCK_COMMIT"], "BACKUP STAGE END"
    else:
        yield "FLUSH TABLES WITH READ LOCK", ["FLUSH TABLES WITH READ LOCK"], "UNLOCK TABLES"
    listed = ", ".join(f"{quoted(database)}.{quoted(name)} READ" for name in tables)
    yield "LOCK TABLES", [f"LOCK TABLES {listed}"] if listed else ["DO 0"], "UNLOCK TABLES"


def _take(link: Link, take: Sequence[str], give: str, deadline: float) -> str:
    """Take a lock, a few times and until the time is over; return why not, or an empty string."""
    tried = 0
    while True:
        tried += 1
        try:
            link.run([f"SET SESSION lock_wait_timeout = {_TRY_S}", *take])
        except ServerError as error:
            if error.lost:
                raise
            _give(link, give)
            if error.number != _TIMEOUT or tried >= _TRIES or time.monotonic() >= deadline:
                return error.message
            time.sleep(_PAUSE_S)
        else:
            return ""


def _give(link: Link, give: str) -> None:
    """Give a lock back; where it was never had, that is refused."""
    with suppress(ServerError):
        link.run(give)
