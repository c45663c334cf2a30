"""How large tables and their indexes are before a run and after it: a look in passing, which nothing waits for."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Callable, Optional

from ..dialects.answers import Volumes
from ..dialects.link import ServerError
from ..errors import WindlassError
from ..model import Wire
from ..session import Session

#: PostgreSQL locks a table to measure it; one that somebody else has locked is not waited for any longer (ms).
PATIENCE_MS = 200
#: The whole look may take so long (milliseconds).
LONGEST_MS = 5000
#: From so many tables on a look takes longer than logging in, and goes on beside other work.
MANY_TABLES = 100
#: So many tables are told, those that changed most.
MOST_TABLES = 100


def look(session: Session) -> Optional[Volumes]:
    """Return what is measured, None where that is not possible in passing."""
    dialect = session.dialect
    try:
        session.run(dialect.begin(PATIENCE_MS, LONGEST_MS, read_only=True))
        return dialect.volumes(session.link)
    except ServerError:
        return None
    finally:
        with suppress(ServerError):  # a session that is gone is noticed by whoever needs it next
            session.run(["ROLLBACK", *dialect.set_timeouts(0, 0)])


class Aside:
    """A look on a session of its own, which ``connect`` gives, while the run's session does other work."""

    def __init__(self, connect: Callable[[], Session]) -> None:
        """Begin to look."""
        self._connect = connect
        self._found: Optional[Volumes] = None
        self._thread = threading.Thread(target=self._look, name="sizes", daemon=True)
        self._thread.start()

    def found(self) -> Optional[Volumes]:
        """Wait for the end of it and return what was measured, None where that was not possible."""
        self._thread.join()
        return self._found

    def _look(self) -> None:
        """Log in and look; a server without a free slot is not measured this way."""
        with suppress(WindlassError), self._connect() as session:
            self._found = look(session)


def changes(before: Optional[Volumes], after: Optional[Volumes]) -> Optional[list[Wire]]:
    """Return ``{table, before, after, indexes_before, indexes_after}`` in bytes of the tables that changed.

    0 stands for a table that is not there.  None: not known.
    """
    if before is None or after is None:
        return None
    names = before.tables.keys() | after.tables.keys()
    found = [_size(name, before, after) for name in sorted(names)]
    changed = [item for item in found if item["before"] != item["after"]]
    return sorted(changed, key=lambda item: -abs(item["after"] - item["before"]))[:MOST_TABLES]


def _size(table: str, before: Volumes, after: Volumes) -> Wire:
    return {
        "table": table,
        "before": before.tables.get(table, 0),
        "after": after.tables.get(table, 0),
        "indexes_before": before.indexes.get(table, 0),
        "indexes_after": after.indexes.get(table, 0),
    }
