"""What kind of batch a text is, as far as running it safely depends on it."""

from __future__ import annotations

from collections.abc import Iterator

from .reader import Reader

_ROUTINES = ("PROC", "PROCEDURE", "FUNCTION", "TRIGGER", "VIEW")
_TRANSACTION = ("TRAN", "TRANSACTION")
#: The first words of statements that the server refuses inside a transaction.
_LOOSE_STARTS = (
    ("CREATE", "DATABASE"),
    ("ALTER", "DATABASE"),
    ("DROP", "DATABASE"),
    ("CREATE", "FULLTEXT"),
    ("ALTER", "FULLTEXT"),
    ("DROP", "FULLTEXT"),
    ("CREATE", "AVAILABILITY"),
    ("ALTER", "AVAILABILITY"),
    ("DROP", "AVAILABILITY"),
    ("BACKUP",),
    ("RESTORE",),
    ("RECONFIGURE",),
    ("SHUTDOWN",),
    ("KILL",),
    ("DBCC", "SHRINKDATABASE"),
    ("DBCC", "SHRINKFILE"),
)
#: What begins so is still a change of the database that the session is in, or of its users, and rolls back.
_INSIDE = (
    ("CREATE", "DATABASE", "AUDIT"), ("CREATE", "DATABASE", "SCOPED"), ("CREATE", "DATABASE", "ENCRYPTION"),
    ("ALTER", "DATABASE", "AUDIT"), ("ALTER", "DATABASE", "ENCRYPTION"),
    ("DROP", "DATABASE", "AUDIT"), ("DROP", "DATABASE", "SCOPED"), ("DROP", "DATABASE", "ENCRYPTION"),
    ("CREATE", "FULLTEXT", "STOPLIST"), ("ALTER", "FULLTEXT", "STOPLIST"), ("DROP", "FULLTEXT", "STOPLIST"),
    ("BACKUP", "CERTIFICATE"), ("BACKUP", "MASTER"), ("BACKUP", "SERVICE"), ("RESTORE", "MASTER"),
)  # fmt: skip
#: Procedures that the server refuses inside a transaction.
_LOOSE_PROCEDURES = (
    "SP_ADD_JOB", "SP_ADDLINKEDSERVER", "SP_ADDSERVER", "SP_ATTACH_DB", "SP_CONFIGURE", "SP_DETACH_DB",
    "SP_DROPSERVER", "SP_FULLTEXT_CATALOG", "SP_FULLTEXT_COLUMN", "SP_FULLTEXT_DATABASE", "SP_FULLTEXT_TABLE",
    "SP_RENAMEDB", "SP_REPLICATIONDBOPTION", "SP_SERVEROPTION",
)  # fmt: skip
#: These change rows, objects or rights, or do what cannot be seen from here.
_CHANGES = frozenset(
    ["INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "DENY", "EXEC",
     "EXECUTE", "DBCC", "UPDATETEXT", "WRITETEXT"]
)  # fmt: skip
#: What a batch may begin with; another word is the name of a procedure, which needs no EXECUTE there.
_STARTS = frozenset(
    ["ADD", "ALTER", "BACKUP", "BEGIN", "BULK", "CHECKPOINT", "CLOSE", "CREATE", "DBCC", "DEALLOCATE", "DECLARE",
     "DELETE", "DENY", "DISABLE", "DROP", "ENABLE", "EXEC", "EXECUTE", "FETCH", "GOTO", "GRANT", "IF", "INSERT", "KILL",
     "MERGE", "MOVE", "OPEN", "PRINT", "RAISERROR", "READTEXT", "RECEIVE", "RECONFIGURE", "RESTORE", "RETURN", "REVERT",
     "REVOKE", "SELECT", "SEND", "SET", "SHUTDOWN", "THROW", "TRUNCATE", "UPDATE", "UPDATETEXT", "USE", "WAITFOR",
     "WHILE", "WITH", "WRITETEXT"]
)  # fmt: skip
#: Behind one of these the word is a name, or belongs to a cursor.
_PART_OF = (".", "FOR")
#: These may stand between a changing word and what it changes.
_BETWEEN = ("INTO", "FROM", "TABLE", "IF", "EXISTS")
_DYNAMIC = "SP_EXECUTESQL"
_SESSION_PROCEDURE = "SP_SET_SESSION_CONTEXT"
#: A batch that holds one of these does more than to prepare its session.
_WORK = _CHANGES - {"EXEC", "EXECUTE"} | {"SELECT", "DECLARE", "IF", "WHILE", "BEGIN", "PRINT", "WAITFOR"}


def is_routine(words: Reader) -> bool:
    """Tell whether a batch is the definition of a procedure, function, trigger or view, to its very end."""
    if words.peek() not in ("CREATE", "ALTER"):
        return False
    at = 3 if (words.peek(1), words.peek(2)) == ("OR", "ALTER") else 1
    return words.peek(at) in _ROUTINES


def needs_no_transaction(sql: str) -> bool:
    """Tell whether the server refuses a batch inside a transaction."""
    words = Reader(sql)
    if is_routine(words):
        return any(item.word == "NATIVE_COMPILATION" and item.kind == "word" for item in words.items)
    return any(True for _ in _loose(words))


def is_alone(sql: str) -> bool:
    """Tell whether a batch is a single statement of those that run outside a transaction."""
    words = Reader(sql)
    return not is_routine(words) and next(iter(_loose(words)), -1) == 0 and _is_one_statement(words)


def _is_one_statement(words: Reader) -> bool:
    """Tell whether no semicolon stands before the end, and nothing else begins that runs outside a transaction."""
    return all(item.word != ";" or item.kind != "other" for item in words.items[:-1]) and len(list(_loose(words))) == 1


def first_loose(sql: str) -> str:
    """Return the first words of what the server refuses inside a transaction."""
    words = Reader(sql)
    at = next(iter(_loose(words)), 0)
    return " ".join(item.word for item in words.items[at : at + 2])


def change(sql: str) -> str:
    """Return the first word by which a batch changes something, or an empty string.

    What belongs to the session (table variables, temporary tables) may be changed.
    """
    words = Reader(sql)
    if is_bare_call(words):
        return "the call of a procedure"
    for at in range(len(words.items)):
        words.at = at
        word = words.peek()
        if word == "INTO" and words.peek(-1) not in ("INSERT", "MERGE") and not _is_of_the_session(words, 1):
            return "SELECT INTO"
        if word in ("ENABLE", "DISABLE") and words.peek(1) == "TRIGGER":
            return f"{word} TRIGGER"
        if word in _CHANGES and words.peek(-1) not in _PART_OF and not _is_harmless(words, word):
            return word
    return ""


def only_reads(sql: str) -> bool:
    """Tell whether a batch is a query and certainly nothing else."""
    return Reader(sql).peek() in ("SELECT", "WITH") and not change(sql)


def sets_session(sql: str) -> bool:
    """Tell whether a batch only prepares its session: settings, the role, the session's context."""
    words = Reader(sql)
    prepares = words.peek() in ("SET", "REVERT") or is_role(words) or _calls(words, _SESSION_PROCEDURE)
    return prepares and not any(item.kind == "word" and item.word in _WORK for item in words.items)


def sets_role(sql: str) -> bool:
    """Tell whether a batch takes or leaves a role."""
    words = Reader(sql)
    if is_routine(words):
        return False
    for at in range(len(words.items)):
        words.at = at
        if words.peek() == "REVERT" or is_role(words):
            return True
    return False


def is_bare_call(words: Reader) -> bool:
    """Tell whether a batch begins with the name of a procedure: ``sp_who`` without EXECUTE."""
    if words.done or words.items[0].kind not in ("word", "name"):
        return False
    first = words.items[0]
    label = len(words.items) > 1 and words.items[1].word == ":"
    return not label and (first.kind == "name" or first.word not in _STARTS)


def is_role(words: Reader) -> bool:
    """Tell whether EXECUTE AS stands here."""
    return words.peek() in ("EXEC", "EXECUTE") and words.peek(1) == "AS"


def transaction_words(words: Reader) -> Iterator[tuple[int, str]]:
    """Yield (place, word) of each statement that opens or ends a transaction."""
    for at in range(len(words.items)):
        words.at = at
        word, following = words.peek(), words.peek(1)
        if word == "BEGIN" and following in (*_TRANSACTION, "DISTRIBUTED"):
            yield at, f"BEGIN {following}"
        elif word == "SAVE" and following in _TRANSACTION:
            yield at, f"SAVE {following}"
        elif word == "COMMIT" or (word == "ROLLBACK" and words.peek(-1) != "WITH"):
            yield at, word
    words.at = 0


def _loose(words: Reader) -> Iterator[int]:
    """Yield the places of what the server refuses inside a transaction."""
    for at in range(len(words.items)):
        words.at = at
        if _begins_loose(words) or _is_loose_call(words) or _is_resumable(words) or _is_in_memory(words):
            yield at
    words.at = 0


def _begins_loose(words: Reader) -> bool:
    """Tell whether a statement that cannot be in a transaction begins here (a name may look like its first word)."""
    if words.peek(-1) in (".", "GRANT", "DENY", "REVOKE", ","):
        return False
    begins = words.at == 0 or words.peek(-1) in (";", "BEGIN", "ELSE", ")")
    if words.peek() not in ("CREATE", "ALTER", "DROP") and not begins:
        return False
    return any(map(words.stands, _LOOSE_STARTS)) and not any(map(words.stands, _INSIDE))


def _is_loose_call(words: Reader) -> bool:
    """Tell whether a call of such a procedure stands here."""
    if words.peek() not in _LOOSE_PROCEDURES:
        return False
    return words.at == 0 or words.peek(-1) in ("EXEC", "EXECUTE", ".", "=", ";")


def _is_resumable(words: Reader) -> bool:
    """Tell whether RESUMABLE = ON, or a word to a resumable operation, stands here."""
    if (words.peek(), words.peek(1), words.peek(2)) == ("RESUMABLE", "=", "ON"):
        return True
    return words.peek() in ("RESUME", "PAUSE", "ABORT") and _is_index_operation(words)


def _is_in_memory(words: Reader) -> bool:
    """Tell whether MEMORY_OPTIMIZED = ON stands here."""
    return (words.peek(), words.peek(1), words.peek(2)) == ("MEMORY_OPTIMIZED", "=", "ON")


def _is_index_operation(words: Reader) -> bool:
    """Tell whether the word here ends ALTER INDEX name ON table."""
    before = [item.word for item in words.items[max(0, words.at - 8) : words.at]]
    return "ALTER" in before and before[before.index("ALTER") + 1 :][:1] == ["INDEX"]


def _is_harmless(words: Reader, word: str) -> bool:
    """Tell whether the changing word changes only what belongs to the session, or runs text that changes nothing."""
    if word in ("EXEC", "EXECUTE"):
        return not is_role(words) and _runs_harmless_text(words)
    ahead = 1
    while words.peek(ahead) in _BETWEEN:
        ahead += 1
    return _is_of_the_session(words, ahead)


def _is_of_the_session(words: Reader, ahead: int) -> bool:
    """Tell whether a table variable or a temporary table is named here."""
    return words.peek(ahead).startswith(("@", "#")) and not words.peek(ahead).startswith("##")


def _runs_harmless_text(words: Reader) -> bool:
    """Tell whether EXECUTE runs constant text that changes nothing."""
    ahead = 1
    while words.peek(ahead) in ("SYS", "."):
        ahead += 1
    if words.peek(ahead) not in (_DYNAMIC, "("):
        return False
    texts = [item.word for item in words.items[words.at :] if item.kind == "string"]
    return not any(change(text.lstrip("Nn")[1:-1].replace("''", "'")) for text in texts)


def _calls(words: Reader, procedure: str) -> bool:
    """Tell whether a batch begins with the call of a procedure."""
    ahead = 1 if words.peek() in ("EXEC", "EXECUTE") else 0
    while words.peek(ahead) in ("SYS", "."):
        ahead += 1
    return words.peek(ahead) == procedure
