"""What MySQL's and MariaDB's scripts tell by their text alone, without a server."""

from __future__ import annotations

import re

from ...model import Script, Statement
from ...project.mistakes import Mistake
from ..scripts import Scripts
from . import review, splitter, tokens

_SETTINGS = re.compile(r"(?i)\b(set|prepare|temporary|call|execute|user)\b")


class MySQLScripts(Scripts):
    """The language of MySQL and MariaDB's scripts."""

    grammar = "mysql"

    def split(self, text: str, path: str) -> tuple[Statement, ...]:
        """Part a script at its delimiters."""
        return splitter.split(text, path)

    def review(self, script: Script) -> list[Mistake]:
        """Look for passwords, foreign locks and broken backfills."""
        return review.review(script)

    def copy_parts(self, sql: str) -> tuple[str, str]:
        """Return the statement as it is: there is no COPY."""
        return sql, ""

    def needs_no_transaction(self, sql: str) -> bool:
        """Return whether a statement ends the open transaction, or may."""
        return tokens.commits(sql)

    def ends_transaction(self, sql: str) -> bool:
        """Return whether it is a schema change; a CALL may change rows only."""
        return tokens.ends_transaction(sql)

    def is_whole(self, script: Script) -> bool:
        """Return whether nothing in a script ends the transaction: it changes rows only."""
        return script.directives.transactional and not any(
            statement.backfill or tokens.commits(script.sql(statement)) for statement in script.statements
        )

    def fails_clean(self, sql: str) -> bool:
        """Return whether it was one schema change, which is all or nothing."""
        return tokens.fails_clean(sql)

    def sets_session(self, sql: str) -> bool:
        """Return whether a statement only sets variables or prepares another."""
        return tokens.sets_session(sql)

    def leaves_settings(self, text: str) -> bool:
        """Return whether a script holds a word that can leave something behind in the session."""
        return _SETTINGS.search(text) is not None

    def is_online(self, sql: str) -> bool:
        """Return False: every build may lose a lock and be tried again."""
        return False
