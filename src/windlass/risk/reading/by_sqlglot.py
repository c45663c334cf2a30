"""Statements as sqlglot reads them: what MySQL, MariaDB and SQL Server share; each says by itself how it locks."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from windlass.risk.action import ROWS, WRITERS, Action, Name
from windlass_engine.model import Probe

#: (the engine's words for the lock, who waits, what is worked through)
Way = tuple[str, str, str]
Ways = Mapping[str, Way]
_BODY = re.compile(
    r"(?is)^\s*(?:(?:--[^\n]*|#[^\n]*)\n\s*|/\*.*?\*/\s*)*(create|alter)\s+(or\s+(?:replace|alter)\s+)?"
    r"(?:definer\s*=\s*\S+\s+)?(?:aggregate\s+)?(procedure|function|trigger|event|proc)\s+(?:if\s+not\s+exists\s+)?"
    r"([\w$.`\"\[\]]+)"
)
_RENAMED = re.compile(r"(?is)^\s*rename\s+tables?\s+([\w$.`]+)\s+to\s+([\w$.`]+)")
_ALTERED = re.compile(r"(?is)^(?:online\s+|ignore\s+)*table\s+(?:if\s+exists\s+)?([\w$.`\"\[\]]+)\s+(.*)$")
_INDEXED = re.compile(
    r"(?is)^create\s+(unique\s+)?(?:(?:non)?clustered\s+|fulltext\s+|spatial\s+)?index\s+"
    r"(?:if\s+not\s+exists\s+)?([\w$`\"\[\]]+)\s+on\s+([\w$.`\"\[\]]+)"
)
#: sqlglot reads a CHECK only under a name.
_NAMELESS = re.compile(r"(?i)\badd\s+check\s*\(")
_SESSION = ("SET", "PREPARE", "EXECUTE", "DEALLOCATE", "USE", "SHOW", "START", "BEGIN", "COMMIT", "ROLLBACK", "FLUSH")


@dataclass(frozen=True)
class Grammar:
    """One language: sqlglot's name for it, and how its server does each kind of work."""

    name: str
    way: Callable[[str, Any], Way]
    #: Whether a NOT NULL column without a default is refused where there are rows.
    fills_nothing: bool = False
    #: Whether a unique key lets one row alone have no value.
    nulls_equal: bool = False
    #: What a statement does that sqlglot does not read, by its words; None where they do not tell.
    words: Callable[[str], tuple[Action, ...] | None] = lambda sql: None
    #: What the call of a procedure with these constants does; None where that is not known.
    call: Callable[[str, Sequence[str]], Action | None] = lambda name, texts: None
    #: How a new column is made, where that is not the usual way, and what there is to know about it.
    column: Callable[[Any], tuple[Way | None, str]] = lambda column: (None, "")


def read(grammar: Grammar, sql: str) -> tuple[Action, ...]:
    """Return what a text does, part by part."""
    body = _BODY.match(sql)
    if body:
        return (_routine(body),)
    import sqlglot

    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    try:
        parsed = sqlglot.parse(_NAMELESS.sub("ADD CONSTRAINT new_check CHECK (", sql), read=grammar.name)
    except sqlglot.errors.SqlglotError as error:
        return _by_words(grammar, " ".join(sql.split()), str(error).splitlines()[0])
    return tuple(action for node in parsed if node is not None for action in _Reader(grammar).statement(node))


def _routine(body: re.Match[str]) -> Action:
    verb, again, kind, name = body.groups()
    kind = "procedure" if kind.lower() == "proc" else kind.lower()
    rule = (
        "replace-object" if again or verb.lower() == "alter" else "add-trigger" if kind == "trigger" else "add-object"
    )
    return Action(rule, subject=f"{kind} {plain(name)[-1]}", makes=(kind, plain(name)[-1]))


def plain(name: str) -> Name:
    """Return a written name in its parts, without quotes."""
    return tuple(part.strip('`"[]') for part in name.split("."))


def table_of(node: Any) -> Name:
    """Return a table's name in its parts."""
    from sqlglot import exp

    found = node if isinstance(node, exp.Table) else node.find(exp.Table) if node is not None else None
    if found is None:
        return ()
    return tuple(part.name for part in (found.args.get("db"), found.this) if part is not None and part.name)


class _Reader:
    """Reads one statement."""

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar

    def statement(self, node: Any) -> Iterator[Action]:
        """Yield what a statement does; an IF does what stands in it."""
        kind = type(node).__name__
        if kind in _NOTHING or _is_of_the_session(kind, node):
            return
        if kind in ("IfBlock", "Block", "WhileBlock", "TryCatch", "Begin"):
            for inner in _inner(node):
                yield from self.statement(inner)
        elif kind == "Command":
            word, rest = str(node.this).upper(), _text(node.expression)
            yield from _by_words(self._grammar, f"{word} {rest}", "")
        elif kind in ("Create", "Drop", "Alter"):
            yield from {"Create": self._create, "Drop": self._drop, "Alter": self._alter}[kind](node)
        elif kind in _ROWS:
            yield self._rows(kind, node)
        elif kind in _KINDS:
            yield Action(_KINDS[kind], subject="a right" if kind in ("Grant", "Revoke") else "")
        elif kind == "Execute":
            yield self._execute(node)
        elif kind == "ExecuteSql":
            yield from self._execute_text(node)
        else:
            yield Action("opaque", note=f"{kind} may do anything")

    def _action(self, rule: str, table: Name, subject: str, node: Any = None, **more: Any) -> Action:
        lock, waits, work = self._grammar.way(rule, node)
        return Action(rule, table, subject, lock, waits, work, **more)

    def _rows(self, kind: str, node: Any) -> Action:
        table = table_of(node.args.get("this"))
        if kind == "TruncateTable":
            table = table_of(node.expressions[0])
            return self._action("truncate", table, table[-1])
        rule = _ROWS[kind]
        waits = "nobody" if rule == "insert-rows" else WRITERS
        return Action(rule, table, table[-1] if table else "", "each changed row", waits, ROWS)

    def _execute(self, node: Any) -> Action:
        name = table_of(node)[-1:] or ("",)
        known = self._grammar.call(name[0], [_constant(item) for item in node.expressions])
        return known or Action("opaque", subject=name[0], note=f"{name[0]} may do anything")

    def _execute_text(self, node: Any) -> Iterator[Action]:
        """Yield what sp_executesql will do, where the batch holds its text."""
        from sqlglot import exp

        text = node.expressions[0] if node.expressions else None
        if isinstance(text, (exp.Literal, exp.National)):
            yield from read(self._grammar, text.name)
        else:
            yield self._execute(node)

    def _create(self, node: Any) -> Iterator[Action]:
        from sqlglot import exp

        kind = str(node.args["kind"]).upper()
        if kind == "TABLE":
            if node.find(exp.TemporaryProperty) is None:
                table = table_of(node.this)
                yield Action("add-table", table, table[-1], makes=("table", table[-1]))
        elif kind.endswith("INDEX"):
            yield from self._index(node)
        else:
            name = table_of(node.this)[-1:] or ("",)
            rule = "replace-object" if node.args.get("replace") else "add-object"
            yield Action(rule, subject=f"{kind.lower()} {name[0]}", makes=(kind.lower(), name[0]))

    def _index(self, node: Any) -> Iterator[Action]:
        table, unique = table_of(node.this.args.get("table")), bool(node.args.get("unique"))
        parts = node.this.args["params"].args.get("columns") or ()
        where = node.this.args["params"].args.get("where")
        probe = self._duplicates(table, [getattr(part, "this", part) for part in parts], where) if unique else ()
        yield self._action("add-index", table, node.this.name, node, unique=unique, probes=probe)

    def _duplicates(self, table: Name, parts: list[Any], where: Any = None) -> tuple[Probe, ...]:
        """Return the search for rows that a unique key refuses; none where a part is no plain column."""
        from sqlglot import exp

        keys = [f"LEFT({part.this.sql(self._grammar.name, identify=True)}, {part.expression})"
                if isinstance(part, exp.ColumnPrefix) else part.sql(self._grammar.name, identify=True)
                for part in parts]  # fmt: skip
        if not all(isinstance(part, (exp.Column, exp.ColumnPrefix, exp.Identifier)) for part in parts):
            return ()
        columns = tuple(part.name or part.this.name for part in parts)
        condition = where.this.sql(self._grammar.name, identify=True) if where is not None else ""
        equal = self._grammar.nulls_equal
        return (Probe("duplicates", table, columns, tuple(keys), condition, nulls_equal=equal),)

    def _drop(self, node: Any) -> Iterator[Action]:
        kind = str(node.args.get("kind") or "").upper()
        for item in node.args.get("tables") or ():
            name = table_of(item) or (item.name,)
            if kind == "TABLE" and not node.args.get("temporary"):
                yield self._action("drop-table", name, name[-1], drops=("table", name[-1]))
            elif kind.endswith("INDEX"):
                yield self._action("drop-index", table_of(node.args.get("cluster")), name[-1], node)
            elif kind != "TABLE":
                subject = f"{kind.lower()} {name[-1]}"
                yield Action("drop-object", subject=subject, drops=(kind.lower(), name[-1]))

    def _alter(self, node: Any) -> Iterator[Action]:
        table, actions = table_of(node.this), node.args.get("actions") or ()
        for action in actions:
            yield from self._change(table, action, node)
        if not actions:
            rule = "set-option" if str(node.args.get("kind")).upper() != "TABLE" else "rebuild"
            yield self._action(rule, table, table[-1] if table else "", node)

    def _change(self, table: Name, action: Any, node: Any) -> Iterator[Action]:
        """Yield what one action of an ALTER TABLE does."""
        kind = type(action).__name__
        if kind == "ColumnDef":
            yield from self._add_column(table, action, node)
        elif kind == "ModifyColumn":
            yield self._modify(table, action.this, node)
        elif kind == "AlterColumn":
            yield self._alter_column(table, action, node)
        elif kind == "Drop":
            yield from self._drop_part(table, action, node)
        elif kind in ("AlterRename", "RenameColumn"):
            yield self._action("rename", table, f"{(action.this.name if kind != 'AlterRename' else table[-1])} to "
                               f"{(action.args.get('to') or action.this).name}", node)  # fmt: skip
        elif kind == "AddConstraint":
            for item in action.expressions:
                yield self._add_constraint(table, item, node)
        elif kind == "DropPrimaryKey":
            yield self._action("drop-constraint", table, "primary key", node)
        else:
            yield self._action("set-option", table, kind, node)

    def _add_column(self, table: Name, column: Any, node: Any) -> Iterator[Action]:
        kinds = {type(item.kind).__name__: item.kind for item in column.args.get("constraints") or ()}
        no_null = kinds.get("NotNullColumnConstraint")
        filled = {"DefaultColumnConstraint", "AutoIncrementColumnConstraint", "ComputedColumnConstraint",
                  "GeneratedAsIdentityColumnConstraint"} & set(kinds)  # fmt: skip
        bare = no_null is not None and not no_null.args.get("allow_null") and not filled
        probes = (Probe("rows", table, (column.name,)),) if bare and self._grammar.fills_nothing else ()
        way, note = self._grammar.column(column)
        lock, waits, work = way or self._grammar.way("add-column", node)
        yield Action("add-column", table, column.name, lock, waits, work, required=bare, probes=probes, note=note)

    def _modify(self, table: Name, column: Any, node: Any) -> Action:
        kinds = {type(item.kind).__name__: item.kind for item in column.args.get("constraints") or ()}
        no_null = kinds.get("NotNullColumnConstraint")
        probes = [Probe("unfit", table, (column.name,), type=column.args["kind"].sql(self._grammar.name))]
        if no_null is not None and not no_null.args.get("allow_null"):
            probes.append(Probe("nulls", table, (column.name,)))
        return self._action("modify-column", table, column.name, node, probes=tuple(probes))

    def _alter_column(self, table: Name, action: Any, node: Any) -> Action:
        kind = action.args.get("dtype")
        if kind is None:
            return self._action("relax-column", table, action.name, node)
        probes = [Probe("unfit", table, (action.name,), type=kind.sql(self._grammar.name))]
        if action.args.get("allow_null") is False:
            probes.append(Probe("nulls", table, (action.name,)))
        return self._action("modify-column", table, action.name, node, probes=tuple(probes))

    def _drop_part(self, table: Name, action: Any, node: Any) -> Iterator[Action]:
        kind = str(action.args.get("kind") or "COLUMN").upper()
        rule = {"COLUMN": "drop-column", "INDEX": "drop-index", "KEY": "drop-index"}.get(kind, "drop-constraint")
        for item in action.args.get("tables") or ():
            yield self._action(rule, table, item.name, node)

    def _add_constraint(self, table: Name, item: Any, node: Any) -> Action:
        """Return what a new index or constraint is; a named one stands inside its name."""
        from sqlglot import exp

        name = item.name if isinstance(item, exp.Constraint) else ""
        inner = item.expressions[0] if isinstance(item, exp.Constraint) else item
        if isinstance(inner, exp.IndexColumnConstraint):
            return self._action("add-index", table, inner.name, node)
        if isinstance(inner, exp.UniqueColumnConstraint):
            probes = self._duplicates(table, _plain_parts(inner.this.expressions))
            return self._action("add-index", table, name or inner.this.name, node, unique=True, probes=probes)
        if isinstance(inner, exp.ForeignKey):
            return self._foreign(table, name, inner, node)
        if isinstance(inner, (exp.PrimaryKey, exp.PrimaryKeyColumnConstraint)):
            clustered = item.find(exp.ClusteredColumnConstraint, exp.NonClusteredColumnConstraint)
            probes = self._duplicates(table, _plain_parts(clustered.this if clustered else inner.expressions))
            return self._action("add-constraint", table, "primary key", node, required=True, probes=probes)
        if isinstance(inner, exp.CheckColumnConstraint):
            condition = inner.this.sql(self._grammar.name, identify=True)
            columns = tuple(dict.fromkeys(column.name for column in inner.this.find_all(exp.Column)))
            probe = Probe("violations", table, columns, condition=condition)
            return self._action("add-constraint", table, name, node, required=True, probes=(probe,))
        return self._action("add-constraint", table, name, node, required=True)

    def _foreign(self, table: Name, name: str, key: Any, node: Any) -> Action:
        reference = key.args["reference"].this
        columns = tuple(item.name for item in key.expressions)
        keys = tuple(item.name for item in reference.expressions)
        probe = Probe("orphans", table, columns, other=table_of(reference), other_columns=keys)
        return self._action("add-constraint", table, name or "foreign key", node, required=True, probes=(probe,))


_ROWS = {"Update": "update-rows", "Delete": "delete-rows", "Insert": "insert-rows", "Merge": "update-rows",
         "TruncateTable": "truncate"}  # fmt: skip
_KINDS = {"Grant": "add-object", "Revoke": "take-right", "Comment": "add-object"}
_NOTHING = frozenset({"Set", "Select", "Union", "Use", "Transaction", "Commit", "Rollback", "Show", "Declare",
                      "Analyze", "Describe", "EndStatement", "Semicolon", "Print", "Subquery", "Kill"})  # fmt: skip


def _inner(node: Any) -> Iterator[Any]:
    """Yield the statements in a block, and in both branches of an IF."""
    for key in ("true", "false", "expressions", "body"):
        found = node.args.get(key)
        if isinstance(found, list):
            yield from found
        elif found is not None and not isinstance(found, bool):
            yield found


def _is_of_the_session(kind: str, node: Any) -> bool:
    """Tell whether a statement refuses, or changes rows of a table variable or a temporary table."""
    from sqlglot import exp

    if kind not in _ROWS:
        return kind == "Anonymous" and bool(node.name.upper() == "RAISERROR")
    table = node.find(exp.Table)
    name = table.this if table is not None else None
    return isinstance(name, exp.Parameter) or bool(isinstance(name, exp.Identifier) and name.args.get("temporary"))


def _constant(node: Any) -> str:
    """Return the constant that an argument of a call is, an empty string for what is none."""
    from sqlglot import exp

    value = node.expression if isinstance(node, exp.EQ) else node
    return str(value.name) if isinstance(value, (exp.Literal, exp.National)) else ""


def _plain_parts(parts: Sequence[Any]) -> list[Any]:
    """Return the parts of a key without their order."""
    from sqlglot import exp

    return [part.this if isinstance(part, exp.Ordered) else part for part in parts]


def _text(node: Any) -> str:
    return str(getattr(node, "this", node) or "") if not isinstance(node, str) else node


def _by_words(grammar: Grammar, sql: str, why: str) -> tuple[Action, ...]:
    """Return what a text does that sqlglot does not read, judged by its words."""
    words = sql.split(None, 1)
    first, rest = (words[0].upper() if words else ""), (words[1] if len(words) > 1 else "")
    if not first or first in _SESSION:
        return ()
    told = grammar.words(sql)
    if told is not None:
        return told
    renamed = _RENAMED.match(sql)
    if renamed:
        table = plain(renamed[1])
        return (Action("rename", table, f"{table[-1]} to {plain(renamed[2])[-1]}", *grammar.way("rename", None)),)
    indexed = _INDEXED.match(sql)
    if indexed:
        unique, name, on = indexed.groups()
        way = grammar.way("add-index", None)
        return (Action("add-index", plain(on), plain(name)[-1], *way, unique=bool(unique)),)
    altered = _ALTERED.match(rest) if first == "ALTER" else None
    if altered:
        return _altered(grammar, plain(altered[1]), altered[2])
    note = why or f"{first} {rest.split(None, 1)[0] if rest else ''}".strip() + " may do anything"
    return (Action("opaque", note=note),)


def _altered(grammar: Grammar, table: Name, rest: str) -> tuple[Action, ...]:
    """Return the one action of an ALTER TABLE that its first words tell of."""
    upper = " ".join(rest.upper().split())
    for opening, rule in _OPENINGS:
        if upper.startswith(opening):
            following = rest[len(opening) :].split(None, 1)
            named = plain(following[0].strip("(),"))[-1] if following else ""
            return (replace(Action(rule, table, named), **_way(grammar, rule)),)
    return (replace(Action("opaque", table, table[-1], note="is not read: it may rewrite the table"), waits=WRITERS),)


def _way(grammar: Grammar, rule: str) -> dict[str, Any]:
    return dict(zip(("lock", "waits", "work"), grammar.way(rule, None), strict=True))


_OPENINGS: tuple[tuple[str, str], ...] = (
    ("MODIFY COLUMN IF EXISTS ", "modify-column"), ("MODIFY ", "modify-column"), ("CHANGE ", "modify-column"),
    ("CONVERT TO ", "modify-column"), ("ADD COLUMN ", "add-column"), ("ADD PARTITION ", "attach-partition"),
    ("DROP PARTITION ", "drop-table"), ("TRUNCATE PARTITION ", "truncate"), ("ADD CONSTRAINT ", "add-constraint"),
    ("WITH NOCHECK ADD CONSTRAINT ", "add-constraint"), ("WITH CHECK ADD CONSTRAINT ", "add-constraint"),
    ("ADD UNIQUE ", "add-index"), ("ADD INDEX ", "add-index"), ("ADD KEY ", "add-index"),
    ("DROP COLUMN ", "drop-column"), ("DROP ", "drop-constraint"), ("FORCE", "rebuild"), ("ENGINE", "rebuild"),
    ("REORGANIZE ", "rebuild"), ("REBUILD", "rebuild"), ("PARTITION BY ", "rebuild"), ("COMMENT", "set-option"),
)  # fmt: skip
