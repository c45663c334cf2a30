"""From the catalogue's words for a column to the SQL that makes, drops or changes it.

A default keeps its column from being dropped or changed, and its name may be one that the server made up: it is looked
up, in a text of its own so that the variable is nobody else's.
"""

from __future__ import annotations

import re
from typing import Optional

from .text import identifier, literal, names

_COLUMN = re.compile(
    r"^(?P<type>(?!as ).+?)(?: collate (?P<collation>\w+))?(?P<not_null> not null)?(?: (?P<identity>identity\(.*?\)))?"
    r"(?P<guid> rowguidcol)?(?P<sparse> sparse)?(?: default (?P<default>.+?))?(?: named (?P<name>\[.*\]|\w+))?$",
    re.DOTALL,
)
_COMPUTED = re.compile(
    r"^as (?P<made>\(.*\))(?P<persisted> persisted)?(?: collate \w+)?(?P<not_null> not null)?$", re.DOTALL
)
#: What makes a column another one altogether.
_FIXED = ("identity", "guid", "sparse")
_BY_SERVER = (" generated always", " hidden")


def column_words(definition: str) -> str:
    """Return a column's definition as CREATE TABLE takes it, an empty text where it holds more."""
    computed = _COMPUTED.match(definition)
    if computed:
        made = f"AS {computed['made']}" + (" PERSISTED" if computed["persisted"] else "")
        return made + (" NOT NULL" if computed["persisted"] and computed["not_null"] else "")
    found = _found(definition)
    if not found:
        return ""
    words = [_type(found["type"]), *([f"COLLATE {found['collation']}"] if found["collation"] else [])]
    words += [found["identity"].upper()] if found["identity"] else []
    words += ["SPARSE"] if found["sparse"] else []
    words.append("NOT NULL" if found["not_null"] else "NULL")
    words += ["ROWGUIDCOL"] if found["guid"] else []
    words += [_default(found)] if found["default"] else []
    return " ".join(words)


def drop_column(identity: str, definition: str) -> str:
    """Return what drops a column, its default first."""
    schema, table, name = names(identity)
    gone = f"ALTER TABLE {identifier(f'{schema}.{table}')} DROP COLUMN {identifier(name)}"
    found = _found(definition)
    return f"{drop_default(identity)};\n{gone}" if found and found["default"] else gone


def change_column(identity: str, have: str, want: str) -> str:
    """Return what makes a standing column what it should be, an empty text where that has to be done by hand."""
    schema, table, name = names(identity)
    of, column = identifier(f"{schema}.{table}"), identifier(name)
    if _COMPUTED.match(have) and _COMPUTED.match(want):
        return f"ALTER TABLE {of} DROP COLUMN {column};\nALTER TABLE {of} ADD {column} {column_words(want)}"
    old, new = _found(have), _found(want)
    if not old or not new or any(old[part] != new[part] for part in _FIXED):
        return ""
    shape = [(found["type"], found["collation"], bool(found["not_null"])) for found in (old, new)]
    steps = [drop_default(identity)] if old["default"] else []
    if shape[0] != shape[1]:
        collation = f" COLLATE {new['collation']}" if new["collation"] else ""
        empty = "NOT NULL" if new["not_null"] else "NULL"
        steps.append(f"ALTER TABLE {of} ALTER COLUMN {column} {_type(new['type'])}{collation} {empty}")
    steps += [f"ALTER TABLE {of} ADD {_default(new)} FOR {column}"] if new["default"] else []
    return ";\n".join(steps)


def drop_default(identity: str) -> str:
    """Return what drops a column's default, whatever its name is."""
    schema, table, name = names(identity)
    of = identifier(f"{schema}.{table}")
    bare = name[1:-1].replace("]]", "]") if name.startswith("[") else name
    text = (
        f"DECLARE @windlass_drop nvarchar(max) = (SELECT N'ALTER TABLE ' + {literal(of)} + N' DROP CONSTRAINT ' + "
        f"QUOTENAME(d.name) FROM sys.default_constraints d WHERE d.parent_object_id = OBJECT_ID({literal(of)}) "
        f"AND COL_NAME(d.parent_object_id, d.parent_column_id) = {literal(bare)}); "
        "EXEC sys.sp_executesql @windlass_drop"
    )
    return f"EXEC sys.sp_executesql {literal(text)}"


def _found(definition: str) -> Optional[re.Match[str]]:
    """Take a definition apart; None for what only the server fills in."""
    return None if any(word in definition for word in _BY_SERVER) else _COLUMN.match(definition)


def _default(found: re.Match[str]) -> str:
    named = f"CONSTRAINT {identifier(found['name'])} " if found["name"] else ""
    return f"{named}DEFAULT {found['default']}"


def _type(kind: str) -> str:
    """Return a type; one of somebody's own has its name in parts."""
    return identifier(kind) if "." in kind and "(" not in kind else kind
