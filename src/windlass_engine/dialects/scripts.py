"""The contract for scripts: what an engine tells from their text alone, without a server."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ..model import Script, Statement
from ..project.mistakes import Mistake


class Scripts(ABC):
    """One engine's answers about its language."""

    #: The word for this engine's language, by which the control node chooses a parser.
    grammar: str = ""

    @abstractmethod
    def split(self, text: str, path: str) -> tuple[Statement, ...]:
        """Part a script into statements.  Raise WindlassError (project_invalid) with file and line."""

    def parts(self, sql: str) -> tuple[tuple[int, str], ...]:
        """Return (lines in front, text) of each statement that changes a table, where a batch may hold several."""
        return ((0, sql),)

    @abstractmethod
    def review(self, script: Script) -> list[Mistake]:
        """Return what this engine does not allow in a script whose statements are known."""

    @abstractmethod
    def copy_parts(self, sql: str) -> tuple[str, str]:
        """Part a COPY … FROM stdin statement into command and data."""

    @abstractmethod
    def needs_no_transaction(self, sql: str) -> bool:
        """Return whether the server refuses this statement inside a transaction."""

    @abstractmethod
    def ends_transaction(self, sql: str) -> bool:
        """Return whether this statement certainly does not stay in an open transaction."""

    @abstractmethod
    def is_whole(self, script: Script) -> bool:
        """Return whether all statements of a script and its journal row can be one transaction."""

    def can_follow(self, script: Script) -> bool:
        """Return whether a script's statements may be sent before those in front of them have ended."""
        return False

    @abstractmethod
    def fails_clean(self, sql: str) -> bool:
        """Return whether this statement certainly left nothing when the server refused it outside a transaction."""

    @abstractmethod
    def sets_session(self, sql: str) -> bool:
        """Return whether a statement only prepares the session for those behind it, so a resumed script needs it."""

    def may_grow(self, sql: str) -> bool:
        """Return whether a statement may change the size of tables; one that only makes a setting does not."""
        return not self.sets_session(sql)

    def sets_role(self, sql: str) -> bool:
        """Return whether a statement takes a role which it has to take again after the journal was written."""
        return False

    @abstractmethod
    def leaves_settings(self, text: str) -> bool:
        """Return whether a script may leave session settings behind."""

    def reaches_outside(self, text: str) -> bool:
        """Return whether a script may have effects that a crash of this server does not take back with its commit."""
        return False

    @abstractmethod
    def is_online(self, sql: str) -> bool:
        """Return whether a statement builds online: it waits for others by design, so no lock timeout may end it."""
