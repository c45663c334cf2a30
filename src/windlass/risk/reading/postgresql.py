"""PostgreSQL's statements, read by PostgreSQL's own parser."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from windlass.risk.action import EVERYBODY, NOBODY, REWRITE, ROWS, SCAN, WRITERS, Action, Name, some
from windlass.risk.reading import postgresql_alter, postgresql_do
from windlass.risk.reading.postgresql_names import functions_in, index_parts, index_probe, kind_of, last, relation

_ROW_LOCKS = "ROW EXCLUSIVE, and each changed row"
#: Functions that set something for the session, look, or move a sequence; others may do anything.
_HARMLESS = frozenset({"set_config", "setval", "nextval", "pg_sleep", "count", "now", "version", "to_regclass"})
#: Statements that change nothing that lasts, by the parser's names.
_NOTHING = frozenset(
    {"VariableSetStmt", "VariableShowStmt", "TransactionStmt", "PrepareStmt", "DeallocateStmt", "DiscardStmt",
     "ListenStmt", "UnlistenStmt", "NotifyStmt", "ExplainStmt", "CheckPointStmt", "ConstraintsSetStmt", "LoadStmt"}
)  # fmt: skip
_MADE = frozenset(
    {"CreateSchemaStmt", "CreateExtensionStmt", "CreateEnumStmt", "CreateSeqStmt", "CompositeTypeStmt", "DefineStmt",
     "CreateDomainStmt", "CreateRangeStmt", "CreateStatsStmt", "CreateCastStmt", "CreateRoleStmt", "CommentStmt",
     "CreatePublicationStmt", "CreateFdwStmt", "CreateForeignServerStmt", "CreateUserMappingStmt", "SecLabelStmt",
     "CreateOpClassStmt", "CreateOpFamilyStmt", "CreateConversionStmt", "CreatePLangStmt", "CreateEventTrigStmt"}
)  # fmt: skip
_SET = frozenset(
    {"AlterOwnerStmt", "AlterSeqStmt", "AlterRoleStmt", "AlterRoleSetStmt", "AlterDatabaseSetStmt", "AlterEnumStmt",
     "AlterFunctionStmt", "AlterExtensionStmt", "AlterDefaultPrivilegesStmt", "AlterDatabaseStmt", "AlterPolicyStmt",
     "AlterStatsStmt", "AlterTableMoveAllStmt", "AlterObjectDependsStmt", "AlterTypeStmt", "GrantRoleStmt"}
)  # fmt: skip


def read(sql: str) -> tuple[Action, ...]:
    """Return what a statement does, part by part."""
    import pglast

    try:
        parsed = pglast.parse_sql(sql)
    except pglast.parser.ParseError as error:
        return (Action("opaque", note=f"PostgreSQL's parser does not read it: {error.args[0]}"),)
    if len(parsed) == 1 and type(parsed[0].stmt).__name__ == "DoStmt":
        return tuple(_block(sql))
    return tuple(action for raw in parsed for action in _statement(raw.stmt))


def _block(sql: str) -> Iterator[Action]:
    """Yield what the statements in a DO block do."""
    for text in postgresql_do.statements(sql):
        if text is None:
            yield Action("opaque", note="it puts a statement together that its text does not show")
        else:
            yield from (replace(action, probes=()) for action in read(text))


def _statement(node: Any) -> Iterator[Action]:
    name = type(node).__name__
    if name in _NOTHING:
        return
    if name in _MADE:
        yield Action("add-object", subject=_subject(node))
    elif name in _SET:
        yield Action("set-option", subject=_subject(node))
    else:
        yield from _READERS.get(name, _opaque)(node)


def _subject(node: Any) -> str:
    """Return what a statement about an object calls it, where it is one of the simple ones."""
    for field in ("schemaname", "extname", "defnames", "typeName", "domainname", "sequence", "relation", "pubname"):
        found = getattr(node, field, None)
        if found is not None:
            return last(found)
    return ""


def _opaque(node: Any) -> Iterator[Action]:
    yield Action("opaque", note=f"{type(node).__name__.removesuffix('Stmt')} may do anything")


def _create_table(node: Any) -> Iterator[Action]:
    table = relation(node.relation)
    if node.relation.relpersistence == "t":
        return
    parent = relation(node.inhRelations[0]) if node.partbound else ()
    lock = f"ACCESS EXCLUSIVE on {parent[-1]}, for a moment" if parent else ""
    yield Action("add-table", table, table[-1], lock, makes=("table", table[-1]))


def _create_as(node: Any) -> Iterator[Action]:
    table = relation(node.into.rel)
    if node.into.rel.relpersistence != "t":
        yield Action("add-table", table, table[-1], "ACCESS SHARE on what it reads", makes=("table", table[-1]))


def _index(node: Any) -> Iterator[Action]:
    lock, waits = ("SHARE UPDATE EXCLUSIVE", NOBODY) if node.concurrent else ("SHARE", WRITERS)
    table, name = relation(node.relation), node.idxname or ""
    probe = index_probe(table, index_parts(node), node) if node.unique else None
    yield Action("add-index", table, name, lock, waits, "build", unique=bool(node.unique), probes=some(probe))


def _drop(node: Any) -> Iterator[Action]:
    kind = kind_of(node.removeType)
    for item in node.objects or ():
        name = last(item)
        if kind == "table":
            table = tuple(part.sval for part in item)
            yield Action("drop-table", table, name, "ACCESS EXCLUSIVE", EVERYBODY, drops=("table", name))
        elif kind == "index":
            lock, waits = ("SHARE UPDATE EXCLUSIVE", NOBODY) if node.concurrent else ("ACCESS EXCLUSIVE", EVERYBODY)
            yield Action("drop-index", (), name, f"{lock} on its table", waits)
        elif kind in ("trigger", "policy", "rule"):
            table = tuple(part.sval for part in item[:-1])
            yield Action("drop-object", table, name, "ACCESS EXCLUSIVE", EVERYBODY, drops=(kind, name))
        else:
            yield Action("drop-object", subject=f"{kind} {name}", drops=(kind, name))


def _rename(node: Any) -> Iterator[Action]:
    kind = kind_of(node.renameType)
    table = relation(node.relation) if node.relation else ()
    old = node.subname or (table[-1] if table else last(node.object))
    lock, waits = ("ACCESS EXCLUSIVE", EVERYBODY) if table else ("", NOBODY)
    rule = "set-option" if kind in ("index", "tabconstraint", "trigger", "policy") else "rename"
    yield Action(rule, table, f"{old} to {node.newname}", lock, waits)


def _truncate(node: Any) -> Iterator[Action]:
    for item in node.relations:
        yield Action("truncate", relation(item), item.relname, "ACCESS EXCLUSIVE", EVERYBODY)


def _rows(rule: str) -> Callable[[Any], Iterator[Action]]:
    def changed(node: Any) -> Iterator[Action]:
        table = relation(node.relation)
        yield Action(rule, table, table[-1], _ROW_LOCKS, NOBODY if rule == "insert-rows" else WRITERS, ROWS)

    return changed


def _copy(node: Any) -> Iterator[Action]:
    if node.is_from and node.relation:
        yield Action("insert-rows", relation(node.relation), node.relation.relname, "ROW EXCLUSIVE", work=ROWS)


def _function(node: Any) -> Iterator[Action]:
    kind, name = "procedure" if node.is_procedure else "function", last(node.funcname)
    rule = "replace-object" if node.replace else "add-object"
    yield Action(rule, subject=f"{kind} {name}", makes=(kind, name))


def _view(node: Any) -> Iterator[Action]:
    name = relation(node.view)
    rule = "replace-object" if node.replace else "add-object"
    yield Action(rule, subject=f"view {name[-1]}", makes=("view", name[-1]))


def _trigger(node: Any) -> Iterator[Action]:
    rule = "replace-object" if node.replace else "add-trigger"
    made = ("trigger", node.trigname)
    yield Action(rule, relation(node.relation), node.trigname, "SHARE ROW EXCLUSIVE", WRITERS, makes=made)


def _policy(node: Any) -> Iterator[Action]:
    yield Action("set-option", relation(node.table), node.policy_name, "ACCESS EXCLUSIVE", EVERYBODY)


def _rule(node: Any) -> Iterator[Action]:
    yield Action("add-trigger", relation(node.relation), node.rulename, "ACCESS EXCLUSIVE", EVERYBODY)


def _grant(node: Any) -> Iterator[Action]:
    yield Action("add-object" if node.is_grant else "take-right", subject="a right")


def _move(node: Any) -> Iterator[Action]:
    table = relation(node.relation) if node.relation else ()
    yield Action("rename", table, f"into schema {node.newschema}", "ACCESS EXCLUSIVE", EVERYBODY)


def _select(node: Any) -> Iterator[Action]:
    called = [name for name in functions_in(node.targetList) if name not in _HARMLESS and not name.startswith("pg_")]
    if called and not node.fromClause:
        yield Action("opaque", subject=called[0], note=f"{called[0]} may do anything")


def _rebuild(table: Name, concurrent: bool) -> Action:
    lock, waits = ("SHARE UPDATE EXCLUSIVE", NOBODY) if concurrent else ("ACCESS EXCLUSIVE", EVERYBODY)
    return Action("rebuild", table, table[-1] if table else "", lock, waits, REWRITE)


def _reindex(node: Any) -> Iterator[Action]:
    options = [item.defname for item in node.params or ()]
    yield _rebuild(relation(node.relation) if node.relation else (), "concurrently" in options)


def _cluster(node: Any) -> Iterator[Action]:
    yield _rebuild(relation(node.relation) if node.relation else (), False)


def _vacuum(node: Any) -> Iterator[Action]:
    for item in node.rels or ():
        full = any(option.defname == "full" for option in node.options or ())
        if full:
            yield _rebuild(relation(item.relation), False)


def _refresh(node: Any) -> Iterator[Action]:
    yield _rebuild(relation(node.relation), bool(node.concurrent))


def _lock(node: Any) -> Iterator[Action]:
    for item in node.relations:
        yield Action("opaque", relation(item), item.relname, "as it says", EVERYBODY, note="holds the lock to the end")


def _values(node: Any) -> Iterator[Action]:
    yield Action("modify-column", subject="type", lock="ACCESS EXCLUSIVE on its tables", waits=EVERYBODY, work=SCAN)


_READERS: Mapping[str, Callable[[Any], Iterator[Action]]] = {
    "CreateStmt": _create_table, "CreateTableAsStmt": _create_as, "CreateForeignTableStmt": lambda node: iter(()),
    "IndexStmt": _index, "AlterTableStmt": postgresql_alter.read, "AlterDomainStmt": _values,
    "DropStmt": _drop, "DropRoleStmt": lambda node: iter([Action("take-right", subject="a role")]),
    "RenameStmt": _rename, "AlterObjectSchemaStmt": _move, "TruncateStmt": _truncate,
    "UpdateStmt": _rows("update-rows"), "DeleteStmt": _rows("delete-rows"), "InsertStmt": _rows("insert-rows"),
    "MergeStmt": _rows("update-rows"), "CopyStmt": _copy, "CreateFunctionStmt": _function, "ViewStmt": _view,
    "CreateTrigStmt": _trigger, "CreatePolicyStmt": _policy, "RuleStmt": _rule, "GrantStmt": _grant,
    "SelectStmt": _select, "ReindexStmt": _reindex, "ClusterStmt": _cluster, "RepackStmt": _cluster,
    "VacuumStmt": _vacuum, "RefreshMatViewStmt": _refresh, "LockStmt": _lock,
}  # fmt: skip
