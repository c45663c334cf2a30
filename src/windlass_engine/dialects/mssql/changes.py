"""The changes of tables in a batch that depend on edition and types, also those in the texts that it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Optional

from ..lexis import Unterminated
from .reader import Reader

#: What begins the next statement, where no semicolon parts them.
_NEXT = frozenset(
    [
        "CREATE",
        "IF",
        "EXEC",
        "EXECUTE",
        "DECLARE",
        "PRINT",
        "END",
        "ELSE",
        "SELECT",
        "INSERT",
        "MERGE",
        "BEGIN",
        "WHILE",
    ]
)
#: Functions whose value is the same for all rows of one statement.
_CONSTANT = ("GETDATE", "GETUTCDATE", "SYSDATETIME", "SYSUTCDATETIME", "SYSDATETIMEOFFSET")
#: Types of which a column is never added by a word in the catalogue alone.
_LARGE = (
    "TEXT",
    "NTEXT",
    "IMAGE",
    "XML",
    "GEOMETRY",
    "GEOGRAPHY",
    "HIERARCHYID",
    "ROWVERSION",
    "TIMESTAMP",
    "SQL_VARIANT",
)


class Change(NamedTuple):
    """``kind`` is ``alter`` or ``drop`` (of a column), ``add`` (one that is filled), or ``build`` (an index)."""

    kind: str
    table: tuple[str, ...]
    subject: str
    type: str = ""
    nullable: Optional[bool] = None
    online: bool = False


def in_batch(sql: str) -> Iterator[Change]:
    """Yield the changes in the order of the text; none where it cannot be read."""
    try:
        words = Reader(sql)
    except Unterminated:
        return
    for at, item in enumerate(words.items):
        words.at = at
        if item.kind == "string":
            text = item.word.lstrip("Nn")[1:-1].replace("''", "'")
            yield from in_batch(text) if " " in text else ()
        elif words.take("ALTER", "TABLE"):
            yield from _of_table(words)
        elif words.peek() == "CREATE":
            yield from _of_index(words)


def _of_table(words: Reader) -> Iterator[Change]:
    """Yield what an ALTER TABLE does."""
    table = _name(words)
    if not table:
        return
    rest = words.part(words.at, _end(words))
    online = _is_online(rest)
    if rest.take("ALTER", "COLUMN"):
        yield from _altered(table, rest, online)
    elif rest.take("ADD"):
        for part in rest.rest_of_list():
            yield from _added(table, part)
    elif rest.take("DROP", "COLUMN"):
        rest.take("IF", "EXISTS")
        for part in rest.rest_of_list():
            name = part.name()
            yield from [Change("drop", table, name)] if name else []


def _altered(table: tuple[str, ...], rest: Reader, online: bool) -> Iterator[Change]:
    name = rest.name()
    kind = "" if rest.peek() in ("ADD", "DROP") else _type(rest)
    if not name or not kind:
        return
    words = [item.word for item in rest.items[rest.at :]]
    if "COLLATE" in words:
        return  # whether rows are written anew depends on the code pages
    nullable = "NULL" not in words or words[words.index("NULL") - 1] != "NOT"
    yield Change("alter", table, name, kind, nullable, online)


def _added(table: tuple[str, ...], part: Reader) -> Iterator[Change]:
    """Yield a column that must have a value and gets the same one for every row."""
    if part.peek() in ("CONSTRAINT", "CHECK", "FOREIGN", "PRIMARY", "UNIQUE", "DEFAULT", "INDEX", "PERIOD"):
        return
    name, kind = part.name(), _type(part)
    words = [item.word for item in part.items[part.at :]]
    required = ("NOT", "NULL") in zip(words, words[1:])
    calls = [word for word, sign in zip(words, words[1:]) if sign == "(" and word.isidentifier()]
    constant = all(word in _CONSTANT or word in ("DEFAULT", "CHECK") for word in calls)
    plain = kind.upper() not in _LARGE and not {"IDENTITY", "AS", "VALUES", "NEXT"} & set(words)
    if name and kind and required and "DEFAULT" in words and constant and plain:
        yield Change("add", table, name, kind, False)


def _of_index(words: Reader) -> Iterator[Change]:
    """Yield an index that is built online."""
    words.take("CREATE")
    words.take("UNIQUE")
    words.take_any("CLUSTERED", "NONCLUSTERED")
    if not words.take("INDEX"):
        return
    name = words.name()
    table = _name(words) if words.take("ON") else ()
    if name and table and _is_online(words.part(words.at, _end(words))):
        yield Change("build", table, name, online=True)


def _name(words: Reader) -> tuple[str, ...]:
    found = words.qualified()
    return tuple(part for part in found if part is not None) if found else ()


def _end(words: Reader) -> int:
    """Return where the statement ends that the reader stands in."""
    depth = 0
    for at in range(words.at, len(words.items)):
        word = words.items[at].word if words.items[at].kind in ("word", "other") else ""
        depth += (word == "(") - (word == ")")
        last = words.items[at - 1].word if at else ""
        starts = word in _NEXT and last != "DROP" and not (word == "IF" and last == "COLUMN")
        if depth == 0 and (word == ";" or starts or (word == "ALTER" and at > words.at)):
            return at
    return len(words.items)


def _type(words: Reader) -> str:
    """Take a type as it is written; empty for one of somebody's own."""
    name = words.name()
    if name is None or words.peek() == ".":
        return ""
    inner = words.parenthesis()
    return name + (f"({''.join(item.word for item in inner.items)})" if inner else "")


def _is_online(words: Reader) -> bool:
    found = [item.word for item in words.items]
    return any(found[at : at + 3] == ["ONLINE", "=", "ON"] for at in range(len(found)))
