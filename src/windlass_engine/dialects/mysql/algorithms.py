"""How the server will do a schema change, asked of the server itself on an empty copy of the table.

MySQL and MariaDB refuse an ALTER that cannot be done in the way that its ALGORITHM and LOCK clauses name.  So each is
tried on a copy, the cheapest way first; the way that is taken also brings the copy on for the statements behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Optional

from ...model import StatementFacts
from ..lexis import Unterminated
from ..link import Link, ServerError
from .lexer import tokens
from .reader import Reader
from .text import literal, quoted

#: (algorithm, lock, what that means), the cheapest first; an INSTANT change takes no LOCK clause.
_WAYS = (
    ("INSTANT", "", "instant"),
    ("INPLACE", "NONE", "online"),
    ("INPLACE", "SHARED", "in place, writers wait"),
    ("COPY", "SHARED", "copies the table, writers wait"),
    ("COPY", "EXCLUSIVE", "copies the table, readers and writers wait"),
)
#: "ALGORITHM=… is not supported", without and with a reason.
_REFUSED = (1845, 1846)


class Trial:
    """An empty copy of some tables of ``original``, in the scratch database that ``link`` is connected to."""

    def __init__(self, link: Link, original: str) -> None:
        """Copy nothing yet."""
        self._link = link
        self._original = original
        self._known: dict[str, bool] = {}

    def facts(self, statements: Sequence[str]) -> list[tuple[StatementFacts, ...]]:
        """Return what is found of each statement; nothing for one that changes no table that stands."""
        return [tuple(self._changes(statement)) for statement in statements]

    def _changes(self, statement: str) -> Iterator[StatementFacts]:
        """Yield the facts of a statement, or of the ALTERs that a CALL gets as texts."""
        for sql in alters_in(statement):
            found = self._change(sql)
            if found:
                yield found

    def _change(self, sql: str) -> Optional[StatementFacts]:
        """Try one statement."""
        words = Reader(sql)
        if words.peek() == "CREATE" and words.peek(1) == "TABLE":
            self._create(sql)
            return None
        table = _altered(words)
        if table is None:
            return None
        stood = self._copied(table)
        for other in _referenced(sql):
            self._copied(other)
        meaning, note = self._try(sql, " " if words.peek() in ("CREATE", "DROP") else ", ")
        if not stood:
            return None  # made by an earlier statement of this plan: it has no rows
        rows, size = self._size(table)
        return StatementFacts(table, meaning, rows, size, note)

    def _create(self, sql: str) -> None:
        """Make a new table, so that later statements find it; whatever is in the way of that is no news here."""
        words = Reader(sql)
        words.take("CREATE", "TABLE")
        words.take("IF", "NOT", "EXISTS")
        name = words.qualified()
        if name is None or name[0] is not None or "SELECT" in (words.peek(ahead) for ahead in range(len(words.items))):
            return
        if not self._copied(name[1]):
            with suppress(ServerError):
                self._link.run(["SET foreign_key_checks = 0", sql])
            self._link.run("SET foreign_key_checks = 1")

    def _try(self, sql: str, joint: str) -> tuple[str, str]:
        """Return the first way that the server takes, and a note where there is none."""
        if _names_its_way(sql):
            return self._as_written(sql)
        for algorithm, lock, meaning in _WAYS:
            clause = f"ALGORITHM={algorithm}" + (f"{joint}LOCK={lock}" if lock else "")
            try:
                self._link.run(f"{sql}{joint}{clause}")
            except ServerError as error:
                if error.number in _REFUSED:
                    continue
                return self._as_written(sql)
            return meaning, ""
        return self._as_written(sql)

    def _as_written(self, sql: str) -> tuple[str, str]:
        """Run a statement as it is; what it names itself is its way."""
        try:
            self._link.run(sql)
        except ServerError as error:
            return "", f"not known: on an empty copy it fails ({error.message})"
        return _own_words(sql), ""

    def _copied(self, table: str) -> bool:
        """Copy a table once; return whether it stands in the original."""
        if table not in self._known:
            try:
                self._link.run(f"CREATE TABLE {quoted(table)} LIKE {quoted(self._original)}.{quoted(table)}")
                self._known[table] = True
            except ServerError:
                self._known[table] = False
        return self._known[table]

    def _size(self, table: str) -> tuple[int, int]:
        """Return the rows, as the server estimates them, and the bytes of a table with its indexes."""
        rows = self._link.query(
            "SELECT COALESCE(table_rows, 0), COALESCE(data_length, 0) + COALESCE(index_length, 0) "
            f"FROM information_schema.TABLES WHERE table_schema = {literal(self._original)} "
            f"AND table_name = {literal(table)}"
        )
        return (int(rows[0][0]), int(rows[0][1])) if rows else (0, 0)


def alters_in(statement: str) -> Iterator[str]:
    """Yield a statement itself, or the ALTER TABLE texts among a CALL's arguments."""
    if Reader(statement, 1).peek() != "CALL":
        yield statement
        return
    yield from (text for text in texts_in(statement) if text.lstrip()[:11].upper() == "ALTER TABLE")


def texts_in(statement: str) -> Iterator[str]:
    """Yield the strings in a statement, without their quotes."""
    with suppress(Unterminated):
        for token in tokens(statement):
            if token.kind == "string":
                yield statement[token.start + 1 : token.end - 1].replace("''", "'").replace("\\'", "'")


def _altered(words: Reader) -> Optional[str]:
    """Return the unqualified table that an ALTER TABLE, CREATE INDEX or DROP INDEX changes; rewinds the reader."""
    name = _table_of(words)
    words.at = 0
    return name[1] if name and name[0] is None else None


def _table_of(words: Reader) -> Optional[tuple[Optional[str], str]]:
    if words.take("ALTER"):
        words.take_any("ONLINE", "IGNORE")
        if not words.take("TABLE"):
            return None
        words.take("IF", "EXISTS")
        return words.qualified()
    if words.take_any("CREATE", "DROP"):
        words.take("OR", "REPLACE")
        words.take_any("UNIQUE", "FULLTEXT", "SPATIAL")
        if words.take("INDEX"):
            while not words.done and not words.take("ON"):
                words.at += 1
            return words.qualified()
    return None


def _referenced(sql: str) -> Iterator[str]:
    """Yield the tables that foreign keys of a statement point to."""
    words = Reader(sql)
    while not words.done:
        if words.take("REFERENCES"):
            name = words.qualified()
            if name and name[0] is None:
                yield name[1]
        else:
            words.at += 1


def _names_its_way(sql: str) -> bool:
    return any(item.word in ("ALGORITHM", "LOCK") for item in Reader(sql).items if item.kind == "word")


def _own_words(sql: str) -> str:
    """Return what a statement's own clauses mean."""
    words, asked = Reader(sql), {"ALGORITHM": "", "LOCK": ""}
    while not words.done:
        key = words.take_any("ALGORITHM", "LOCK")
        if key:
            words.take("=")
            asked[key] = words.peek()
        words.at += 1
    for algorithm, lock, meaning in _WAYS:
        if asked["ALGORITHM"] == algorithm and asked["LOCK"] in ("", lock):
            return f"{meaning}, as the script demands"
    return "online, as the script demands" if asked["LOCK"] == "NONE" else ""
