"""Which tables a query reads from end to end, as the planner says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..link import Link
from .text import literal

_ROWS = """
SELECT greatest(coalesce(sum(c.reltuples), 0), 0)::int8 FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {schema} AND c.relname = {name}
"""


def full_scans(link: Link, sql: str) -> Iterator[tuple[str, int]]:
    """Yield (table, rows by the statistics) of each sequential scan.  Raise ServerError."""
    answer = link.query(f"EXPLAIN (VERBOSE, FORMAT JSON) {sql}")[0][0]
    plans = json.loads(answer) if isinstance(answer, str) else answer
    for node in _nodes(plans[0]["Plan"]):
        if node["Node Type"] == "Seq Scan":
            schema, name = node.get("Schema", ""), node["Relation Name"]
            rows = link.query(_ROWS.format(schema=literal(schema), name=literal(name)))[0][0]
            yield f"{schema}.{name}", int(rows)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)
