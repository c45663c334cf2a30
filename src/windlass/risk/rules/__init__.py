"""The rules, one a file: each has ``NAME`` and ``judge``, which tells how much an action can hurt."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from windlass.risk.action import Action
from windlass.risk.rules import (
    add_column,
    add_constraint,
    add_index,
    add_object,
    add_table,
    add_trigger,
    attach_partition,
    backfill,
    delete_rows,
    detach_partition,
    drop_column,
    drop_constraint,
    drop_index,
    drop_object,
    drop_table,
    insert_rows,
    modify_column,
    opaque,
    rebuild,
    relax_column,
    rename,
    replace_object,
    require_value,
    set_option,
    take_right,
    truncate,
    update_rows,
    validate_constraint,
)
from windlass.risk.verdict import Verdict

_ALL = (
    add_column,
    add_constraint,
    add_index,
    add_object,
    add_table,
    add_trigger,
    attach_partition,
    backfill,
    delete_rows,
    detach_partition,
    drop_column,
    drop_constraint,
    drop_index,
    drop_object,
    drop_table,
    insert_rows,
    modify_column,
    opaque,
    rebuild,
    relax_column,
    rename,
    replace_object,
    require_value,
    set_option,
    take_right,
    truncate,
    update_rows,
    validate_constraint,
)
JUDGES: Mapping[str, Callable[[Action], Verdict]] = {rule.NAME: rule.judge for rule in _ALL}
