"""What a run that must survive on SQL Server does not allow in a script that is otherwise well-formed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...model import Script, Statement
from ...project.mistakes import Mistake
from .. import backfills
from .lexer import tokens
from .reader import Reader
from .tokens import first_loose, is_alone, is_role, is_routine, needs_no_transaction

_NO_TRANSACTION = "write `-- windlass: no-transaction` at the top of the script"
_ELSEWHERE = "set it outside of the migrations"
#: With one of these on, the server answers without doing anything, and the journal's rows would be lost as well.
_SILENT = ("NOEXEC", "PARSEONLY", "FMTONLY", "SHOWPLAN_ALL", "SHOWPLAN_TEXT", "SHOWPLAN_XML")
#: The word before a secret in so many words.
_SECRETS = ("PASSWORD", "SECRET", "OLD_PASSWORD")
_SESSION_ENDERS = ("SP_SETAPPROLE", "SP_RESET_CONNECTION")


def review(script: Script) -> list[Mistake]:
    """Return the mistakes of a script whose statements are known."""
    found = [
        Mistake(script.path, statement.line, message, hint)
        for statement in _each_once(script)
        for message, hint in _told(script, statement, script.sql(statement))
    ]
    return found + list(_left_on(script))


def _each_once(script: Script) -> Sequence[Statement]:
    """Return the batches, one that GO repeats only once."""
    return tuple({statement.start: statement for statement in script.statements}.values())


def _told(script: Script, statement: Statement, sql: str) -> Iterator[tuple[str, str]]:
    outside = not script.directives.transactional or script.directives.scratch
    words = Reader(sql)
    if needs_no_transaction(sql):
        yield from _loose_mistakes(sql, outside)
    if _tells_secret(words):
        yield "a password in a script is kept by git, by the journal and by the server's log", _ELSEWHERE
    if not is_routine(words):
        yield from _session_mistakes(words)
    if statement.backfill:
        if not outside:
            yield "a backfill commits batch by batch, which a transaction does not allow", _NO_TRANSACTION
        yield from backfills.mistakes(sql, words.peek(), tokens)


def _loose_mistakes(sql: str, outside: bool) -> Iterator[tuple[str, str]]:
    if not outside:
        yield f"SQL Server refuses this {first_loose(sql)} inside a transaction", _NO_TRANSACTION
    elif not is_alone(sql) and ";" in sql.rstrip().rstrip(";"):
        told = f"this batch holds more than its {first_loose(sql)}, and would be done in part where it fails"
        yield told, "put GO before and behind it"


def _session_mistakes(words: Reader) -> Iterator[tuple[str, str]]:
    """Yield what would take the session, its lock or its transaction out of Windlass's hands."""
    for at, item in enumerate(words.items):
        words.at = at
        word = words.peek()
        if word == "SET":
            options = _options(words)
            for option in _SILENT:
                if option in options:
                    yield f"SET {option} would let the server pass over what follows, the journal too", "leave it out"
            if "IMPLICIT_TRANSACTIONS" in options:
                yield "SET IMPLICIT_TRANSACTIONS: Windlass opens and ends the transaction itself", "remove it"
        elif is_role(words) and words.items[-1].kind == "word" and "NO REVERT" in _text(words):
            yield "EXECUTE AS … WITH NO REVERT would keep the journal from being written", "leave WITH NO REVERT out"
        elif word in _SESSION_ENDERS:
            yield f"{item.name} would keep the journal from being written", "use EXECUTE AS, and REVERT"
    words.at = 0


def _options(words: Reader) -> list[str]:
    """Return the words of a SET up to ON or OFF."""
    found: list[str] = []
    for ahead in range(1, 24):
        word = words.peek(ahead)
        if word in ("ON", "OFF", ";", "=", ""):
            break
        found.append(word)
    return found


def _text(words: Reader) -> str:
    """Return the next words of a statement, blanks evened out."""
    return " ".join(item.word for item in words.items[words.at : words.at + 14])


def _left_on(script: Script) -> Iterator[Mistake]:
    """Yield the IDENTITY_INSERT that a script leaves on: the next script could then use no other table's."""
    last, line = "", 0
    for statement in script.statements:
        words = Reader(script.sql(statement))
        if is_routine(words):
            continue
        for at in range(len(words.items)):
            words.at = at
            if words.peek() == "SET" and words.peek(1) == "IDENTITY_INSERT":
                last, line = _switch(words), statement.line
    if last == "ON":
        yield Mistake(script.path, line, "IDENTITY_INSERT is left on", "write SET IDENTITY_INSERT … OFF at the end")


def _switch(words: Reader) -> str:
    """Return ON or OFF of a SET IDENTITY_INSERT."""
    return next((words.peek(ahead) for ahead in range(2, 9) if words.peek(ahead) in ("ON", "OFF")), "")


def _tells_secret(words: Reader) -> bool:
    """Tell whether a login, user, key or credential is given its secret in so many words."""
    items = words.items
    for at, item in enumerate(items[:-2]):
        named = item.kind == "word" and item.word in _SECRETS and items[at + 1].word == "="
        if named and (items[at + 2].kind == "string" or items[at + 2].word.startswith("0X")):
            return True
    return False
