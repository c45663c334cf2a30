"""Searches a database, read-only and for a bounded time, for rows that pending statements would fail on."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..dialects.answers import Search
from ..dialects.link import ServerError
from ..model import Probe, Wire
from ..session import Session

#: How many bad rows are named.
EXAMPLES = 5
#: All searches together may take so many times what one may.
PATIENCE = 6
_LOCK_MS = 1000


def search(session: Session, probes: Sequence[Probe], timeout_ms: int) -> list[Wire]:
    """Return what each probe found, in order.

    ``found`` counts bad rows (or groups of duplicates), -1 where they could not be counted; ``examples`` name some;
    ``unknown`` says why nothing was found out (with ``absent`` where what it is about does not stand yet).  Each search
    may take ``timeout_ms``.  Raise ServerError when the connection is lost.
    """
    until = time.monotonic() + PATIENCE * timeout_ms / 1000
    return [_Search(session, probe, timeout_ms).result(time.monotonic() > until) for probe in probes]


class _Search:
    """One probe under way."""

    def __init__(self, session: Session, probe: Probe, timeout_ms: int) -> None:
        self._session = session
        self._dialect = session.dialect
        self._probe = probe
        self._timeout_ms = timeout_ms

    def result(self, late: bool) -> Wire:
        """Search inside a transaction that cannot write."""
        if late:
            return _unknown("the searches before it used up the time")
        try:
            self._session.run(self._dialect.begin(_LOCK_MS, self._timeout_ms, read_only=True))
            return self._found()
        except ServerError as error:
            if error.lost:
                raise
            if self._dialect.is_timeout(error):
                return _unknown(f"could not be probed in {self._timeout_ms / 1000:g} s")
            if self._dialect.is_bad_value(error):
                return {"found": -1, "examples": [error.message], "unknown": ""}
            return _unknown(f"could not be probed: {error.message}")
        finally:
            self._session.run("ROLLBACK")

    def _found(self) -> Wire:
        probe, link = self._probe, self._session.link
        if probe.kind == "unvalidated":
            standing = self._dialect.unvalidated(link, probe)
            if standing is None:
                return _unknown("the constraint does not stand")
            self._probe = probe = standing
        new = () if probe.kind == "rows" else probe.columns
        for table, columns in ((probe.table, new), (probe.other, probe.other_columns)):
            if table and not self._stands(table, columns):
                return {**_unknown(f"{'.'.join(table)} does not stand as the statement will meet it"), "absent": True}
        if probe.kind == "duplicates":
            return self._duplicates()
        how = self._condition()
        if how.unknown:
            return _unknown(how.unknown)
        if how.attempt:
            self._session.query(f"SELECT count({how.attempt}) FROM {self._name(probe.table)}")
            return {"found": 0, "examples": [], "unknown": ""}
        return self._rows(how.condition)

    def _stands(self, table: tuple[str, ...], columns: Sequence[str]) -> bool:
        link = self._session.link
        return bool(self._dialect.tables(link, [table])) and self._dialect.columns_stand(link, table, columns)

    def _condition(self) -> Search:
        """Return the condition that bad rows meet."""
        probe = self._probe
        column = self._name(probe.columns[:1])
        if probe.kind == "nulls":
            return Search(f"{column} IS NULL")
        if probe.kind == "rows":
            return Search("1 = 1")
        if probe.kind == "violations":
            return Search(f"NOT ({probe.condition})")
        if probe.kind == "orphans":
            return Search(self._orphans())
        return self._dialect.unfit(self._session.link, probe)

    def _orphans(self) -> str:
        probe = self._probe
        theirs = probe.other_columns or self._dialect.key_columns(self._session.link, probe.other)
        own = [f"{self._name(probe.table[-1:])}.{self._name((column,))}" for column in probe.columns]
        pairs = zip(own, theirs)
        match = " AND ".join(f"windlass_other.{self._name((column,))} = {mine}" for mine, column in pairs)
        given = " AND ".join(f"{mine} IS NOT NULL" for mine in own)
        other = self._name(probe.other)
        return f"{given} AND NOT EXISTS (SELECT 1 FROM {other} AS windlass_other WHERE {match})"

    def _rows(self, condition: str) -> Wire:
        """Return some bad rows by their keys, and how many there are."""
        table = self._name(self._probe.table)
        keys = self._dialect.key_columns(self._session.link, self._probe.table) or self._probe.columns
        shown = ", ".join(self._name((key,)) for key in keys) if self._probe.kind != "rows" and keys else "1"
        rows = self._session.query(self._dialect.first_rows(shown, f"{table} WHERE {condition}", EXAMPLES))
        if not rows:
            return {"found": 0, "examples": [], "unknown": ""}
        named = shown != "1"
        examples = [", ".join(f"{k} {v}" for k, v in zip(keys, row)) for row in rows] if named else []
        return {"found": self._count(f"{table} WHERE {condition}"), "examples": examples, "unknown": ""}

    def _duplicates(self) -> Wire:
        """Return some keys that several rows share, and how many such keys there are."""
        probe, keys = self._probe, ", ".join(self._probe.expressions)
        limits = [f"({probe.condition})"] if probe.condition else []
        limits += [] if probe.nulls_equal else [f"{key} IS NOT NULL" for key in probe.expressions]
        where = f" WHERE {' AND '.join(limits)}" if limits else ""
        groups = f"{self._name(probe.table)}{where} GROUP BY {keys} HAVING count(*) > 1"
        rows = self._session.query(self._dialect.first_rows(f"{keys}, count(*)", groups, EXAMPLES))
        if not rows:
            return {"found": 0, "examples": [], "unknown": ""}
        examples = [f"({', '.join(map(str, row[:-1]))}) in {row[-1]} rows" for row in rows]
        count = len(rows)
        if count == EXAMPLES:
            count = self._count(f"(SELECT 1 AS windlass_one FROM {groups}) AS windlass_groups")
        return {"found": count, "examples": examples, "unknown": ""}

    def _count(self, source: str) -> int:
        """Return how many there are; -1 where that takes too long: some were found already."""
        try:
            return int(self._session.query(f"SELECT count(*) FROM {source}")[0][0])
        except ServerError as error:
            if error.lost or not self._dialect.is_timeout(error):
                raise
            return -1

    def _name(self, parts: Sequence[str]) -> str:
        return ".".join(self._dialect.identifier(part) for part in parts)


def _unknown(why: str) -> Wire:
    return {"found": 0, "examples": [], "unknown": why}
