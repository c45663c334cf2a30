"""Rehearsals: the pending plan on a copy of the real data, forth, back and forth again, with its cost measured.

The copy is restored from a backup into a scratch database, the plan runs there through the very code that deploys, and
the scratch database is dropped at the end, whatever happened.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from .. import journal
from .. import plan as planner
from ..backups import restore
from ..backups.trial import scratch_place
from ..checking import queries, verify
from ..dialects.answers import Volumes
from ..errors import WindlassError
from ..model import Journal, Options, Plan, Script, Target, Wire, to_wire
from ..project import script
from ..running import execute
from ..running.execute import Emit
from ..schema import introspect
from ..schema.introspect import Schema
from ..session import connect
from .gauging import Gauging, longest_block
from .load import Workload
from .scales import Scales
from .statements import Ran, Statements
from .waiting import Waits

#: Differences that are told; the rest is counted.
MOST_LINES = 40


@dataclass(frozen=True)
class Rehearsal:
    """What is rehearsed: the ``plan`` on a copy out of the backup at ``path``.

    ``load`` are statements to run meanwhile, by ``workers`` sessions; ``checks`` and ``samples`` run after the plan;
    ``queries`` are timed and explained before and after it.
    """

    path: str
    plan: Plan
    checks: Sequence[Script] = ()
    samples: Sequence[Script] = ()
    load: Sequence[Script] = ()
    queries: Sequence[Script] = ()
    workers: int = 4
    client_bin: str = ""
    identity: str = ""


def run(server: Target, rehearsal: Rehearsal, options: Options, emit: Emit) -> Wire:
    """Rehearse on ``server``; return what was measured and, in ``failed``, why the plan should not run.

    Returns ``{backup, rows, restore_ms, parts, checks, samples, load, queries, failed, duration_ms}``.  ``parts`` are
    the plan, the way back and the plan again, each ``{what, duration_ms, statements, locks, lock_note, unseen_ms,
    blocked, log_bytes, temporary_bytes, growth, growth_note, longest_block, differences, error}``.

    Raises WindlassError for what says nothing about the plan: no login, no room, a backup that does not restore, or
    one of another state than the plan is for (``plan_stale``).
    """
    began = time.monotonic()
    with scratch_place(server) as (name, copy):
        restored = restore.beside(
            server, rehearsal.path, name, rehearsal.client_bin, 0, _restoring(emit), rehearsal.identity
        )
        stage = _Stage(copy, rehearsal, replace(options, check_mode=False, allow_data_loss=True), emit)
        stage.play()
    return {
        "backup": restored["backup"],
        "rows": restored["total_rows"],
        "restore_ms": restored["duration_ms"],
        **stage.result(),
        "duration_ms": int((time.monotonic() - began) * 1000),
    }


def _restoring(emit: Emit) -> Emit:
    """Return an emit that passes on how the restore goes."""
    return lambda event: emit(event) if str(event["event"]).startswith("restore_") else None


class _Stage:
    """One rehearsal under way, on its copy."""

    def __init__(self, copy: Target, rehearsal: Rehearsal, options: Options, emit: Emit) -> None:
        """Nothing has run yet."""
        self._copy = copy
        self._rehearsal = rehearsal
        self._options = options
        self._emit = emit
        self._parts: list[Wire] = []
        self._checks: list[Wire] = []
        self._samples: list[Wire] = []
        self._load: Wire = {}
        self._under_load: Optional[tuple[float, Waits]] = None
        self._queries: list[Wire] = []
        self._failed: list[str] = []

    def result(self) -> Wire:
        """Return what was measured and found."""
        return {
            "parts": self._parts,
            "checks": self._checks,
            "samples": self._samples,
            "load": self._load,
            "queries": self._queries,
            "failed": "; ".join(self._failed),
        }

    def play(self) -> None:
        """Go forth, test, back, and forth again; what fails ends the play."""
        before, asked = self._schema(), self._measured()
        plan = self._for_the_copy()
        with Workload(self._copy, self._rehearsal.load, self._rehearsal.workers) as load:
            went = self._part("the plan", plan, load if self._rehearsal.load else None)
        self._load = load.result()
        if self._under_load:
            began, waits = self._under_load
            self._load.update({"plan_at_ms": round((began - load.zero) * 1000), "waits": waits.told()})
        if not went:
            return
        after = self._schema()
        self._queries = queries.compare(asked, self._measured())
        self._test()
        back = self._way_back(plan)
        if back is None or not self._part("the way back", back):
            return
        lasting = any(step.kind == "repeatable" for step in plan.steps)
        self._compare("the way back does not lead to the schema of before", before, hard=not lasting)
        if self._part("the plan again", replace(plan, journal_head=self._journal().head)):
            self._compare("the second time gives another schema", after)

    def _for_the_copy(self) -> Plan:
        """Return the plan.  Raise WindlassError (plan_stale) when the backup is of another state."""
        head = self._journal().head
        if head != self._rehearsal.plan.journal_head:
            raise WindlassError(
                "plan_stale", "the newest backup is of another state than the plan: migrations ran since",
                hint="make a new one, then rehearse again: invoke backup --env ENV",
                where={"database": self._copy.name},
            )  # fmt: skip
        return self._rehearsal.plan

    def _way_back(self, plan: Plan) -> Optional[Plan]:
        """Return what undoes the plan's migrations, None where it has none or one of them cannot be undone."""
        names = [step.name for step in plan.steps if step.kind == "migration"]
        if not names or not all(step.reversible for step in plan.steps if step.kind == "migration"):
            return None
        with connect(self._copy, "windlass rehearsal") as session:
            standing = journal.read(session, names)
            split = session.dialect.split
        return planner.plan_down(
            standing, lambda text, path: script.load(text.encode(), path, split, kind="down"),
            system=plan.system, host=plan.host, database=plan.database, names=names,
        )  # fmt: skip

    # ------------------------------------------------------------ one run, measured

    def _part(self, what: str, plan: Plan, load: Optional[Workload] = None) -> bool:
        """Run a plan as a deployment does and measure it; return whether it ended well."""
        self._emit({"event": "rehearsal_part", "database": self._copy.name, "what": what})
        sizes, done = self._volumes(), Statements()
        began = time.monotonic()
        with Scales(self._copy) as scales, Gauging(self._copy, load is not None, scales.net) as seen:
            at_work = time.monotonic()
            error = self._run(plan, done, scales)
        ended = time.monotonic()
        if load:
            self._under_load = (began, Waits(seen, done, load))
        later = self._volumes()
        seen.standing = _standing(sizes.tables, later.tables)
        part: Wire = {
            "what": what,
            "duration_ms": int(scales.net(began, ended) * 1000),
            "statements": [_measured(ran, began, seen, scales) for ran in done.done],
            "locks": seen.locks(),
            "lock_note": seen.note,
            "unseen_ms": round(seen.unseen_s(at_work, ended) * 1000),
            "blocked": _blocked(seen, began),
            "log_bytes": seen.log_bytes(began, ended),
            "temporary_bytes": _temporary(seen.temporary_bytes(began, ended), scales, sizes, later),
            "growth": _growth(sizes.tables, later.tables),
            "growth_note": scales.note,
            "differences": [],
            "error": error,
        }
        part["longest_block"] = longest_block(part["locks"])
        self._parts.append(part)
        if error:
            self._failed.append(f"{what} fails: {error}")
        return not error

    def _run(self, plan: Plan, done: Statements, scales: Scales) -> str:
        """Return what went wrong, or an empty string."""
        try:
            result = execute.run(self._copy, plan, self._options, done, scales)
        except WindlassError as error:
            return str(error)
        return str(WindlassError.from_wire(result["error"])) if result["error"] else ""

    def _compare(self, what: str, expected: Schema, hard: bool = True) -> None:
        """Keep how the schema differs from what is expected; only a ``hard`` difference speaks against the plan."""
        lines = introspect.difference(expected, self._schema())
        more = [f"and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
        self._parts[-1]["differences"] = [*lines[:MOST_LINES], *more]
        if lines and hard:
            self._failed.append(f"{what}: {lines[0]}")

    def _test(self) -> None:
        """Run the verify scripts, standing checks and sample-data tests."""
        verifies = [step.verify for step in self._rehearsal.plan.steps if step.verify]
        self._checks = self._results([*verifies, *self._rehearsal.checks], "check")
        self._samples = self._results(self._rehearsal.samples, "sample")
        bad = [each for each in (*self._checks, *self._samples) if each["failures"] or each["error"]]
        if bad:
            self._failed.append(f"{len(bad)} checks fail after it, the first: {bad[0]['name']}")

    def _results(self, scripts: Sequence[Script], kind: str) -> list[Wire]:
        return [to_wire(each) for each in verify.run_checks(self._copy, scripts, kind, True)] if scripts else []

    def _measured(self) -> list[Wire]:
        """Return what the system's known queries cost now."""
        with connect(self._copy, "windlass rehearsal") as session:
            return queries.measure(session, self._rehearsal.queries)

    def _schema(self) -> Schema:
        with connect(self._copy, "windlass rehearsal") as session:
            return introspect.snapshot(session)

    def _journal(self) -> Journal:
        with connect(self._copy, "windlass rehearsal") as session:
            return journal.read(session)

    def _volumes(self) -> Volumes:
        with connect(self._copy, "windlass rehearsal") as session:
            able = "gauges" in session.dialect.capabilities
            return session.dialect.volumes(session.link) if able else Volumes({}, None)


def _measured(ran: Ran, began: float, seen: Gauging, scales: Scales) -> Wire:
    """Return a statement with its duration, its rows, the log written meanwhile and what it left behind.

    ``at_ms`` counts from ``began``.
    """
    key, by_looks = (ran.migration, ran.statement), seen.temporary_bytes(ran.begin, ran.end)
    return {
        "migration": ran.migration,
        "statement": ran.statement,
        "line": ran.line,
        "sql": ran.sql,
        "at_ms": max(round((ran.begin - began) * 1000), 0),
        "duration_ms": round(scales.net(ran.begin, ran.end) * 1000),
        "rows": ran.rows,
        "log_bytes": seen.log_bytes(ran.begin, ran.end),
        "temporary_bytes": scales.temporary.get(key) if by_looks is None else by_looks,
        "growth": scales.growth.get(key),
    }


def _blocked(seen: Gauging, began: float) -> list[Wire]:
    """Return when which table kept others waiting: ``{table, blocks, from_ms, to_ms}``, counted from ``began``."""
    spans = [span for span in seen.spans() if span.lock.blocks]
    return [
        {
            "table": span.lock.table,
            "blocks": span.lock.blocks,
            "from_ms": max(round((span.begin - began) * 1000), 0),
            "to_ms": round((span.end - began) * 1000),
        }
        for span in sorted(spans, key=lambda span: -span.length)[:MOST_LINES]
    ]


def _standing(before: Collection[str], later: Collection[str]) -> Optional[frozenset[str]]:
    """Return the tables that stood before a run, in lower case; None where some are gone: they may have a new name."""
    return frozenset(map(str.lower, before)) if set(before) <= set(later) else None


def _temporary(by_looks: Optional[int], scales: Scales, before: Volumes, later: Volumes) -> Optional[int]:
    """Return the temporary space of a run: by the looks meanwhile, or by what was counted before and after it."""
    if later.temporary is None or before.temporary is None:
        return by_looks
    # The counter also has what is between the statements, and may not have the last of them yet.
    return max(later.temporary - before.temporary, scales.temporary_of_known())


def _growth(before: dict[str, int], later: dict[str, int]) -> dict[str, int]:
    """Return by how many bytes each table that changed its size grew, with its indexes."""
    names = sorted(before.keys() | later.keys())
    changes = {name: later.get(name, 0) - before.get(name, 0) for name in names}
    return {name: change for name, change in changes.items() if change}
