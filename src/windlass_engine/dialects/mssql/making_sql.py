"""From the catalogue's words to the SQL that makes, drops or changes an object of SQL Server.

An empty text says that the words do not suffice: what they leave out would be lost.  What has to be alone in its batch
is run as a text, so that all of it can be put into one script.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Optional

from ..answers import Key, Objects
from .column_sql import change_column, column_words, drop_column
from .reader import Reader
from .text import identifier, literal, names, quoted

_NAME = r"(?:\[(?:[^\]]|\]\])*\]|[A-Za-z_]\w*)"
_PART = re.compile(rf"({_NAME})( desc)?")
_KEY = re.compile(
    r"^(?P<words>primary key |unique )?(?P<kind>clustered|nonclustered) \((?P<columns>.*?)\)"
    r"(?: include \((?P<include>.*?)\))?(?: where (?P<where>\(.*?\)))?(?: fill factor (?P<fill>\d+))?"
    r"(?P<padded> padded)?(?P<ignores> ignore_dup_key)?$",
    re.DOTALL,
)
_FOREIGN = re.compile(
    rf"^foreign key \((.*?)\) references ({_NAME}\.{_NAME}) \((.*?)\)"
    r"(?: on delete (cascade|set null|set default))?(?: on update (cascade|set null|set default))?( not trusted)?$"
)
_CHECK = re.compile(r"^check (\(.*\))( not trusted)?$", re.DOTALL)
_SEQUENCE = re.compile(
    r"^(\w+) start (\S+) increment (\S+) minimum (\S+) maximum (\S+)( cycle)?\s+(?:cache (\d+)|no cache)$"
)
_STATISTICS = re.compile(r"^\((.*?)\)(?: where (.*?))?( norecompute)?$", re.DOTALL)
_MODULES = ("view", "procedure", "function", "trigger")
#: What stands before a module's text and is not in it.
_UNSAID = ("disabled", "ansi_nulls off", "quoted_identifier off")


def create(key: Key, objects: Objects) -> str:
    """Return the SQL that makes an object."""
    kind, identity = key
    make = _MAKERS.get(kind)
    return make(identity, objects) if make else ""


def drop(key: Key, objects: Objects) -> str:
    """Return the SQL that drops an object."""
    kind, identity = key
    if kind == "column":
        return drop_column(identity, objects[key])
    if kind in ("index", "constraint", "statistics"):
        return _drop_part(kind, identity)
    known = (*_MODULES, "table", "sequence", "synonym", "schema", "role")
    return f"DROP {kind.upper()} {identifier(identity)}" if kind in known else ""


def change(key: Key, have: Objects, want: Objects) -> str:
    """Return the SQL that makes a standing object what it should be."""
    kind, identity = key
    if kind == "column":
        return change_column(identity, have[key], want[key])
    if kind in _MODULES:
        return _module(want[key], "CREATE OR ALTER")
    if kind == "table":
        return _escalation(identity, want[key]) if _escalation(identity, have[key]) else ""
    gone, made = drop(key, have), create(key, want)
    return f"{gone};\n{made}" if gone and made else ""


def _drop_part(kind: str, identity: str) -> str:
    """Return the SQL for what stands in a table; a name that the server made up is not known here."""
    schema, table, name, *more = names(identity)
    of = identifier(f"{schema}.{table}")
    if more or name.startswith("("):
        return ""
    if kind == "constraint":
        return f"ALTER TABLE {of} DROP CONSTRAINT {identifier(name)}"
    return f"DROP INDEX {identifier(name)} ON {of}" if kind == "index" else f"DROP STATISTICS {of}.{identifier(name)}"


def _table(identity: str, objects: Objects) -> str:
    """Return a table with its columns; keys, constraints and indexes come behind it."""
    definition = objects["table", identity]
    if definition and not _escalation(identity, definition):
        return ""
    columns = sorted(key for key in objects if key[0] == "column" and ".".join(names(key[1])[:2]) == identity)
    words = [(identifier(names(key[1])[2]), column_words(objects[key])) for key in columns]
    if not words or not all(told for _, told in words):
        return ""
    listed = ",\n".join(f"    {name} {told}" for name, told in words)
    made = f"CREATE TABLE {identifier(identity)} (\n{listed}\n)"
    return f"{made};\n{_escalation(identity, definition)}" if definition else made


def _escalation(identity: str, definition: str) -> str:
    """Return the SQL for a table's lock escalation; empty where it has other properties."""
    found = re.fullmatch(r"(?:lock escalation (\w+))?", definition)
    return (
        f"ALTER TABLE {identifier(identity)} SET (LOCK_ESCALATION = {(found[1] or 'table').upper()})" if found else ""
    )


def _column(identity: str, objects: Objects) -> str:
    schema, table, name = names(identity)
    words = column_words(objects["column", identity])
    return f"ALTER TABLE {identifier(f'{schema}.{table}')} ADD {identifier(name)} {words}" if words else ""


def _index(identity: str, objects: Objects) -> str:
    schema, table, name = names(identity)[:3]
    found = _KEY.match(objects["index", identity])
    if not found:
        return ""
    unique = "UNIQUE " if found["words"] else ""
    head = f"CREATE {unique}{found['kind'].upper()} INDEX {identifier(name)} ON {identifier(f'{schema}.{table}')}"
    include = f" INCLUDE ({listed(found['include'])})" if found["include"] else ""
    where = f" WHERE {found['where']}" if found["where"] else ""
    return f"{head} ({listed(found['columns'])}){include}{where}{_options(found)}"


def _options(found: re.Match[str]) -> str:
    parts = [f"FILLFACTOR = {found['fill']}"] if found["fill"] else []
    parts += ["PAD_INDEX = ON"] if found["padded"] else []
    parts += ["IGNORE_DUP_KEY = ON"] if found["ignores"] else []
    return f" WITH ({', '.join(parts)})" if parts else ""


def _constraint(identity: str, objects: Objects) -> str:
    parts, definition = names(identity), objects["constraint", identity]
    named = "" if parts[2].startswith("(") else f"CONSTRAINT {identifier(parts[2])} "
    words, unchecked = _constraint_words(definition)
    if not words:
        return ""
    manner = "WITH NOCHECK ADD" if unchecked else "ADD"
    return f"ALTER TABLE {identifier(f'{parts[0]}.{parts[1]}')} {manner} {named}{words}"


def _constraint_words(definition: str) -> tuple[str, bool]:
    """Return a constraint's words, and whether the rows that stand are not looked at."""
    key, foreign, check = (form.match(definition) for form in (_KEY, _FOREIGN, _CHECK))
    if key and key["words"]:
        return f"{key['words'].upper()}{key['kind'].upper()} ({listed(key['columns'])}){_options(key)}", False
    if foreign:
        own, other, theirs, on_delete, on_update, untrusted = foreign.groups()
        rules = f" ON DELETE {on_delete.upper()}" if on_delete else ""
        rules += f" ON UPDATE {on_update.upper()}" if on_update else ""
        words = f"FOREIGN KEY ({listed(own)}) REFERENCES {identifier(other)} ({listed(theirs)}){rules}"
        return words, bool(untrusted)
    return (f"CHECK {check[1]}", bool(check[2])) if check else ("", False)


def listed(columns: str) -> str:
    """Return a list of columns with every name quoted: the catalogue's words leave plain ones bare."""
    return ", ".join(f"{identifier(name)}{order.upper()}" for name, order in _PART.findall(columns))


def _made_module(kind: str) -> Callable[[str, Objects], str]:
    return lambda identity, objects: _module(objects[kind, identity], "CREATE")


def _module(definition: str, verb: str) -> str:
    """Return a module's text, to be run in a batch of its own; empty where it has settings that its text has not."""
    head, _, body = definition.partition("\n")
    if not Reader(head, 1).items or Reader(head, 1).peek() == "CREATE":
        head, body = "", definition
    if any(word in head for word in _UNSAID) or "(not shown)" in definition:
        return ""
    first: Optional[int] = next((item.start for item in Reader(body, 1).items if item.word == "CREATE"), None)
    if first is None:
        return ""
    text = f"{body[:first]}{verb}{body[first + len('CREATE') :]}"
    return f"EXEC sys.sp_executesql {literal(text)}"


def _sequence(identity: str, objects: Objects) -> str:
    found = _SEQUENCE.match(objects["sequence", identity])
    if not found:
        return ""
    kind, start, step, least, most, cycles, cache = found.groups()
    # Without a number the server chooses how many it keeps ready; the catalogue then has 0.
    kept = "NO CACHE" if cache is None else "CACHE" if cache == "0" else f"CACHE {cache}"
    return (
        f"CREATE SEQUENCE {identifier(identity)} AS {kind} START WITH {start} INCREMENT BY {step} "
        f"MINVALUE {least} MAXVALUE {most} {'CYCLE' if cycles else 'NO CYCLE'} {kept}"
    )


def _statistics(identity: str, objects: Objects) -> str:
    schema, table, name = names(identity)[:3]
    found = _STATISTICS.match(objects["statistics", identity])
    if not found:
        return ""
    where = f" WHERE {found[2]}" if found[2] else ""
    fixed = " WITH NORECOMPUTE" if found[3] else ""
    return (
        f"CREATE STATISTICS {identifier(name)} ON {identifier(f'{schema}.{table}')} ({listed(found[1])}){where}{fixed}"
    )


def _schema(identity: str, objects: Objects) -> str:
    owner = objects["schema", identity].removeprefix("owner ")
    text = f"CREATE SCHEMA {identifier(identity)} AUTHORIZATION {quoted(owner)}"
    return f"EXEC sys.sp_executesql {literal(text)}"


def _synonym(identity: str, objects: Objects) -> str:
    return f"CREATE SYNONYM {identifier(identity)} FOR {objects['synonym', identity]}"


def _role(identity: str, objects: Objects) -> str:
    return f"CREATE ROLE {identifier(identity)}"


_MAKERS: dict[str, Callable[[str, Objects], str]] = {
    "table": _table, "column": _column, "index": _index, "constraint": _constraint, "sequence": _sequence,
    "statistics": _statistics, "schema": _schema, "synonym": _synonym, "role": _role,
    **{kind: _made_module(kind) for kind in _MODULES},
}  # fmt: skip
