"""Which tables a query reads from end to end, as the optimizer says (it needs the right SHOWPLAN)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from xml.etree import ElementTree

from ..link import Link, ServerError

_SPACE = "{http://schemas.microsoft.com/sqlserver/2004/07/showplan}"
_SCANS = ("Table Scan", "Clustered Index Scan", "Index Scan", "Columnstore Index Scan")
#: Each must be alone in its batch, so none is joined with Windlass's own.
_ON, _OFF = "SET SHOWPLAN_XML ON", "SET SHOWPLAN_XML OFF"


def full_scans(link: Link, sql: str) -> Iterator[tuple[str, int]]:
    """Yield (table, rows by the statistics) of each scan.  Raise ServerError."""
    link.run(_ON)
    try:
        answer = link.query(sql)
    finally:
        with suppress(ServerError):  # what it was, is on its way already
            link.run(_OFF)
    for row in answer:
        yield from read(str(row[0]))


def read(plan: str) -> Iterator[tuple[str, int]]:
    """Yield the scans of a plan.  Raise ServerError for what is no plan."""
    try:
        tree = ElementTree.fromstring(plan)
    except ElementTree.ParseError:
        raise ServerError("the server gives no plan for a query") from None
    for step in tree.iter(f"{_SPACE}RelOp"):
        # The object stands right below the step's own operator; further down others begin.
        table = step.find(f"{_SPACE}*/{_SPACE}Object") if step.get("PhysicalOp") in _SCANS else None
        if table is not None and not table.get("Table", "").startswith(("[#", "[@")):
            parts = [_bare(table.get(part, "")) for part in ("Schema", "Table")]
            rows = step.get("TableCardinality") or step.get("EstimatedRowsRead") or step.get("EstimateRows") or "0"
            yield ".".join(part for part in parts if part), round(float(rows))


def _bare(name: str) -> str:
    return name[1:-1].replace("]]", "]") if name.startswith("[") else name
