"""ALTER TABLE of PostgreSQL, action by action: its lock, and whether it reads or rewrites the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from windlass.risk.action import BUILD, CATALOGUE, EVERYBODY, NOBODY, REWRITE, SCAN, WRITERS, Action, Name, some
from windlass.risk.reading.postgresql_names import columns_in, functions_in, last, quoted, relation, text
from windlass_engine.model import Probe

_ALL = "ACCESS EXCLUSIVE"
_ONLINE = "SHARE UPDATE EXCLUSIVE"
_REFERENCE = "SHARE ROW EXCLUSIVE"
#: Functions whose value is settled once for all rows: a default of theirs needs no rewrite.
_SETTLED = frozenset({"now", "transaction_timestamp", "statement_timestamp", "current_setting", "timezone",
                      "date_trunc", "to_char", "lower", "upper", "concat", "coalesce", "jsonb_build_object",
                      "jsonb_build_array", "json_build_object", "make_interval", "to_timestamp"})  # fmt: skip
_SERIAL = frozenset({"serial", "bigserial", "smallserial", "serial4", "serial8", "serial2"})


def read(node: Any) -> Iterator[Action]:
    """Yield each action of an ALTER TABLE (INDEX, VIEW, SEQUENCE …)."""
    from pglast import enums

    table = relation(node.relation)
    for command in node.cmds:
        kind = enums.AlterTableType(command.subtype).name.removeprefix("AT_")
        yield from _COMMANDS.get(kind, _other)(table, command)


def _other(table: Name, command: Any) -> Iterator[Action]:
    yield Action("set-option", table, command.name or "", _ALL, EVERYBODY)


def _light(table: Name, command: Any) -> Iterator[Action]:
    yield Action("set-option", table, command.name or "", _ONLINE, NOBODY)


def _rewrites(table: Name, command: Any) -> Iterator[Action]:
    yield Action("rebuild", table, command.name or "", _ALL, EVERYBODY, REWRITE)


def _constraints(column: Any) -> dict[str, Any]:
    """Return a new column's constraints by kind."""
    from pglast import enums

    found = {}
    for item in column.constraints or ():
        found[enums.ConstrType(item.contype).name.removeprefix("CONSTR_")] = item
    return found


def _add_column(table: Name, command: Any) -> Iterator[Action]:
    column = command.def_
    name, limits = column.colname, _constraints(column)
    default = limits.get("DEFAULT")
    filled = last(column.typeName) in _SERIAL or "IDENTITY" in limits or "GENERATED" in limits
    rewrite = filled or bool(default and any(f not in _SETTLED for f in functions_in(default.raw_expr)))
    bare = ("NOTNULL" in limits or "PRIMARY" in limits) and not (default or filled)
    probe = Probe("rows", table, (name,)) if bare else None
    yield Action(
        "add-column", table, name, _ALL, EVERYBODY, REWRITE if rewrite else CATALOGUE, bare, probes=some(probe)
    )
    for kind in ("UNIQUE", "PRIMARY", "FOREIGN", "CHECK"):
        if kind in limits:
            yield from _constraint(table, limits[kind], kind, (name,))


def _drop_column(table: Name, command: Any) -> Iterator[Action]:
    yield Action("drop-column", table, command.name, _ALL, EVERYBODY)


def _type(table: Name, command: Any) -> Iterator[Action]:
    column = command.def_
    using = text(column.raw_default) if column.raw_default else ""
    probe = Probe("unfit", table, (command.name,), type=text(column.typeName), expressions=(using,) if using else ())
    yield Action("modify-column", table, command.name, _ALL, EVERYBODY, REWRITE, probes=some(probe))


def _set_not_null(table: Name, command: Any) -> Iterator[Action]:
    probe = Probe("nulls", table, (command.name,))
    yield Action("require-value", table, command.name, _ALL, EVERYBODY, SCAN, True, probes=some(probe))


def _relax(table: Name, command: Any) -> Iterator[Action]:
    yield Action("relax-column", table, command.name, _ALL, EVERYBODY)


def _add_constraint(table: Name, command: Any) -> Iterator[Action]:
    from pglast import enums

    kind = enums.ConstrType(command.def_.contype).name.removeprefix("CONSTR_")
    yield from _constraint(table, command.def_, kind, ())


def _constraint(table: Name, node: Any, kind: str, own: Name) -> Iterator[Action]:
    """Yield a constraint of a table, or of its new column ``own``, which holds nothing yet."""
    name = node.conname or kind.lower()
    if kind in ("UNIQUE", "PRIMARY"):
        yield _unique(table, node, name, own)
    elif kind == "FOREIGN":
        yield _foreign(table, node, name, own)
    else:
        later = bool(node.skip_validation) or bool(own)
        condition = text(node.raw_expr) if kind == "CHECK" else ""
        read_columns = columns_in(node.raw_expr)
        probe = Probe("violations", table, read_columns, condition=condition) if condition and not later else None
        if kind == "NOTNULL" and not later:
            probe = Probe("nulls", table, tuple(item.sval for item in node.keys or ()))
        yield Action(
            "add-constraint", table, name, _ALL, EVERYBODY, CATALOGUE if later else SCAN, True, probes=some(probe)
        )


def _unique(table: Name, node: Any, name: str, own: Name) -> Action:
    if node.indexname:
        return Action("add-constraint", table, name, _ALL, EVERYBODY, required=True)
    columns = own or tuple(item.sval for item in node.keys or ())
    keys = tuple(map(quoted, columns))
    probe = Probe("duplicates", table, columns, expressions=keys, nulls_equal=bool(node.nulls_not_distinct))
    return Action("add-constraint", table, name, _ALL, EVERYBODY, BUILD, True, True, probes=() if own else (probe,))


def _foreign(table: Name, node: Any, name: str, own: Name) -> Action:
    other = relation(node.pktable)
    columns = own or tuple(item.sval for item in node.fk_attrs or ())
    keys = tuple(item.sval for item in node.pk_attrs or ())
    later = bool(node.skip_validation) or bool(own)
    probe = None if later else Probe("orphans", table, columns, other=other, other_columns=keys)
    lock = f"{_REFERENCE}, also on {other[-1]}"
    return Action("add-constraint", table, name, lock, WRITERS, CATALOGUE if later else SCAN, True, probes=some(probe))


def _validate(table: Name, command: Any) -> Iterator[Action]:
    probe = Probe("unvalidated", table, (command.name,))
    yield Action("validate-constraint", table, command.name, _ONLINE, NOBODY, SCAN, probes=some(probe))


def _drop_constraint(table: Name, command: Any) -> Iterator[Action]:
    yield Action("drop-constraint", table, command.name, _ALL, EVERYBODY)


def _attach(table: Name, command: Any) -> Iterator[Action]:
    yield Action("attach-partition", table, command.def_.name.relname, _ONLINE, NOBODY, SCAN)


def _detach(table: Name, command: Any) -> Iterator[Action]:
    lock, waits = (_ONLINE, NOBODY) if command.def_.concurrent else (_ALL, EVERYBODY)
    yield Action("detach-partition", table, command.def_.name.relname, lock, waits)


_COMMANDS: Mapping[str, Callable[[Name, Any], Iterator[Action]]] = {
    "AddColumn": _add_column, "DropColumn": _drop_column, "AlterColumnType": _type, "SetNotNull": _set_not_null,
    "DropNotNull": _relax, "ColumnDefault": _relax, "SetStatistics": _light, "SetStorage": _other,
    "AddConstraint": _add_constraint, "ValidateConstraint": _validate, "DropConstraint": _drop_constraint,
    "AddIndexConstraint": _add_constraint, "AttachPartition": _attach, "DetachPartition": _detach,
    "DetachPartitionFinalize": _detach, "SetRelOptions": _light, "ResetRelOptions": _light, "SetOptions": _light,
    "ClusterOn": _light, "DropCluster": _light, "SetLogged": _rewrites, "SetUnLogged": _rewrites,
    "SetAccessMethod": _rewrites, "SetTableSpace": _rewrites, "AddIdentity": _relax, "DropIdentity": _relax,
    "DropExpression": _relax, "SetExpression": _rewrites,
}  # fmt: skip
