"""What a run that must survive on MySQL or MariaDB does not allow in a script that is otherwise well-formed."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Script, Statement
from ...project.mistakes import Mistake
from .. import backfills
from .lexer import tokens
from .reader import Reader

_ELSEWHERE = "set it outside of the migrations"
_LOCK_FUNCTIONS = ("RELEASE_ALL_LOCKS",)


def review(script: Script) -> list[Mistake]:
    """Return the mistakes of a script whose statements are known."""
    return [
        Mistake(script.path, statement.line, message, hint)
        for statement in script.statements
        for message, hint in _told(statement, script.sql(statement))
    ]


def _told(statement: Statement, sql: str) -> Iterator[tuple[str, str]]:
    words = Reader(sql)
    if _tells_password(words):
        yield "a password in a script is kept by git, by the journal and by the server's log", _ELSEWHERE
    if any(item.word in _LOCK_FUNCTIONS for item in words.items if item.kind == "word"):
        yield "RELEASE_ALL_LOCKS would release the lock that keeps other deployers out", "use RELEASE_LOCK(name)"
    if words.peek() == "SET" and "NO_BACKSLASH_ESCAPES" in sql.upper():
        yield "NO_BACKSLASH_ESCAPES changes where strings end, so the script could not be parted", "leave it out"
    if statement.backfill:
        yield from backfills.mistakes(sql, words.peek(), tokens)


def _tells_password(words: Reader) -> bool:
    """Tell whether a user is given a password in so many words."""
    first = (words.peek(), words.peek(1))
    if words.peek() not in ("CREATE", "ALTER", "GRANT") and first != ("SET", "PASSWORD"):
        return False
    about_user = first == ("SET", "PASSWORD")
    for before, item in zip(words.items, words.items[1:]):
        about_user = about_user or before.word == "IDENTIFIED"
        if about_user and item.kind == "string" and before.word in ("BY", "AS", "PASSWORD", "(", "="):
            return True
    return False
