"""Windlass's own SQL, told apart from a script's: it may be joined into one batch, and it says what it begins."""

from __future__ import annotations


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
