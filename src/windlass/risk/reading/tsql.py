"""SQL Server's statements, by its documented rules; what depends on edition and types is the server's to say.

A change that is done offline holds a schema modification lock (Sch-M), which keeps even readers waiting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from windlass.risk.action import BUILD, CATALOGUE, EVERYBODY, NOBODY, REWRITE, SCAN, WRITERS, Action
from windlass.risk.reading import tsql_words
from windlass.risk.reading.by_sqlglot import Grammar, Way, Ways, plain
from windlass.risk.reading.by_sqlglot import read as read_text

_BRIEF: Way = ("Sch-M", EVERYBODY, CATALOGUE)
_REWRITE: Way = ("Sch-M", EVERYBODY, REWRITE)
_ONLINE: Way = ("IS, and S or Sch-M for a moment", NOBODY, BUILD)
_USUAL: Ways = {
    "add-column": _BRIEF, "drop-column": _BRIEF, "modify-column": _REWRITE,
    "add-index": ("S", WRITERS, BUILD), "drop-index": _BRIEF,
    "add-constraint": ("Sch-M", EVERYBODY, SCAN), "drop-constraint": _BRIEF, "relax-column": _BRIEF, "rename": _BRIEF,
    "set-option": _BRIEF, "rebuild": _REWRITE, "drop-table": _BRIEF, "truncate": _BRIEF, "attach-partition": _BRIEF,
    "detach-partition": _BRIEF, "validate-constraint": ("Sch-M", EVERYBODY, SCAN),
}  # fmt: skip
#: What the server's catalogue tells of a change (see the engine's weighing), and what that means.
SAID: Ways = {
    "changes the catalogue only": _BRIEF, "reads every row, all wait": ("Sch-M", EVERYBODY, SCAN),
    "writes every row, all wait": _REWRITE, "builds while others work": _ONLINE,
}  # fmt: skip
#: Functions whose value is the same for all rows of one statement.
_CONSTANT = ("GETDATE", "GETUTCDATE", "SYSDATETIME", "SYSUTCDATETIME", "SYSDATETIMEOFFSET", "CURRENT_TIMESTAMP", "USER",
             "SUSER_SNAME", "DB_NAME", "HOST_NAME", "APP_NAME")  # fmt: skip
_BY_EDITION = "writes every row, except on Enterprise, Developer and Azure"


def _way(rule: str, node: Any) -> Way:
    if rule in ("add-index", "rebuild") and node is not None:
        return tsql_words.build(node.sql("tsql")) or _USUAL[rule]
    return _USUAL.get(rule, ("", NOBODY, CATALOGUE))


def _column(column: Any) -> tuple[Way | None, str]:
    """Return how a new column is made: what is not the same for all rows has to be written into each."""
    from sqlglot import exp

    kinds = [item.kind for item in column.args.get("constraints") or ()]
    if any(isinstance(kind, (exp.AutoIncrementColumnConstraint, exp.GeneratedAsIdentityColumnConstraint))
           for kind in kinds) or _is_row_version(column):  # fmt: skip
        return _REWRITE, "each row gets a number of its own"
    if any(isinstance(kind, exp.ComputedColumnConstraint) and kind.args.get("persisted") for kind in kinds):
        return _REWRITE, "is computed and written for each row"
    filled = next((kind.this for kind in kinds if isinstance(kind, exp.DefaultColumnConstraint)), None)
    required = any(isinstance(kind, exp.NotNullColumnConstraint) and not kind.args.get("allow_null") for kind in kinds)
    if filled is None or not required:
        return None, ""
    return (None, _BY_EDITION) if _is_constant(filled) else (_REWRITE, "its default differs from row to row")


def _is_row_version(column: Any) -> bool:
    kind = column.args.get("kind")
    return kind is not None and kind.sql("tsql").upper() in ("ROWVERSION", "TIMESTAMP")


def _is_constant(default: Any) -> bool:
    from sqlglot import exp

    return all(item.sql("tsql").partition("(")[0].upper() in _CONSTANT for item in default.find_all(exp.Func)) and (
        default.find(exp.NextValueFor) is None
    )


def _call(name: str, texts: Sequence[str]) -> Action | None:
    """Return what the server's own procedures do that change a table."""
    if name.lower() != "sp_rename":
        return None
    old, new, *kind = [*texts, "", ""]
    parts = plain(old)
    is_part = bool(kind) and kind[0].upper() in ("COLUMN", "INDEX")
    table = parts[:-1] if is_part else parts
    return Action("rename", table if old else (), f"{parts[-1]} to {new}", *_BRIEF)


_GRAMMAR = Grammar(
    "tsql", _way, fills_nothing=True, nulls_equal=True, words=tsql_words.actions, call=_call, column=_column
)


def read(sql: str) -> tuple[Action, ...]:
    """Return what a batch does, also inside its IFs."""
    return read_text(_GRAMMAR, sql)
