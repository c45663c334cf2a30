"""Judge whether an interrupted ALTER TABLE took effect, one of its actions after the other.

An ALTER is all or nothing: where one action shows no effect, none of it happened.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Optional

from ..link import Link, ServerError
from . import existence
from .existence import Name
from .reader import Reader
from .text import quoted

_PROBE = "`windlass_probe`"
_INDEX_KINDS = ("UNIQUE", "FULLTEXT", "SPATIAL")
#: These say how an ALTER works, not what it changes.
_MANNER = ("ALGORITHM", "LOCK", "WAIT", "NOWAIT")
#: Rebuilding once more changes nothing.
_REBUILDS = ("FORCE", "ENABLE", "DISABLE", "ORDER")


def settle(link: Link, words: Reader) -> Optional[bool]:
    """Return True (took effect), False (run it again) or None for an ALTER TABLE; ``words`` stands behind TABLE."""
    words.take("IF", "EXISTS")
    of = words.qualified()
    if of is None:
        return None
    if words.take_any("WAIT"):
        words.at += 1
    words.take("NOWAIT")
    seen = [_action(link, of, part) for part in words.rest_of_list() if part.peek() not in _MANNER]
    if False in seen:
        return False
    return None if None in seen or not seen else True


def index_stands(link: Link, of: Name, name: str, unique: bool, columns: Optional[Reader]) -> bool:
    """Return whether a table has this very index: the same columns in the same order."""
    found = existence.index(link, of, name)
    if found is None or columns is None:
        return False
    return found == (unique, tuple(_key_part(part) for part in columns.rest_of_list()))


def _action(link: Link, of: Name, part: Reader) -> Optional[bool]:
    """Judge one action."""
    if part.take("ADD"):
        return _added(link, of, part)
    if part.take("DROP"):
        return _dropped(link, of, part)
    if part.peek() == "RENAME":
        return _renamed(link, of, part)
    if part.peek() in _REBUILDS:
        return False
    if part.take("CHANGE"):
        return _changed(link, of, part)
    return _probed(link, of, part)


def _added(link: Link, of: Name, part: Reader) -> Optional[bool]:
    """Judge ADD: a constraint, an index, or columns."""
    if part.take("CONSTRAINT"):
        part.take("IF", "NOT", "EXISTS")
        name = None if part.peek() in ("FOREIGN", "CHECK", "UNIQUE", "PRIMARY") else part.name()
        if part.take("PRIMARY", "KEY"):
            return existence.index(link, of, "PRIMARY") is not None
        return existence.constraint(link, of, name) if name else None
    if part.take("PRIMARY", "KEY"):
        return existence.index(link, of, "PRIMARY") is not None
    if part.peek() in ("FOREIGN", "CHECK", "PERIOD", "SYSTEM", "PARTITION"):
        return _foreign_key(link, of, part)
    kind = part.take_any(*_INDEX_KINDS)
    if part.take_any("INDEX", "KEY") or kind:
        part.take("IF", "NOT", "EXISTS")
        name = part.name() if part.peek() not in ("(", "USING") else None
        _skip_using(part)
        return index_stands(link, of, name, kind == "UNIQUE", part.parenthesis()) if name else None
    return _columns_stand(link, of, part)


def _foreign_key(link: Link, of: Name, part: Reader) -> Optional[bool]:
    """Judge ADD FOREIGN KEY [IF NOT EXISTS] name (…): without a name nobody can tell."""
    if not part.take("FOREIGN", "KEY"):
        return None
    part.take("IF", "NOT", "EXISTS")
    name = part.name()
    return existence.constraint(link, of, name) if name else None


def _columns_stand(link: Link, of: Name, part: Reader) -> Optional[bool]:
    """Judge ADD [COLUMN] name … and ADD [COLUMN] (name …, name …)."""
    part.take("COLUMN")
    part.take("IF", "NOT", "EXISTS")
    several = part.parenthesis()
    readers = several.rest_of_list() if several else [part]
    names = [reader.name() for reader in readers]
    if None in names:
        return None
    return all(existence.column(link, of, str(name)) for name in names)


def _dropped(link: Link, of: Name, part: Reader) -> Optional[bool]:
    """Judge DROP: what stood is gone."""
    if part.take("PRIMARY", "KEY"):
        return existence.index(link, of, "PRIMARY") is None
    if part.take("FOREIGN", "KEY") or part.take_any("CONSTRAINT", "CHECK"):
        part.take("IF", "EXISTS")
        name = part.name()
        return not existence.constraint(link, of, name) if name else None
    if part.take_any("INDEX", "KEY"):
        part.take("IF", "EXISTS")
        name = part.name()
        return existence.index(link, of, name) is None if name else None
    if part.peek() in ("PARTITION", "SYSTEM"):
        return None
    part.take("COLUMN")
    part.take("IF", "EXISTS")
    name = part.name()
    return not existence.column(link, of, name) if name else None


def _renamed(link: Link, of: Name, part: Reader) -> Optional[bool]:
    """Judge RENAME of a column, an index or the table itself."""
    part.take("RENAME")
    kind = part.take_any("COLUMN", "INDEX", "KEY")
    if kind:
        part.take("IF", "EXISTS")
        old = part.name()
        new = part.name() if part.take("TO") else None
        if not old or not new:
            return None
        if kind == "COLUMN":
            return _moved(existence.column(link, of, old), existence.column(link, of, new))
        return _moved(existence.index(link, of, old) is not None, existence.index(link, of, new) is not None)
    part.take_any("TO", "AS")
    target = part.qualified()
    return _moved(existence.table(link, of), existence.table(link, target)) if target else None


def _changed(link: Link, of: Name, part: Reader) -> Optional[bool]:
    """Judge CHANGE: by the names where they differ, else by what it would still change."""
    start = part.at - 1
    part.take("COLUMN")
    part.take("IF", "EXISTS")
    old, new = part.name(), part.name()
    if not old or not new:
        return None
    if old.lower() != new.lower():
        return _moved(existence.column(link, of, old), existence.column(link, of, new))
    part.at = start
    return _probed(link, of, part)


def _moved(old_stands: bool, new_stands: bool) -> Optional[bool]:
    """Return whether something went from one name to another."""
    return new_stands if old_stands != new_stands else None


def _probed(link: Link, of: Name, part: Reader) -> Optional[bool]:
    """Try an action on an empty copy: where it changes nothing any more, it has taken effect."""
    full = ".".join(quoted(piece) for piece in of if piece is not None)
    try:
        link.run([f"DROP TEMPORARY TABLE IF EXISTS {_PROBE}", f"CREATE TEMPORARY TABLE {_PROBE} LIKE {full}"])
        before = link.query(f"SHOW CREATE TABLE {_PROBE}")
        link.run(f"ALTER TABLE {_PROBE} {part.text}")
        return bool(before == link.query(f"SHOW CREATE TABLE {_PROBE}"))
    except ServerError as error:
        if error.lost:
            raise
        return None
    finally:
        with suppress(ServerError):
            link.run(f"DROP TEMPORARY TABLE IF EXISTS {_PROBE}")


def _skip_using(part: Reader) -> None:
    """Pass over USING BTREE."""
    if part.take("USING"):
        part.at += 1


def _key_part(part: Reader) -> str:
    """Return ``column`` or ``column(length)`` of an index, in lower case as the catalogue is asked.

    An expression, which the server spells in its own way, is the empty name.
    """
    if part.peek() == "(":
        return ""
    name = (part.name() or "").lower()
    length = part.parenthesis()
    return f"{name}({length.peek()})" if length else name
