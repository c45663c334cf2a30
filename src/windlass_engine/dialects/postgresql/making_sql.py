"""From the catalogue's words to the SQL that makes, drops or changes an object of PostgreSQL.

An empty text says that the words do not suffice: what they leave out would be lost.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Callable, Optional

from ..answers import Key, Objects
from .text import literal

_LAST = re.compile(r'^(.*)\.("(?:[^"]|"")*"|[^."]+)$', re.DOTALL)
_ON = re.compile(r"\bON (?:ONLY )?(\S+) USING ")
#: Parts of a column's definition that stand in ALTER TABLE forms of their own.
_APART = re.compile(r" (?:storage (?:plain|external|main|extended)|statistics \d+|compression \w+|with \(|options \()")
_COLUMN = re.compile(
    r"^(?P<type>.+?)(?P<not_null> not null)?(?: (?P<identity>generated (?:always|by default) as identity))?"
    r"(?: generated always as (?P<made>.+) stored)?(?: default (?P<default>.+))?$",
    re.DOTALL,
)
_SEQUENCE = re.compile(
    r"^as (\S+(?: \S+)*?) start (\S+) increment (\S+) minvalue (\S+) maxvalue (\S+) cache (\S+)( cycle)?"
    r"(?: (identity of|owned by) (\S+))?$"
)
_ABOUT = ("owner", "comment", "grant")
_KINDS = ("materialized view", "foreign table", "default privileges", "table", "column", "index", "constraint",
          "trigger", "function", "procedure", "aggregate", "view", "sequence", "enum", "domain", "type", "schema",
          "policy", "rule", "extension")  # fmt: skip
_GRANTED = {"view": "TABLE", "materialized view": "TABLE", "foreign table": "TABLE", "enum": "TYPE"}
_STATES = {"disabled": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}


def table_of(key: Key, objects: Objects) -> str:
    """Return the table that an object belongs to."""
    kind, identity = key
    if kind in ("table", "foreign table"):
        return identity
    if kind in ("constraint", "trigger", "policy", "rule"):
        return identity.rpartition(" on ")[2]
    if kind == "column":
        return _parts(identity)[0]
    if kind == "index":
        found = _ON.search(objects.get(key, ""))
        return found[1] if found else ""
    if kind == "sequence":
        owned = _SEQUENCE.match(objects.get(key, ""))
        return _parts(owned[9])[0] if owned and owned[9] else ""
    if kind in _ABOUT:
        about = _subject(identity)
        return table_of(about, objects) if about else ""
    return ""


def goes_with(key: Key, objects: Objects, partners: Collection[Key], making: bool) -> bool:
    """Return whether a constraint makes this index, a column this sequence, or an object takes this with it."""
    kind, identity = key
    if kind == "index":
        name = f"{_parts(identity)[1]} on {table_of(key, objects)}"
        return ("constraint", name) in partners
    if kind == "sequence":
        owned = _SEQUENCE.match(objects[key])
        mine = bool(owned and owned[9]) and ("column", owned[9] if owned else "") in partners
        return mine and (not making or objects[key].find(" identity of ") > 0)
    if kind == "constraint":
        return not making and ("domain", identity.rpartition(" on ")[2]) in partners
    return kind in _ABOUT and not making and _subject(identity) in partners


def create(key: Key, objects: Objects) -> str:
    """Return the SQL that makes an object."""
    make = _MAKERS.get(key[0])
    return make(key[1], objects[key], objects) if make else ""


def drop(key: Key, objects: Objects) -> str:
    """Return the SQL that drops an object."""
    kind, identity = key
    name, table = identity.rpartition(" on ")[0], identity.rpartition(" on ")[2]
    if kind == "column":
        return f"ALTER TABLE {_parts(identity)[0]} DROP COLUMN {_parts(identity)[1]}"
    if kind == "constraint":
        return f"ALTER {_holder(table, objects)} {table} DROP CONSTRAINT {name}"
    if kind in ("trigger", "policy", "rule"):
        return f"DROP {kind.upper()} {name} ON {table}"
    if kind == "comment":
        return f"COMMENT ON {_shown(identity)} IS NULL"
    if kind == "grant":
        about, _, grantee = identity.rpartition(" to ")
        return _grants("REVOKE ALL PRIVILEGES", about, "FROM", grantee)
    if kind in ("enum", "type", "domain", "range"):
        return f"DROP {'DOMAIN' if kind == 'domain' else 'TYPE'} {identity}"
    return f"DROP {kind.upper()} {identity}" if kind in _DROPPED else ""


def change(key: Key, have: Objects, want: Objects) -> str:
    """Return the SQL that makes a standing object what it should be."""
    kind, identity = key
    if kind == "column":
        return _change_column(identity, have[key], want[key])
    if kind == "enum":
        return _change_enum(identity, have[key], want[key])
    if kind in ("function", "procedure", "comment", "owner"):
        return create(key, want)
    if kind in ("index", "constraint", "trigger", "policy", "rule", "view", "materialized view", "grant"):
        if kind == "index" and goes_with(key, have, have.keys(), True):
            return ""
        made = create(key, want)
        return f"{drop(key, have)};\n{made}" if made and drop(key, have) else ""
    return ""


_DROPPED = ("table", "index", "function", "procedure", "aggregate", "view", "materialized view", "sequence", "schema",
            "extension", "statistics")  # fmt: skip


def _parts(identity: str) -> tuple[str, str]:
    """Part ``a.b.c`` before its last name."""
    found = _LAST.match(identity)
    return (found[1], found[2]) if found else ("", identity)


def _subject(identity: str) -> Optional[Key]:
    """Return the object that an owner, a comment or a grant is about."""
    kind = next((kind for kind in _KINDS if identity.startswith(f"{kind} ")), None)
    if kind is None:
        return None
    rest = identity[len(kind) + 1 :]
    return kind, rest


def _shown(identity: str) -> str:
    """Return ``TABLE a.b`` out of ``table a.b``."""
    about = _subject(identity)
    if about is None:
        return identity
    kind = "type" if about[0] == "enum" else about[0]
    return f"{kind.upper()} {about[1]}"


def _table(identity: str, definition: str, objects: Objects) -> str:
    """Return CREATE TABLE with the columns; a partition has those of its table."""
    if definition.startswith("partition of "):
        words = definition.split(" ", 3)
        return f"CREATE TABLE {identity} PARTITION OF {words[2]} {words[3]}" if len(words) > 3 else ""
    extra = f" PARTITION BY {definition[15:]}" if definition.startswith("partitioned by ") else ""
    if definition and not extra:
        return ""
    columns = []
    for (kind, name), words_of in objects.items():
        if kind == "column" and _parts(name)[0] == identity:
            written = _column_words(words_of)
            if not written:
                return ""
            columns.append(f"    {_parts(name)[1]} {written}")
    return f"CREATE TABLE {identity} (\n" + ",\n".join(sorted(columns)) + f"\n){extra}" + _owning(identity, objects)


def _owning(identity: str, objects: Objects) -> str:
    """Return what gives a table or column the sequences that it owns."""
    owned = ((name, _SEQUENCE.match(text)) for (kind, name), text in objects.items() if kind == "sequence")
    return "".join(
        f";\nALTER SEQUENCE {name} OWNED BY {found[9]}"
        for name, found in owned
        if found and found[8] == "owned by" and identity in (found[9], _parts(found[9])[0])
    )


def _column_words(definition: str) -> str:
    """Return a column's definition as CREATE TABLE takes it; empty where parts of it stand elsewhere."""
    if _APART.search(definition):
        return ""
    found = _COLUMN.match(definition)
    if not found:
        return ""
    made = f" GENERATED ALWAYS AS ({found['made']}) STORED" if found["made"] else ""
    identity = f" {found['identity'].upper()}" if found["identity"] else ""
    default = f" DEFAULT {found['default']}" if found["default"] else ""
    return f"{found['type']}{made}{identity}{default}{' NOT NULL' if found['not_null'] else ''}"


def _column(identity: str, definition: str, objects: Objects) -> str:
    words = _column_words(definition)
    table, name = _parts(identity)
    return f"ALTER TABLE {table} ADD COLUMN {name} {words}{_owning(identity, objects)}" if words else ""


def _change_column(identity: str, have: str, want: str) -> str:
    """Return ALTER TABLE for type, default and NOT NULL."""
    if _APART.search(have) or _APART.search(want):
        return ""
    old, new = _COLUMN.match(have), _COLUMN.match(want)
    if not (old and new) or any(found[part] for found in (old, new) for part in ("made", "identity")):
        return ""
    table, name = _parts(identity)
    actions = []
    if old["default"] != new["default"] and (old["default"] and old["type"] != new["type"]):
        actions.append("DROP DEFAULT")
    if old["type"] != new["type"]:
        actions.append(f"TYPE {new['type']} USING {name}::{new['type'].partition(' collate ')[0]}")
    if old["default"] != new["default"]:
        actions.append(f"SET DEFAULT {new['default']}" if new["default"] else "DROP DEFAULT")
    if old["not_null"] != new["not_null"]:
        actions.append("SET NOT NULL" if new["not_null"] else "DROP NOT NULL")
    parts = ", ".join(f"ALTER COLUMN {name} {action}" for action in dict.fromkeys(actions))
    return f"ALTER TABLE {table} {parts}" if parts else ""


def _index(identity: str, definition: str, objects: Objects) -> str:
    return (
        ""
        if re.search(r" \((?:not valid|replica identity|clustered|partition of|tablespace|statistics)", definition)
        else definition
    )


def _constraint(identity: str, definition: str, objects: Objects) -> str:
    name, _, table = identity.rpartition(" on ")
    return f"ALTER {_holder(table, objects)} {table} ADD CONSTRAINT {name} {definition}"


def _holder(name: str, objects: Objects) -> str:
    """Return what a constraint stands on."""
    return "DOMAIN" if ("domain", name) in objects else "TABLE"


def _trigger(identity: str, definition: str, objects: Objects) -> str:
    found = re.match(r"(?s)^(.*?)(?: \((disabled|replica|always)\))?$", definition)
    name, _, table = identity.rpartition(" on ")
    if not found or not found[2]:
        return definition
    return f"{found[1]};\nALTER TABLE {table} {_STATES[found[2]]} TRIGGER {name}"


def _routine(identity: str, definition: str, objects: Objects) -> str:
    return definition.rstrip() if definition.startswith("CREATE ") else ""


def _view(identity: str, definition: str, objects: Objects) -> str:
    kind = "MATERIALIZED VIEW" if ("materialized view", identity) in objects else "VIEW"
    if definition.startswith("with ("):
        return ""
    return f"CREATE {kind} {identity} AS{'' if definition.startswith(' ') else ' '}{definition.rstrip().rstrip(';')}"


def _sequence(identity: str, definition: str, objects: Objects) -> str:
    found = _SEQUENCE.match(definition)
    if not found:
        return ""
    kind, start, by, low, high, cache, cycle, how, _ = found.groups()
    if how == "identity of":
        return ""
    values = f"START {start} INCREMENT {by} MINVALUE {low} MAXVALUE {high} CACHE {cache}{' CYCLE' if cycle else ''}"
    return f"CREATE SEQUENCE {identity} AS {kind} {values}"


def _enum(identity: str, definition: str, objects: Objects) -> str:
    return f"CREATE TYPE {identity} AS ENUM ({definition})"


def _change_enum(identity: str, have: str, want: str) -> str:
    """Return ALTER TYPE … ADD VALUE where the new labels come at the end."""
    if not want.startswith(f"{have}, "):
        return ""
    labels = re.findall(r"'(?:[^']|'')*'", want[len(have) :])
    return ";\n".join(f"ALTER TYPE {identity} ADD VALUE {label}" for label in labels)


def _domain(identity: str, definition: str, objects: Objects) -> str:
    return f"CREATE DOMAIN {identity} AS {definition}"


def _comment(identity: str, definition: str, objects: Objects) -> str:
    return f"COMMENT ON {_shown(identity)} IS {literal(definition)}"


def _owner(identity: str, definition: str, objects: Objects) -> str:
    return f"ALTER {_shown(identity)} OWNER TO {definition}"


def _grant(identity: str, definition: str, objects: Objects) -> str:
    about, _, grantee = identity.rpartition(" to ")
    rights = definition.split(", ")
    if definition == "none":
        return _grants("REVOKE ALL PRIVILEGES", about, "FROM", grantee)
    if any(right.endswith("*") for right in rights) or about.startswith("column "):
        return ""
    return _grants(f"GRANT {', '.join(rights)}", about, "TO", grantee)


def _grants(verb: str, about: str, word: str, grantee: str) -> str:
    subject = _subject(about)
    if subject is None or grantee == "its owner" or subject[0] == "column":
        return ""
    return f"{verb} ON {_GRANTED.get(subject[0], subject[0].upper())} {subject[1]} {word} {grantee}"


def _policy(identity: str, definition: str, objects: Objects) -> str:
    name, _, table = identity.rpartition(" on ")
    return f"CREATE POLICY {name} ON {table} AS {definition}"


def _rule(identity: str, definition: str, objects: Objects) -> str:
    return "" if re.search(r" \((?:disabled|replica|always)\)$", definition) else definition


def _schema(identity: str, definition: str, objects: Objects) -> str:
    return f"CREATE SCHEMA {identity}"


def _extension(identity: str, definition: str, objects: Objects) -> str:
    schema = definition.partition(" schema ")[2]
    return f"CREATE EXTENSION {identity} SCHEMA {schema}"


_MAKERS: dict[str, Callable[[str, str, Objects], str]] = {
    "table": _table, "column": _column, "index": _index, "constraint": _constraint, "trigger": _trigger,
    "function": _routine, "procedure": _routine, "view": _view, "materialized view": _view, "sequence": _sequence,
    "enum": _enum, "domain": _domain, "comment": _comment, "owner": _owner, "grant": _grant, "policy": _policy,
    "rule": _rule, "schema": _schema, "extension": _extension,
}  # fmt: skip
