"""What SQL Server's scripts tell by their text alone, without a server."""

from __future__ import annotations

from ...model import Script, Statement
from ...project.mistakes import Mistake
from ..scripts import Scripts
from . import parts, review, session_state, splitter, tokens


class SQLServerScripts(Scripts):
    """The language of SQL Server's scripts."""

    grammar = "tsql"

    def split(self, text: str, path: str) -> tuple[Statement, ...]:
        """Part a script at its GO lines: a batch is a statement."""
        return splitter.split(text, path)

    def parts(self, sql: str) -> tuple[tuple[int, str], ...]:
        """Part a batch into its statements."""
        return parts.parts(sql)

    def review(self, script: Script) -> list[Mistake]:
        """Look for what SQL Server refuses in a transaction, lost sessions, passwords and broken backfills."""
        return review.review(script)

    def copy_parts(self, sql: str) -> tuple[str, str]:
        """Return the batch as it is: there is no COPY."""
        return sql, ""

    def needs_no_transaction(self, sql: str) -> bool:
        """Return whether the server refuses something of this batch inside a transaction."""
        return tokens.needs_no_transaction(sql)

    def ends_transaction(self, sql: str) -> bool:
        """Return whether the server refuses something of this batch inside a transaction."""
        return tokens.needs_no_transaction(sql)

    def is_whole(self, script: Script) -> bool:
        """Return whether the script does not ask for the contrary: all that the server accepts inside is whole."""
        return script.directives.transactional

    def fails_clean(self, sql: str) -> bool:
        """Return whether it was one statement, which is all or nothing."""
        return tokens.is_alone(sql)

    def sets_session(self, sql: str) -> bool:
        """Return whether a batch only takes a role or fills the session's context."""
        return tokens.sets_session(sql)

    def sets_role(self, sql: str) -> bool:
        """Return whether it takes or leaves a role."""
        return tokens.sets_role(sql)

    def leaves_settings(self, text: str) -> bool:
        """Return whether a script holds a word that can leave something behind in the session."""
        return session_state.leaves_settings(text)

    def is_online(self, sql: str) -> bool:
        """Return False: ONLINE = ON stands in a transaction, may lose a lock and be tried again."""
        return False
