"""Down scripts run on empty copies of the tables that they name, for here a schema change cannot be taken back.

The copies stand in a scratch database.  A script that names another database, calls procedures or needs what cannot be
copied is not tried, and why is said.  What depends on rows (a key that would be given twice) does not show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Optional

from ...model import Script
from ...project.directives import BATCH_MARK
from ..link import Link, ServerError
from . import code, losses, surroundings
from .reader import Reader
from .text import quoted

#: Copies of these have no rows and reach nowhere; SEQUENCE is told by its type.
_ENGINES = frozenset(["INNODB", "MYISAM", "ARIA", "MEMORY", "CSV", "ARCHIVE", "ROCKSDB", ""])
_TABLES = """
SELECT table_name, table_type, COALESCE(engine, '') FROM information_schema.TABLES
WHERE table_schema = DATABASE() AND table_type NOT LIKE '%VIEW'
"""
_CODE = """
SELECT routine_name FROM information_schema.ROUTINES WHERE routine_schema = DATABASE()
UNION SELECT trigger_name FROM information_schema.TRIGGERS WHERE trigger_schema = DATABASE()
UNION SELECT table_name FROM information_schema.VIEWS WHERE table_schema = DATABASE()
UNION SELECT event_name FROM information_schema.EVENTS WHERE event_schema = DATABASE()
"""
_KEYS = """
SELECT table_name, referenced_table_name FROM information_schema.REFERENTIAL_CONSTRAINTS
WHERE constraint_schema = DATABASE() AND unique_constraint_schema = DATABASE()
"""
#: A row that is not in the copy: no statement fails for that in the database itself, or not surely.
_OF_ROWS = frozenset([1048, 1062, 1216, 1364, 1452])
#: What the login may not do in a scratch database it may perhaps do in its own.
_OF_RIGHTS = frozenset([1044, 1045, 1142, 1143, 1227, 1370, 1410, 1419])


def run(link: Link, trial: Link, downs: Sequence[Script]) -> tuple[str, str]:
    """Return how the first script failed, and why something was not tried.  Raise ServerError for the copies."""
    unread = _unread(link, downs)
    if unread:
        return "", unread
    original, here = (str(each.query("SELECT DATABASE()")[0][0]) for each in (link, trial))
    if original == here:
        raise ServerError(f"{here!r} is no scratch database")
    _Stage(link, trial, original).make(downs)
    trial.run(["SET sql_mode = DEFAULT", "SET foreign_key_checks = 1", "SET @windlass_allow_data_loss = 1"])
    for down in downs:
        for statement in down.statements:
            error = _error_of(trial, down.sql(statement).replace(BATCH_MARK, " "))
            if error:
                told = f"{down.path}:{statement.line}: {error.message.replace(here, original)}"
                return ("", told) if error.number in _OF_RIGHTS else (told, "")
    return "", ""


def _unread(link: Link, downs: Sequence[Script]) -> str:
    """Return which statement's words do not say what it does, an empty text where all do."""
    tables = losses.tables_of(link, "DATABASE()")
    for down in downs:
        for statement in down.statements:
            if losses.read(down.sql(statement), tables) is None:
                return f"{down.path}:{statement.line} calls what nobody can read beforehand"
    return ""


def _error_of(trial: Link, sql: str) -> Optional[ServerError]:
    """Run a statement; return how it failed.  Raise ServerError when the connection is gone."""
    try:
        trial.run(sql)
    except ServerError as error:
        if error.lost:
            raise
        return None if error.number in _OF_ROWS else error
    return None


class _Stage:
    """Empty copies of what scripts name, made in a scratch database."""

    def __init__(self, link: Link, trial: Link, original: str) -> None:
        """Learn what the original has."""
        self._link = link
        self._trial = trial
        self._original = original
        self._others = losses.databases(link)
        self._tables = {str(row[0]).lower(): tuple(map(str, row)) for row in link.query(_TABLES)}

    def make(self, downs: Sequence[Script]) -> None:
        """Copy what scripts name, and what that needs.  Raise ServerError."""
        for down in downs:
            losses.refuse_reaching_out(down.text, self._others)
        words = {word for down in downs for word in _words(down.text)}
        pieces = self._pieces(words)
        for piece in pieces:
            words |= {piece.table.lower(), *_words(piece.sql)}
        self._trial.run(["SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'", "SET foreign_key_checks = 0"])
        for name in sorted(self._wanted(words)):
            self._copy(*self._tables[name])
        for piece in pieces:
            losses.refuse_reaching_out(piece.sql, self._others)
            plain = losses.DEFINER.sub("", piece.sql, count=1)
            code.make(self._trial, replace(piece.disabled(), sql=plain))

    def _pieces(self, words: set[str]) -> list[code.Piece]:
        """Return the code that is named, and what that names in turn, in the order in which it is made."""
        if not any(str(name).lower() in words for (name,) in self._link.query(_CODE)):
            return []
        known, named = surroundings.code_of(self._link, self._original), set(words)
        while True:
            found = [piece for piece in known if piece.name.lower() in named]
            more = named.union(*(_words(piece.sql) for piece in found))
            if more == named:
                return found
            named = more

    def _wanted(self, words: set[str]) -> set[str]:
        """Return the tables that are named, and those on the other end of their foreign keys."""
        named = words & self._tables.keys()
        keys = [(str(a).lower(), str(b).lower()) for a, b in self._link.query(_KEYS)]
        return named.union(*(pair for pair in keys if named & set(pair))) & self._tables.keys()

    def _copy(self, name: str, kind: str, engine: str) -> None:
        """Make one empty copy."""
        what = "SEQUENCE" if kind == "SEQUENCE" else "TABLE"
        if what == "TABLE" and engine.upper() not in _ENGINES:
            raise ServerError(f"nobody knows where a copy of {name} would reach ({engine})")
        sql = str(self._link.query(f"SHOW CREATE {what} {quoted(name)}")[0][1])
        losses.refuse_reaching_out(sql, self._others)
        self._trial.run(sql)


def _words(sql: str) -> Iterator[str]:
    """Yield what a text may name, in small letters."""
    return (item.name.lower() for item in Reader(sql).items if item.kind in ("word", "name"))
