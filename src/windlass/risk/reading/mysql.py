"""MySQL's and MariaDB's statements.  How a change is done is the server's to say; these are its usual ways."""

from __future__ import annotations

import re
from typing import Any

from windlass.risk.action import BUILD, CATALOGUE, EVERYBODY, NOBODY, REWRITE, SCAN, WRITERS, Action
from windlass.risk.reading.by_sqlglot import Grammar, Way, Ways
from windlass.risk.reading.by_sqlglot import read as read_text
from windlass_engine.dialects.mysql.algorithms import texts_in
from windlass_engine.dialects.mysql.reader import Reader

_INSTANT: Way = ("INSTANT", NOBODY, CATALOGUE)
_ONLINE: Way = ("INPLACE, LOCK=NONE", NOBODY, BUILD)
_COPY: Way = ("COPY, LOCK=SHARED", WRITERS, REWRITE)
_BRIEF: Way = ("EXCLUSIVE metadata lock", EVERYBODY, CATALOGUE)
#: What the server says of a statement that was tried (see the engine's algorithms), and what that means.
SAID: Ways = {
    "instant": _INSTANT, "online": _ONLINE, "in place, writers wait": ("INPLACE, LOCK=SHARED", WRITERS, BUILD),
    "copies the table, writers wait": _COPY,
    "copies the table, readers and writers wait": ("COPY, LOCK=EXCLUSIVE", EVERYBODY, REWRITE),
}  # fmt: skip
_USUAL: Ways = {
    "add-column": _INSTANT, "drop-column": _ONLINE, "add-index": _ONLINE, "modify-column": _COPY,
    "add-constraint": _COPY, "relax-column": _INSTANT, "drop-index": ("INPLACE, LOCK=NONE", NOBODY, CATALOGUE),
    "drop-constraint": ("INPLACE, LOCK=NONE", NOBODY, CATALOGUE), "rename": _INSTANT, "set-option": _INSTANT,
    "rebuild": ("INPLACE, LOCK=NONE", NOBODY, REWRITE),
    "attach-partition": ("EXCLUSIVE metadata lock", EVERYBODY, SCAN),
    "drop-table": _BRIEF, "truncate": _BRIEF,
}  # fmt: skip
#: The manner of a CREATE or DROP INDEX, which sqlglot does not read.
_MANNER = re.compile(
    r"(?i)[\s,]*\b(algorithm|lock)\s*=?\s*(instant|inplace|nocopy|copy|none|shared|exclusive|default)\b"
)
_CHANGE = re.compile(
    r"(?is)^\s*(alter|create|drop|rename|truncate)\s+(online\s+|unique\s+|fulltext\s+|spatial\s+)?(table|index)\b"
)
_INDEX = re.compile(r"(?is)^\s*(create|drop)\s+((unique|fulltext|spatial)\s+)?index\b")


def _way(rule: str, node: Any) -> Way:
    """Return how a change is done: as the statement demands, or as the server usually does it."""
    asked = _asked(node)
    if asked:
        return asked
    return _USUAL.get(rule, ("", NOBODY, CATALOGUE))


def _asked(node: Any) -> Way | None:
    """Return the way that a statement's own ALGORITHM and LOCK demand: the server refuses it otherwise."""
    options = (node.args.get("options") or ()) if node is not None else ()
    words = {type(option).__name__: str(option.this).upper() for option in options}
    algorithm, lock = words.get("AlgorithmProperty", ""), words.get("LockProperty", "")
    if algorithm == "INSTANT":
        return _INSTANT
    if lock == "NONE":
        return _ONLINE
    if algorithm == "COPY":
        return ("COPY, LOCK=EXCLUSIVE", EVERYBODY, REWRITE) if lock == "EXCLUSIVE" else _COPY
    return ("INPLACE, LOCK=SHARED", WRITERS, BUILD) if algorithm in ("INPLACE", "NOCOPY") and lock else None


_GRAMMAR = Grammar("mysql", _way)


def read(sql: str) -> tuple[Action, ...]:
    """Return what a statement does; of a CALL, what the schema changes among its arguments do."""
    words = Reader(sql, 2)
    if words.peek() != "CALL":
        return _read(sql)
    texts = [text for text in texts_in(sql) if _CHANGE.match(text)]
    if not texts:
        name = words.items[1].name if len(words.items) > 1 else ""
        return (Action("opaque", subject=name, note=f"{name} may do anything"),)
    return tuple(action for text in texts for action in _read(text))


def _read(sql: str) -> tuple[Action, ...]:
    if _INDEX.match(sql):
        return read_text(_GRAMMAR, _MANNER.sub("", sql))
    return read_text(_GRAMMAR, sql)
