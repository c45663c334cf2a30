"""Query baselines: how long a system's known queries take, and which tables they read from end to end.

Before and after a change these are compared: a query that now reads a large table whole, or takes much longer, is a
finding.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from ..dialects.link import ServerError
from ..model import Script, Wire
from ..session import Session

#: A query is timed so often, and the best time counts: the first one warms the cache.
TIMES = 3
#: It may take so long before it is given up (milliseconds).
PATIENCE_MS = 15_000
#: Reading a table of fewer rows from end to end is right.
MANY_ROWS = 1000
#: So many times slower is a finding, if it is also so many milliseconds.
RATIO, FLOOR_MS = 2.0, 5.0


def measure(session: Session, scripts: Sequence[Script]) -> list[Wire]:
    """Return ``{name, ms, scans, error}`` of each query: its best time, and the large tables that it reads whole.

    They run in a transaction that cannot write and is rolled back.
    """
    return [_measured(session, script) for script in scripts]


def compare(before: Sequence[Wire], after: Sequence[Wire]) -> list[Wire]:
    """Return ``{name, before_ms, after_ms, scans, finding}`` of each query that both have."""
    earlier = {query["name"]: query for query in before}
    return [_compared(earlier[query["name"]], query) for query in after if query["name"] in earlier]


def _measured(session: Session, script: Script) -> Wire:
    name = script.path.rsplit("/", 1)[-1]
    sql = script.sql(script.statements[0])
    try:
        session.run(session.dialect.begin(0, PATIENCE_MS, read_only=True))
        best = min(_timed(session, sql) for _ in range(TIMES))
        scans = [table for table, rows in session.dialect.full_scans(session.link, sql) if rows >= MANY_ROWS]
        return {"name": name, "ms": round(best * 1000, 2), "scans": sorted(set(scans)), "error": ""}
    except ServerError as error:
        return {"name": name, "ms": 0.0, "scans": [], "error": error.message}
    finally:
        _end(session)


def _timed(session: Session, sql: str) -> float:
    began = time.monotonic()
    session.query(sql)
    return time.monotonic() - began


def _end(session: Session) -> None:
    try:
        session.run("ROLLBACK")
    except ServerError:
        return  # what it was, the next query meets again


def _compared(before: Wire, after: Wire) -> Wire:
    return {
        "name": after["name"],
        "before_ms": before["ms"],
        "after_ms": after["ms"],
        "scans": after["scans"],
        "finding": "; ".join(_findings(before, after)),
    }


def _findings(before: Wire, after: Wire) -> Iterator[str]:
    if after["error"] and not before["error"]:
        yield f"it fails now: {after['error']}"
    new = sorted(set(after["scans"]) - set(before["scans"]))
    if new and not before["error"]:
        yield f"it now reads {', '.join(new)} from end to end"
    slower = after["ms"] - before["ms"]
    if before["ms"] and slower > FLOOR_MS and after["ms"] > before["ms"] * RATIO:
        yield f"it takes {after['ms']:g} ms, {before['ms']:g} ms before"
