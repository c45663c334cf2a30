"""What PostgreSQL's scripts tell by their text alone, without a server."""

from __future__ import annotations

import re

from ...model import Script, Statement
from ...project.mistakes import Mistake
from ..scripts import Scripts
from . import review, session_state, splitter, tokens

_SETTINGS = re.compile(r"(?i)\b(set|set_config|reset|discard|load|listen|prepare|deallocate|declare|temp|temporary)\b")
_OUTSIDE = re.compile(r"(?i)\b(dblink\w*|foreign|server|subscription|program)\b")
_COPY = re.compile(r"(?i)\bcopy\b")


class PostgresScripts(Scripts):
    """The language of PostgreSQL's scripts."""

    grammar = "postgresql"

    def split(self, text: str, path: str) -> tuple[Statement, ...]:
        """Part a script as PostgreSQL's own lexer would."""
        return splitter.split(text, path)

    def review(self, script: Script) -> list[Mistake]:
        """Look for what PostgreSQL refuses in a transaction, unnamed online indexes and broken backfills."""
        return review.review(script)

    def copy_parts(self, sql: str) -> tuple[str, str]:
        """Part a COPY … FROM stdin statement into command and data."""
        return splitter.copy_parts(sql)

    def needs_no_transaction(self, sql: str) -> bool:
        """Return whether the server refuses this statement inside a transaction."""
        return tokens.needs_no_transaction(sql)

    def ends_transaction(self, sql: str) -> bool:
        """Return whether the server refuses this statement inside a transaction."""
        return tokens.needs_no_transaction(sql)

    def is_whole(self, script: Script) -> bool:
        """Return whether the script does not ask for the contrary: all that the server accepts inside is whole."""
        return script.directives.transactional

    def can_follow(self, script: Script) -> bool:
        """Return whether the script is whole and moves no data in or out, which needs the connection for itself."""
        return script.directives.transactional and _COPY.search(script.text) is None

    def fails_clean(self, sql: str) -> bool:
        """Return False: what PostgreSQL refuses inside a transaction may leave remains behind."""
        return False

    def sets_session(self, sql: str) -> bool:
        """Return whether it is a SET, RESET or set_config that lasts beyond its transaction."""
        return session_state.lasts(sql)

    def may_grow(self, sql: str) -> bool:
        """Return whether it is more than a setting or a lock, behind which SET TRANSACTION may still stand."""
        return not session_state.is_mere_setting(sql)

    def sets_role(self, sql: str) -> bool:
        """Return whether it takes or leaves a role or session user."""
        return session_state.is_role(sql)

    def reaches_outside(self, text: str) -> bool:
        """Return whether a script has a word of those that reach other servers or programs."""
        return _OUTSIDE.search(text) is not None

    def leaves_settings(self, text: str) -> bool:
        """Return whether a script holds a word that can leave something behind in the session."""
        return _SETTINGS.search(text) is not None

    def is_online(self, sql: str) -> bool:
        """Return whether a statement is a CONCURRENTLY form: a lock timeout there leaves an invalid index."""
        return tokens.concurrent_index(sql) is not None
