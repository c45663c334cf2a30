"""From the catalogue's words to the SQL that makes, drops or changes an object of MySQL and MariaDB.

An empty text says that the words do not suffice: what they leave out would be lost.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Callable

from ..answers import Key, Objects
from .text import quoted

_TABLE = re.compile(
    r"^(?P<engine>\w+) (?P<collation>\w+)(?: (?P<options>(?!comment ).*?))?(?: comment (?P<comment>'.*'))?$", re.DOTALL
)
_COLUMN = re.compile(
    r"^(?P<type>.+?)(?: collate (?P<collation>\w+))?(?P<not_null> not null)?(?: default (?P<default>.+?))?"
    r"(?: (?P<extra>auto_increment|on update \S+|(?:virtual|stored) generated))?(?P<unseen>,? invisible)?"
    r"(?: as \((?P<made>.+)\))?(?: comment (?P<comment>'.*'))?$",
    re.DOTALL | re.IGNORECASE,
)
_INDEX = re.compile(
    r"^(?P<unique>unique )?(?P<kind>\w+) \((?P<columns>.*)\)(?P<unused> invisible| ignored)?"
    r"(?: comment (?P<comment>'.*'))?$",
    re.DOTALL,
)
_FOREIGN = re.compile(r"^foreign key \((.*?)\) references (\S+) \((.*?)\) on update (.+) on delete (.+)$", re.DOTALL)
_ROUTINE = re.compile(r"(?s)^sql_mode \S* ?(CREATE .*)$")


def table_of(key: Key, objects: Objects) -> str:
    """Return the table that an object belongs to."""
    kind, identity = key
    if kind == "table":
        return identity
    if kind in ("column", "index", "constraint", "partition"):
        return identity.partition(".")[0]
    if kind == "trigger":
        found = re.search(r"^\w+ \w+ on (\S+) order ", objects.get(key, ""))
        return found[1] if found else ""
    return identity.removeprefix("column ").partition(" to ")[0].partition(".")[0] if kind == "grant" else ""


def goes_with(key: Key, objects: Objects, partners: Collection[Key], making: bool) -> bool:
    """Return whether it is the CHECK that a JSON column brings along."""
    return key[0] == "constraint" and _is_json(key[1], objects) and ("column", key[1]) in partners


def _is_json(column: str, objects: Objects) -> bool:
    """Return whether a column is MariaDB's JSON: a text with a CHECK of its own name."""
    return objects.get(("constraint", column), "").startswith("check (json_valid(")


def create(key: Key, objects: Objects) -> str:
    """Return the SQL that makes an object."""
    make = _MAKERS.get(key[0])
    return make(key[1], objects[key], objects) if make else ""


def drop(key: Key, objects: Objects) -> str:
    """Return the SQL that drops an object."""
    kind, identity = key
    table, _, name = identity.partition(".")
    if kind == "column":
        return f"ALTER TABLE {quoted(table)} DROP COLUMN {quoted(name)}"
    if kind == "index":
        part = "PRIMARY KEY" if name == "PRIMARY" else f"INDEX {quoted(name)}"
        return f"ALTER TABLE {quoted(table)} DROP {part}"
    if kind == "constraint":
        part = "FOREIGN KEY" if objects[key].startswith("foreign key") else "CONSTRAINT"
        return f"ALTER TABLE {quoted(table)} DROP {part} {quoted(name)}"
    known = ("table", "view", "trigger", "procedure", "function", "event", "sequence")
    return f"DROP {kind.upper()} {quoted(identity)}" if kind in known else ""


def change(key: Key, have: Objects, want: Objects) -> str:
    """Return the SQL that makes a standing object what it should be."""
    kind, identity = key
    table, _, name = identity.partition(".")
    if kind == "column":
        words = _column_words(identity, want)
        if " as (" in have[key] or " as (" in want[key]:
            return f"{drop(key, have)}, ADD COLUMN {quoted(name)} {words}" if words else ""
        return f"ALTER TABLE {quoted(table)} MODIFY COLUMN {quoted(name)} {words}" if words else ""
    if kind == "table":
        options = _table_options(want[key])
        return f"ALTER TABLE {quoted(identity)} {options}" if options else ""
    if kind == "index" and _without_use(have[key]) == _without_use(want[key]):
        return f"ALTER TABLE {quoted(table)} ALTER INDEX {quoted(name)} {_use(have[key], want[key])}"
    made = create(key, want)
    if not made:
        return ""
    if kind in ("index", "constraint"):
        return (
            f"{drop(key, have)}, {made.partition(f'{quoted(table)} ')[2]}"
            if kind == "index"
            else f"{drop(key, have)};\n{made}"
        )
    return f"{drop(key, have)};\n{made}"


def _table(identity: str, definition: str, objects: Objects) -> str:
    options = _table_options(definition)
    mine = [(kind, name) for kind, name in objects if table_of((kind, name), objects) == identity]
    if not options or any(kind == "partition" for kind, _ in mine):
        return ""
    parts = []
    for kind in ("column", "index", "constraint"):
        for key in sorted(key for key in mine if key[0] == kind):
            if goes_with(key, objects, objects.keys(), True):
                continue
            part = _in_table(key, objects)
            if not part:
                return ""
            parts.append(f"    {part}")
    return f"CREATE TABLE {quoted(identity)} (\n" + ",\n".join(parts) + f"\n) {options}"


def _in_table(key: Key, objects: Objects) -> str:
    """Return a part of a CREATE TABLE."""
    kind, identity = key
    name = identity.partition(".")[2]
    if kind == "column":
        words = _column_words(identity, objects)
        return f"{quoted(name)} {words}" if words else ""
    words = _index_words(name, objects[key]) if kind == "index" else _constraint_words(name, objects[key])
    return words


def _table_options(definition: str) -> str:
    found = _TABLE.match(definition)
    if not found or "partitioned" in (found["options"] or ""):
        return ""
    parts = [f"ENGINE = {found['engine']} DEFAULT COLLATE = {found['collation']}"]
    parts += [found["options"]] if found["options"] else []
    parts += [f"COMMENT = {found['comment']}"] if found["comment"] else []
    return " ".join(parts)


def _column_words(identity: str, objects: Objects) -> str:
    """Return a column's definition as CREATE TABLE takes it."""
    found = _COLUMN.match(objects["column", identity])
    if not found:
        return ""
    extra = (found["extra"] or "").lower()
    if found["made"]:
        kind = "STORED" if "stored" in extra else "VIRTUAL"
        return f"{found['type']} AS ({found['made']}) {kind}{' INVISIBLE' if found['unseen'] else ''}"
    json = _is_json(identity, objects)
    words = ["json"] if json else [found["type"]]
    words += [f"COLLATE {found['collation']}"] if found["collation"] and not json else []
    words.append("NOT NULL" if found["not_null"] else "NULL")
    words += [f"DEFAULT {found['default']}"] if found["default"] else []
    words += [extra.upper()] if extra else []
    words += ["INVISIBLE"] if found["unseen"] else []
    words += [f"COMMENT {found['comment']}"] if found["comment"] else []
    return " ".join(words)


def _column(identity: str, definition: str, objects: Objects) -> str:
    table, _, name = identity.partition(".")
    words = _column_words(identity, objects)
    return f"ALTER TABLE {quoted(table)} ADD COLUMN {quoted(name)} {words}" if words else ""


def _index_words(name: str, definition: str) -> str:
    found = _INDEX.match(definition)
    if not found or found["columns"].startswith("(") or ", (" in found["columns"]:
        return ""  # an expression may hold what parts columns
    columns = ", ".join(_key_part(part) for part in found["columns"].split(", "))
    comment = f" COMMENT {found['comment']}" if found["comment"] else ""
    if name == "PRIMARY":
        return f"PRIMARY KEY ({columns}){comment}"
    kind = "UNIQUE " if found["unique"] else f"{found['kind']} " if found["kind"] in ("FULLTEXT", "SPATIAL") else ""
    using = " USING HASH" if found["kind"] == "HASH" else ""
    return f"{kind}INDEX {quoted(name)} ({columns}){using}{(found['unused'] or '').upper()}{comment}"


def _without_use(definition: str) -> str:
    """Return an index's definition without the word that keeps the optimizer from it."""
    found = _INDEX.match(definition)
    return definition.replace(found["unused"], "", 1) if found and found["unused"] else definition


def _use(have: str, want: str) -> str:
    """Return the word that lets the optimizer use an index, or not: it is all in which two definitions differ."""
    now, then = ((_INDEX.match(definition) or {"unused": ""})["unused"] or "" for definition in (have, want))
    return then.strip().upper() or ("VISIBLE" if "invisible" in now else "NOT IGNORED")


def _key_part(part: str) -> str:
    found = re.match(r"^(.*?)(\(\d+\))?( desc)?$", part)
    return f"{quoted(found[1])}{found[2] or ''}{(found[3] or '').upper()}" if found else part


def _index(identity: str, definition: str, objects: Objects) -> str:
    table, _, name = identity.partition(".")
    words = _index_words(name, definition)
    return f"ALTER TABLE {quoted(table)} ADD {words}" if words else ""


def _constraint_words(name: str, definition: str) -> str:
    foreign = _FOREIGN.match(definition)
    if not foreign:
        return (
            f"CONSTRAINT {quoted(name)} {definition.replace('check', 'CHECK', 1)}"
            if definition.startswith("check")
            else ""
        )
    own, other, theirs, update, delete = foreign.groups()
    names = [", ".join(map(quoted, text.split(", "))) for text in (own, theirs)]
    target = ".".join(map(quoted, other.split(".")))
    rules = f" ON DELETE {delete}" + (f" ON UPDATE {update}" if update not in ("RESTRICT", "NO ACTION") else "")
    return f"CONSTRAINT {quoted(name)} FOREIGN KEY ({names[0]}) REFERENCES {target} ({names[1]}){rules}"


def _constraint(identity: str, definition: str, objects: Objects) -> str:
    table, _, name = identity.partition(".")
    words = _constraint_words(name, definition)
    return f"ALTER TABLE {quoted(table)} ADD {words}" if words else ""


def _routine(identity: str, definition: str, objects: Objects) -> str:
    """Return the server's own text; its comment stands once more behind it."""
    found = _ROUTINE.match(definition)
    if not found:
        return ""
    comment = re.search(r"COMMENT '((?:[^'\\]|''|\\.)*)'", found[1])
    text = comment[1].replace("''", "'") if comment else ""
    return found[1].removesuffix(f" {text}") if text else found[1]


def _view(identity: str, definition: str, objects: Objects) -> str:
    found = re.match(r"(?s)^security (\w+) definer \S+ check NONE (.*)$", definition)
    return f"CREATE SQL SECURITY {found[1]} VIEW {quoted(identity)} AS {found[2]}" if found else ""


def _trigger(identity: str, definition: str, objects: Objects) -> str:
    found = re.match(r"(?s)^(\w+) (\w+) on (\S+) order \d+ definer \S+ sql_mode \S* (.*)$", definition)
    if not found:
        return ""
    timing, event, table, body = found.groups()
    return f"CREATE TRIGGER {quoted(identity)} {timing} {event} ON {quoted(table)} FOR EACH ROW {body}"


def _sequence(identity: str, definition: str, objects: Objects) -> str:
    return definition


_MAKERS: dict[str, Callable[[str, str, Objects], str]] = {
    "table": _table, "column": _column, "index": _index, "constraint": _constraint, "procedure": _routine,
    "function": _routine, "view": _view, "trigger": _trigger, "sequence": _sequence,
}  # fmt: skip
