"""SQL Server's statements, by its documented rules: what is done offline holds a schema modification lock."""

from __future__ import annotations

from typing import Any

from windlass.risk.action import BUILD, CATALOGUE, EVERYBODY, NOBODY, REWRITE, SCAN, WRITERS, Action
from windlass.risk.reading.by_sqlglot import Grammar, Way, Ways
from windlass.risk.reading.by_sqlglot import read as read_text

_BRIEF: Way = ("Sch-M", EVERYBODY, CATALOGUE)
_USUAL: Ways = {
    "add-column": _BRIEF, "drop-column": _BRIEF, "modify-column": ("Sch-M", EVERYBODY, REWRITE),
    "add-index": ("S (Sch-M for a clustered one)", WRITERS, BUILD), "drop-index": _BRIEF,
    "add-constraint": ("Sch-M", EVERYBODY, SCAN), "drop-constraint": _BRIEF, "relax-column": _BRIEF, "rename": _BRIEF,
    "set-option": _BRIEF, "rebuild": ("Sch-M", EVERYBODY, REWRITE), "drop-table": _BRIEF, "truncate": _BRIEF,
    "attach-partition": _BRIEF,
}  # fmt: skip


def _way(rule: str, node: Any) -> Way:
    if rule == "add-index" and node is not None and "ONLINE = ON" in node.sql("tsql").upper().replace("=ON", " = ON"):
        return "IS, and S or Sch-M for a moment", NOBODY, BUILD
    return _USUAL.get(rule, ("", NOBODY, CATALOGUE))


_GRAMMAR = Grammar("tsql", _way, fills_nothing=True)


def read(sql: str) -> tuple[Action, ...]:
    """Return what a batch does, also inside its IFs."""
    return read_text(_GRAMMAR, sql)
