"""The code of a database: its views, routines, triggers and events, read, made anew and dropped.

A copy of a database that stands beside the original must not reach into it.  A body may name the original schema
(``INSERT INTO app.log``), and the server keeps such a text as it was written.  A piece that does so is never made
beside the original; it waits until its database has the original's name again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Optional

from ...model import Wire
from ..lexis import Unterminated
from ..link import Link, ServerError
from .lexer import tokens
from .text import literal, quoted

#: In this order they are made; views need the functions, and one another.
KINDS = ("PACKAGE", "PACKAGE BODY", "FUNCTION", "PROCEDURE", "TRIGGER", "VIEW", "EVENT")
ROUTINES = ("PACKAGE", "PACKAGE BODY", "FUNCTION", "PROCEDURE")
_DYNAMIC = re.compile(r"(?i)\b(PREPARE|EXECUTE)\b")
_ENABLED = re.compile(r"(ON COMPLETION (?:NOT )?PRESERVE) ENABLE\b")
_DISABLED = re.compile(r"(ON COMPLETION (?:NOT )?PRESERVE) DISABLE\b")
_CREATE = re.compile(r"^CREATE ", re.IGNORECASE)

_ROUTINES = """
SELECT routine_type, routine_name, definer FROM information_schema.ROUTINES
WHERE routine_schema = {database} AND routine_type IN ('PROCEDURE', 'FUNCTION', 'PACKAGE', 'PACKAGE BODY')
ORDER BY 1, 2"""
_TRIGGERS = """
SELECT trigger_name, action_timing, event_manipulation, event_object_table, action_statement, definer, sql_mode,
  character_set_client, collation_connection
FROM information_schema.TRIGGERS WHERE trigger_schema = {database}
ORDER BY event_object_table, action_timing, event_manipulation, action_order"""
_VIEWS = """
SELECT table_name, definer, character_set_client, collation_connection
FROM information_schema.VIEWS WHERE table_schema = {database} ORDER BY 1"""
_EVENTS = "SELECT event_name, definer FROM information_schema.EVENTS WHERE event_schema = {database} ORDER BY 1"


@dataclass(frozen=True)
class Piece:
    """One view, routine, trigger or event: ``sql`` makes it in the current database, under the settings beside it.

    ``table`` is a trigger's table, and ``{table}`` stands for its name in ``sql``'s head, which ends at ``head``.
    """

    kind: str
    name: str
    sql: str
    definer: str
    sql_mode: str = ""
    charset: str = "utf8mb4"
    collation: str = "utf8mb4_general_ci"
    time_zone: str = ""
    table: str = ""

    @property
    def label(self) -> str:
        """Return what people call it."""
        return f"{self.kind.lower()} {self.name}"

    def to_wire(self) -> Wire:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_wire(cls, data: Wire) -> Piece:
        """Rebuild from :meth:`to_wire`."""
        return cls(**data)

    def disabled(self) -> Piece:
        """Return an event that does not run; everything else as it is."""
        return replace(self, sql=_ENABLED.sub(r"\1 DISABLE", self.sql, count=1)) if self.kind == "EVENT" else self

    def is_like(self, other: Piece) -> bool:
        """Return whether both are the same, but for whether an event runs."""
        ours, theirs = self.disabled(), other.disabled()
        return (ours.sql, ours.sql_mode, ours.table) == (theirs.sql, theirs.sql_mode, theirs.table)

    def names(self, database: str) -> bool:
        """Return whether its text names a database, also where only a dynamic statement would."""
        return names(self.sql, database)


class Hidden(Exception):
    """The login may not see the text of a piece."""


def read(link: Link, database: str) -> list[Piece]:
    """Return the code of a database, in the order in which it is made.  Raise ServerError, :class:`Hidden`."""
    link.run(f"USE {quoted(database)}")
    here = literal(database)
    found = [_routine(link, *map(str, row)) for row in link.query(_ROUTINES.format(database=here))]
    found += [_trigger(*map(str, row)) for row in link.query(_TRIGGERS.format(database=here))]
    found += [_view(link, *map(str, row)) for row in link.query(_VIEWS.format(database=here))]
    found += [_event(link, *map(str, row)) for row in link.query(_EVENTS.format(database=here))]
    return _in_order(found)


def _in_order(pieces: Sequence[Piece]) -> list[Piece]:
    """Return pieces by their kind, and each view after those that its text names."""
    left = [piece for piece in pieces if piece.kind == "VIEW"]
    views: list[Piece] = []
    while left:
        named = {piece.name for piece in left}
        free = [piece for piece in left if not any(quoted(name) in piece.sql for name in named - {piece.name})]
        views += free or left[:1]
        left = [piece for piece in left if piece not in views]
    others = [piece for piece in pieces if piece.kind != "VIEW"]
    return sorted([*others, *views], key=lambda piece: KINDS.index(piece.kind))


def _routine(link: Link, kind: str, name: str, definer: str) -> Piece:
    shown = link.query(f"SHOW CREATE {kind} {quoted(name)}")[0]
    if shown[2] is None:
        raise Hidden(f"{kind.lower()} {name}")
    return Piece(kind, name, str(shown[2]), definer, str(shown[1]), str(shown[3]), str(shown[4]))


def _trigger(
    name: str, timing: str, event: str, table: str, body: str, definer: str, mode: str, charset: str, collation: str
) -> Piece:
    """Return a trigger with a head of our own: the stored one may name its schema."""
    sql = f"CREATE DEFINER={account(definer)} TRIGGER {quoted(name)} {timing} {event} ON "
    return Piece(
        "TRIGGER", name, f"{sql}{quoted(table)} FOR EACH ROW {body}", definer, mode, charset, collation, table=table
    )


def _view(link: Link, name: str, definer: str, charset: str, collation: str) -> Piece:
    return Piece(
        "VIEW", name, str(link.query(f"SHOW CREATE VIEW {quoted(name)}")[0][1]), definer, "", charset, collation
    )


def _event(link: Link, name: str, definer: str) -> Piece:
    shown = link.query(f"SHOW CREATE EVENT {quoted(name)}")[0]
    return Piece(
        "EVENT", name, str(shown[3]), definer, str(shown[1]), str(shown[4]), str(shown[5]), time_zone=str(shown[2])
    )


def make(link: Link, piece: Piece, table: Optional[str] = None, replacing: bool = False) -> None:
    """Make a piece in the current database; a trigger on ``table`` if one is named.  Raise ServerError.

    ``replacing`` one leaves the grants on a routine alone, which a DROP takes away; only MariaDB can.
    """
    link.run(settings(piece))
    sql = _CREATE.sub("CREATE OR REPLACE ", piece.sql) if replacing else piece.sql
    if table is not None:
        head, _, rest = sql.partition(f" ON {quoted(piece.table)} FOR EACH ROW ")
        sql = f"{head} ON {quoted(table)} FOR EACH ROW {rest}"
    link.run(sql)


def make_all(link: Link, pieces: Sequence[Piece]) -> list[tuple[Piece, ServerError]]:
    """Make pieces, those that need others after them; return what could not be made, and why.  Raise a lost link."""
    left = list(pieces)
    while left:
        failed: list[tuple[Piece, ServerError]] = []
        for piece in left:
            try:
                make(link, piece)
            except ServerError as error:
                if error.lost:
                    raise
                failed.append((piece, error))
        if len(failed) == len(left):
            return failed
        left = [piece for piece, _ in failed]
    return []


def drop(link: Link, pieces: Iterable[Piece]) -> None:
    """Drop pieces of the current database where they are there.  Raise ServerError."""
    for piece in pieces:
        link.run(f"DROP {piece.kind} IF EXISTS {quoted(piece.name)}")


def settings(piece: Piece) -> list[str]:
    """Return the settings under which a piece is made, which stay with it."""
    # What is not plain ASCII reaches the server as UTF-8, so it has to be read as such.
    charset = piece.charset if piece.sql.isascii() else "utf8mb4"
    collation = piece.collation if piece.collation.startswith(charset) else ""
    found = [f"SET character_set_client = {charset}"]
    found += [f"SET collation_connection = {collation}"] if collation else []
    found += [f"SET sql_mode = {literal(piece.sql_mode)}"] if piece.kind != "VIEW" else ["SET sql_mode = DEFAULT"]
    return found + ([f"SET time_zone = {literal(piece.time_zone)}"] if piece.time_zone else [])


def script(pieces: Sequence[Piece]) -> str:
    """Return pieces as a script for the client program, for people who restore by hand."""
    parts = ["-- Views, routines, triggers and events. Run it in the restored database after its tables."]
    for piece in pieces:
        mark = next(mark for mark in ("$$", "//", ";;", "$windlass$") if mark not in piece.sql)
        settings_of = "; ".join(settings(piece))
        parts.append(f"{settings_of};\nDELIMITER {mark}\n{piece.sql} {mark}\nDELIMITER ;")
    return "\n\n".join(parts) + "\n"


def names(sql: str, database: str) -> bool:
    """Return whether a text names a database before a dot, or in a string that a dynamic statement may run."""
    wanted = database.casefold()
    dynamic = _DYNAMIC.search(sql) is not None
    inside = re.compile(rf"(?<![\w$]){re.escape(wanted)}(?![\w$])")
    try:
        found = list(tokens(sql))
    except Unterminated:
        return wanted in sql.casefold()
    for at, token in enumerate(found):
        text = sql[token.start : token.end].casefold()
        dotted = at + 1 < len(found) and sql[found[at + 1].start : found[at + 1].end] == "."
        if dotted and token.kind in ("word", "name", "string") and _plain(text) == wanted:
            return True
        if dynamic and token.kind == "string" and inside.search(text):
            return True
    return False


def kinds(link: Link, database: str) -> set[str]:
    """Return which kinds of code a database has, as far as the login may know.  Raise ServerError."""
    views = {"TRIGGER": _TRIGGERS, "VIEW": _VIEWS, "EVENT": _EVENTS}
    found = {kind for kind, query in views.items() if link.query(query.format(database=literal(database)))}
    return found | {str(row[0]) for row in link.query(_ROUTINES.format(database=literal(database)))}


def definers(pieces: Iterable[Piece]) -> list[str]:
    """Return the accounts that code runs as."""
    return sorted({piece.definer for piece in pieces if piece.definer})


def account(definer: str) -> str:
    """Return ``user@host`` as the server wants it in a statement; a role has no host."""
    user, at, host = definer.rpartition("@")
    return f"{quoted(user)}@{quoted(host)}" if at and host else quoted(user or definer.rstrip("@"))


def accounts(link: Link) -> Optional[set[str]]:
    """Return all accounts and roles of the server as ``user@host``, or None where the login may not see them."""
    try:
        rows: list[tuple[Any, ...]] = link.query("SELECT user, host FROM mysql.user")
    except ServerError as error:
        if error.lost:
            raise
        return None
    return {f"{user}@{host}" for user, host in rows}


def _plain(text: str) -> str:
    """Return a token without its quotes."""
    if text[:1] in ("`", '"', "'"):
        mark = text[0]
        return text[1:-1].replace(mark * 2, mark)
    return text
