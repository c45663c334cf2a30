"""What SQL Server's statements do that no parser reads, by their words."""

from __future__ import annotations

import re
from collections.abc import Callable

from windlass.risk.action import BUILD, CATALOGUE, EVERYBODY, NOBODY, REWRITE, SCAN, WRITERS, Action, Name
from windlass_engine.model import Probe

_NAME = r"((?:\[[^\]]+\]|[\w$#@\"]+)(?:\s*\.\s*(?:\[[^\]]+\]|[\w$#@\"]+))*)"
_ONLINE = re.compile(r"(?i)\bONLINE\s*=\s*ON\b")
_CLUSTERED = re.compile(r"(?i)^\s*CREATE\s+(?:UNIQUE\s+)?CLUSTERED\b")
_BRIEF = ("Sch-M", EVERYBODY, CATALOGUE)
_SCAN = ("Sch-M", EVERYBODY, SCAN)
_BUILT_ONLINE = ("IS, and S or Sch-M for a moment", NOBODY, BUILD)


def build(sql: str) -> tuple[str, str, str] | None:
    """Return how an index or table is built, where its words say other than the usual."""
    if _ONLINE.search(sql):
        return _BUILT_ONLINE
    return ("Sch-M", EVERYBODY, REWRITE) if _CLUSTERED.match(sql) else None


def actions(sql: str) -> tuple[Action, ...] | None:
    """Return what a statement does, None where its words do not tell."""
    for pattern, make in _FORMS:
        found = re.match(pattern, sql, re.IGNORECASE | re.DOTALL)
        if found:
            return make(found)
    return None


def _plain(text: str) -> Name:
    return tuple(part.strip().strip('[]"') for part in text.split("."))


def _index(found: re.Match[str]) -> tuple[Action, ...]:
    unique, name, on, keys, rest = found.groups()
    table, way = _plain(on), build(found[0]) or ("S", WRITERS, BUILD)
    columns = tuple(re.sub(r"(?i)\s+(?:asc|desc)$", "", key.strip()).strip('[]"') for key in keys.split(","))
    where = re.match(r"(?is)\s*(?:INCLUDE\s*\([^)]*\)\s*)?WHERE\s+(.+?)(?:\s+WITH\s*\(.*|\s+ON\s+\S+)?\s*$", rest)
    probe = Probe("duplicates", table, columns, tuple(f"[{column}]" for column in columns),
                  where[1] if where else "", nulls_equal=True)  # fmt: skip
    return (Action("add-index", table, _plain(name)[-1], *way, unique=bool(unique), probes=(probe,) if unique else ()),)


def _alter_index(found: re.Match[str]) -> tuple[Action, ...]:
    name, on, verb = found.groups()
    table, subject = _plain(on), _plain(name)[-1]
    if verb.upper() == "REBUILD":
        way = build(found.string) or ("Sch-M", EVERYBODY, REWRITE)
        return (Action("rebuild", table, subject, *way),)
    if verb.upper() == "DISABLE":
        return (
            Action("drop-index", table, subject, *_BRIEF, note="its definition stays; a clustered one shuts the table"),
        )
    if verb.upper() == "REORGANIZE":
        return (Action("rebuild", table, subject, "IX", NOBODY, BUILD),)
    return (Action("set-option", table, subject, *_BRIEF),)


def _add_unchecked(found: re.Match[str]) -> tuple[Action, ...]:
    table, name = _plain(found[1]), _plain(found[2] or "")[-1]
    return (Action("add-constraint", table, name, *_BRIEF, required=True, note="rows of today are not looked at"),)


def _validate(found: re.Match[str]) -> tuple[Action, ...]:
    table, name = _plain(found[1]), _plain(found[2])[-1]
    probes = (Probe("unvalidated", table, (name,)),) if name.upper() != "ALL" else ()
    return (Action("validate-constraint", table, name, *_SCAN, probes=probes),)


def _option(found: re.Match[str]) -> tuple[Action, ...]:
    return (Action("set-option", _plain(found[1]), _plain(found[2])[-1], *_BRIEF),)


def _default(found: re.Match[str]) -> tuple[Action, ...]:
    return (Action("relax-column", _plain(found[1]), _plain(found[3])[-1], *_BRIEF),)


def _filled(found: re.Match[str]) -> tuple[Action, ...]:
    way = ("Sch-M", EVERYBODY, REWRITE)
    return (Action("add-column", _plain(found[1]), _plain(found[2])[-1], *way, note="WITH VALUES writes every row"),)


def _switch(found: re.Match[str]) -> tuple[Action, ...]:
    source, target = _plain(found[1]), _plain(found[2])
    return (
        Action("detach-partition", source, ".".join(target), *_BRIEF),
        Action("attach-partition", target, "", *_BRIEF),
    )


def _trigger(found: re.Match[str]) -> tuple[Action, ...]:
    return (Action("set-option", _plain(found[3]), _plain(found[2])[-1], *_BRIEF),)


def _transfer(found: re.Match[str]) -> tuple[Action, ...]:
    table = _plain(found[2])
    return (Action("rename", table, f"{table[-1]} to schema {_plain(found[1])[-1]}", *_BRIEF),)


def _constraints(found: re.Match[str]) -> tuple[Action, ...]:
    table = _plain(found[1])
    return tuple(Action("drop-constraint", table, _plain(name)[-1], *_BRIEF) for name in found[2].split(","))


def _nothing(found: re.Match[str]) -> tuple[Action, ...]:
    return ()


def _right(found: re.Match[str]) -> tuple[Action, ...]:
    return (Action("take-right", subject="a right"),)


_TABLE = rf"\s*ALTER\s+TABLE\s+{_NAME}\s+"
_FORMS: tuple[tuple[str, Callable[[re.Match[str]], tuple[Action, ...]]], ...] = (
    (rf"\s*CREATE\s+(UNIQUE\s+)?(?:(?:NON)?CLUSTERED\s+)?INDEX\s+{_NAME}\s+ON\s+{_NAME}\s*\(([^)]*)\)(.*)$", _index),
    (rf"\s*ALTER\s+INDEX\s+{_NAME}\s+ON\s+{_NAME}\s+(\w+)", _alter_index),
    (rf"{_TABLE}WITH\s+NOCHECK\s+ADD\s+(?:CONSTRAINT\s+{_NAME}\s+)?(?:FOREIGN|CHECK)\b", _add_unchecked),
    (rf"{_TABLE}WITH\s+CHECK\s+CHECK\s+CONSTRAINT\s+{_NAME}", _validate),
    (rf"{_TABLE}(?:WITH\s+NOCHECK\s+)?(?:NO)?CHECK\s+CONSTRAINT\s+{_NAME}", _option),
    (rf"{_TABLE}(?:ENABLE|DISABLE)\s+(?:TRIGGER|CHANGE_TRACKING)\b\s*{_NAME}?", _option),
    (rf"{_TABLE}ADD\s+(?:CONSTRAINT\s+{_NAME}\s+)?DEFAULT\b.*\bFOR\s+{_NAME}", _default),
    (rf"{_TABLE}ADD\s+{_NAME}\s.*\bDEFAULT\b.*\bWITH\s+VALUES\b", _filled),
    (rf"{_TABLE}SWITCH\s+(?:PARTITION\s+\S+\s+)?TO\s+{_NAME}", _switch),
    (rf"{_TABLE}DROP\s+CONSTRAINT\s+(?!IF\b)([^()]+?,[^()]+)$", _constraints),
    (rf"{_TABLE}ALTER\s+COLUMN\s+{_NAME}\s+(?:ADD|DROP)\s+(?:MASKED|ROWGUIDCOL|SPARSE|HIDDEN|NOT)\b", _option),
    (rf"\s*(ENABLE|DISABLE)\s+TRIGGER\s+{_NAME}\s+ON\s+{_NAME}", _trigger),
    (rf"\s*ALTER\s+SCHEMA\s+{_NAME}\s+TRANSFER\s+(?:OBJECT\s*::\s*)?{_NAME}", _transfer),
    (r"\s*(?:UPDATE|CREATE|DROP)\s+STATISTICS\b", _nothing),
    (r"\s*DENY\b", _right),
    (r"\s*WAITFOR\b", _nothing),
)  # fmt: skip
