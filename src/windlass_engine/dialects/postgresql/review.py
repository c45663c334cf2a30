"""What PostgreSQL, or a run that must survive on it, does not allow in a script that is otherwise well-formed."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Script, Statement
from ...project.mistakes import Mistake
from .. import backfills
from .lexer import first_word, tokens
from .tokens import concurrent_index, needs_no_transaction

_NO_TRANSACTION = "begin the file with `-- windlass: no-transaction`"
_ELSEWHERE = "set it outside of the migrations, with psql's \\password"
_NAME_IT = "name it: only by its name is an interrupted build found again"


def review(script: Script) -> list[Mistake]:
    """Return the mistakes of a script whose statements are known."""
    found: list[Mistake] = []
    for statement in script.statements:
        sql = script.sql(statement)
        for message, hint in _told(script, statement, sql):
            found.append(Mistake(script.path, statement.line, message, hint))
    return found


def _told(script: Script, statement: Statement, sql: str) -> Iterator[tuple[str, str]]:
    outside = not script.directives.transactional or script.directives.scratch
    if first_word(sql) == "DISCARD" and needs_no_transaction(sql):
        yield "DISCARD ALL would release the lock that keeps other deployers out", "discard PLANS, SEQUENCES or TEMP"
    elif not outside and needs_no_transaction(sql):
        yield f"PostgreSQL refuses this {first_word(sql)} inside a transaction", _NO_TRANSACTION
    index = concurrent_index(sql)
    if index and index.action == "create" and not index.name:
        yield "CREATE INDEX CONCURRENTLY without a name", _NAME_IT
    if _tells_password(sql):
        yield "a password in a script is kept by git, by the journal and by the server's log", _ELSEWHERE
    if statement.backfill:
        if not outside:
            yield "a backfill commits batch by batch, which a transaction does not allow", _NO_TRANSACTION
        yield from backfills.mistakes(sql, first_word(sql), tokens)


def _tells_password(sql: str) -> bool:
    """Tell whether a role or a foreign server's user is given a password in so many words."""
    if "password" not in sql.lower():
        return False
    before = ""
    for token in tokens(sql):
        if before == "PASSWORD" and token.kind in ("string", "escape", "dollar"):
            return first_word(sql) in ("CREATE", "ALTER")
        before = sql[token.start : token.end].upper()
    return False
