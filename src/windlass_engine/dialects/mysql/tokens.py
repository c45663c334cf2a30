"""What kind of statement a text is, as far as running it safely depends on it."""

from __future__ import annotations

from .reader import Reader

#: Of these nobody knows what they did before the server refused them.
_OPAQUE = frozenset(["CALL", "EXECUTE", "BEGIN", "IF", "CASE", "LOOP", "WHILE", "REPEAT", "FOR"])
#: These end the open transaction, or may end it by what they run.
_COMMITTING = frozenset(
    ["ALTER", "CREATE", "DROP", "RENAME", "TRUNCATE", "GRANT", "REVOKE", "OPTIMIZE", "REPAIR", "FLUSH", "INSTALL",
     "UNINSTALL", "RESET", "CHANGE", "STOP", "START", "CACHE", "PURGE", *_OPAQUE]
)  # fmt: skip
_TABLES = ("TABLE", "TABLES")


def reader(sql: str, limit: int = 0) -> Reader:
    """Return a reader that stands at the statement proper, behind a SET STATEMENT … FOR."""
    words = Reader(sql, limit)
    if words.peek() == "SET" and words.peek(1) == "STATEMENT":
        words = Reader(sql)
        while not words.done and not words.take("FOR"):
            words.at += 1
    return words


def commits(sql: str) -> bool:
    """Tell whether a statement ends the open transaction, or may do so: then it cannot share one with its mark."""
    words = reader(sql, 8)
    first = words.peek()
    if first in ("CREATE", "DROP"):
        return not _is_temporary(words)
    if first in ("ANALYZE", "CHECK"):
        return bool(set(_TABLES) & {words.peek(1), words.peek(2)})
    if first == "LOAD":
        return words.peek(1) == "INDEX"
    if first == "SET":
        return words.peek(1) == "PASSWORD" or (words.peek(1), words.peek(2)) == ("DEFAULT", "ROLE")
    return first in _COMMITTING


def ends_transaction(sql: str) -> bool:
    """Tell whether a statement certainly ends the open transaction: what a routine does, its caller cannot see."""
    return commits(sql) and reader(sql, 8).peek() not in _OPAQUE


def fails_clean(sql: str) -> bool:
    """Tell whether a statement that the server refused left nothing: one schema change is all or nothing."""
    words = reader(sql)
    if words.peek() in _OPAQUE:
        return False
    if words.peek() in ("DROP", "RENAME", "GRANT", "REVOKE"):
        return len(words.rest_of_list()) == 1
    return commits(sql)


def sets_session(sql: str) -> bool:
    """Tell whether a statement only sets variables or prepares a statement: both are gone with their session."""
    words = Reader(sql, 4)
    if words.peek() in ("PREPARE", "DEALLOCATE"):
        return True
    lasting = ("STATEMENT", "GLOBAL", "PERSIST", "PERSIST_ONLY", "PASSWORD", "DEFAULT")
    return words.peek() == "SET" and words.peek(1) not in lasting


def _is_temporary(words: Reader) -> bool:
    """Tell whether CREATE [OR REPLACE] or DROP is about a temporary table, which belongs to the session."""
    at = 3 if (words.peek(1), words.peek(2)) == ("OR", "REPLACE") else 1
    return words.peek(at) == "TEMPORARY"
