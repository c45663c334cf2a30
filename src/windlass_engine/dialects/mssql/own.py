"""Windlass's own SQL, told apart from a script's: it may be joined into one batch, and it says what it begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

#: So many of Windlass's own statements become one batch at most: the server compiles it as a whole.
MOST_JOINED = 60
#: What ends a transaction may be anybody's, and is taken as Windlass's own.
ENDS = ("COMMIT", "ROLLBACK")


class Own(str):
    """A statement of Windlass itself.  No two that can meet in one batch declare the same variable.

    ``opens`` says that it opens a transaction, in which ``read_only`` forbids every change.  ``statement_ms`` is the
    time that each statement behind it may take: the server has no such setting, the driver keeps it (0: no limit).
    """

    opens: bool
    read_only: bool
    statement_ms: int

    def __new__(cls, text: str, *, opens: bool = False, read_only: bool = False, statement_ms: int = -1) -> Own:
        """Keep the text; with ``statement_ms`` below 0 the limit stays as it is."""
        own = super().__new__(cls, text)
        own.opens, own.read_only, own.statement_ms = opens, read_only, statement_ms
        return own


def is_own(statement: str) -> bool:
    """Return whether a statement is Windlass's own: its text says so, or it ends a transaction."""
    return isinstance(statement, Own) or statement in ENDS


def groups(statements: Iterable[str]) -> Iterator[list[str]]:
    """Yield runs of Windlass's own statements together, and each other statement by itself."""
    waiting: list[str] = []
    for statement in statements:
        if waiting and (len(waiting) == MOST_JOINED or not is_own(statement)):
            yield waiting
            waiting = []
        if is_own(statement):
            waiting.append(statement)
        else:
            yield [statement]
    if waiting:
        yield waiting
