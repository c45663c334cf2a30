"""From pending statements and what stands to a class of risk for each, as plain data for plan, record and report."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from windlass.risk import estimate, probes, reading
from windlass.risk.action import CATALOGUE, NOBODY, Action
from windlass.risk.rules import JUDGES
from windlass.risk.verdict import CLASSES, HARD, NO, YES, ZERO, Verdict
from windlass_engine.model import Probe, TableFacts

_REVERSIBLE = (YES, HARD, NO)


@dataclass(frozen=True)
class Pending:
    """One statement that will run: the number of its step, its line and its text."""

    step: int
    line: int
    sql: str
    backfill: bool = False
    data: bool = False


class Assessment:
    """What one database's pending statements do.  ``grammar`` names their language."""

    def __init__(self, grammar: str, statements: Sequence[Pending]) -> None:
        """Read the statements; nothing is known of the database yet."""
        self._statements = statements
        self._actions = [_actions(grammar, item) for item in statements]
        flat = [(number, action) for number, actions in enumerate(self._actions) for action in actions]
        self.asked = probes.asked(flat)

    @property
    def tables(self) -> list[tuple[str, ...]]:
        """Return the tables that statements work on."""
        return sorted({action.table for actions in self._actions for action in actions if action.table})

    @property
    def probes(self) -> list[Probe]:
        """Return the searches for rows that statements would fail on."""
        return [item.probe for item in self.asked]

    def risks(
        self, tables: Mapping[str, Mapping[str, Any]], ways: Sequence[Sequence[Mapping[str, Any]]] | None = None
    ) -> list[tuple[int, dict[str, Any]]]:
        """Return (step, risk) of each part of each statement.

        ``tables`` are those that stand, ``ways`` what the server said of each statement, where it was asked.
        """
        facts = {name: TableFacts(**data) for name, data in tables.items()}
        new = {action.table_name for actions in self._actions for action in actions if action.rule == "add-table"}
        made, gone = self._numbers("makes"), self._numbers("drops")
        helpers = {name for name, last in made.items() if gone.get(name, -1) > last}
        found = []
        for number, (statement, actions) in enumerate(zip(self._statements, self._actions, strict=True)):
            said = list(ways[number]) if ways is not None else []
            for action in actions:
                at_work = _as_said(action, said)
                fresh = action.table_name in new - facts.keys()
                verdict = Verdict(ZERO) if fresh else _judged(at_work, made, helpers)
                risk = _risk(replace(at_work, waits=NOBODY, note="") if fresh else at_work, verdict, facts, fresh)
                found.append((statement.step, {"line": statement.line, **risk}))
        return found

    def _numbers(self, what: str) -> dict[tuple[str, str], int]:
        """Return the last statement that makes (or drops) each function, view or trigger."""
        return {
            getattr(action, what): number
            for number, actions in enumerate(self._actions)
            for action in actions
            if getattr(action, what)
        }


def _actions(grammar: str, statement: Pending) -> tuple[Action, ...]:
    if statement.data:
        return (Action("insert-rows"),)
    found = reading.read(grammar, statement.sql)
    return tuple(replace(action, rule="backfill", waits=NOBODY) for action in found) if statement.backfill else found


def _as_said(action: Action, said: list[Mapping[str, Any]]) -> Action:
    """Return an action as the server itself says that it will be done."""
    if not said:
        return action
    from windlass.risk.reading import mysql, tsql  # and with them the parsers of engines that most plans are not for

    meant = {**mysql.SAID, **tsql.SAID}
    for fact in said:
        way = str(fact["way"]).removesuffix(", as the script demands")
        if fact["table"] != action.table_name or fact.get("subject") not in ("", None, action.subject):
            continue
        if way in meant:
            lock, waits, work = meant[way]
            return replace(action, lock=lock, waits=waits, work=work, note=str(fact["note"]))
        if fact["note"]:
            return replace(action, note=str(fact["note"]))
    return action


def _judged(action: Action, made: Collection[tuple[str, str]], helpers: Collection[tuple[str, str]]) -> Verdict:
    """Return the verdict of an action's rule; what this very plan makes may go again, or is made anew."""
    if action.rule == "drop-object" and action.drops in helpers:
        return Verdict(ZERO)
    if action.rule == "drop-object" and action.drops in made:
        return JUDGES["replace-object"](action)
    return JUDGES[action.rule](action)


def _risk(action: Action, verdict: Verdict, facts: Mapping[str, TableFacts], fresh: bool) -> dict[str, Any]:
    table = None if fresh else facts.get(action.table_name)
    took = estimate.milliseconds(action, table)
    return {
        "rule": action.rule,
        "class": estimate.raised(verdict.level, action, took),
        "breaking": verdict.breaking,
        "reversible": verdict.reversible,
        "data_loss": verdict.data_loss,
        "table": action.table_name,
        "new_table": fresh,
        "subject": action.subject,
        "lock": action.lock,
        "waits": action.waits,
        "downtime": action.waits != NOBODY and action.work != CATALOGUE and verdict.level != ZERO,
        "estimate_ms": took,
        "rows": table.rows if table else 0,
        "bytes": table.bytes if table else 0,
        "reads_s": table.reads_s if table else -1.0,
        "writes_s": table.writes_s if table else -1.0,
        "note": action.note,
        "allowed": "",
    }


def attach(
    steps: Sequence[dict[str, Any]],
    risks: Sequence[tuple[int, dict[str, Any]]],
    allows: Sequence[Mapping[str, str]],
) -> None:
    """Put each risk to its step, with the reason why the step's script allows its rule."""
    for number, risk in risks:
        reason = allows[number].get(risk["rule"], "")
        last = {} if steps[number].get("reversible", True) else {"reversible": NO}
        steps[number].setdefault("risks", []).append({**risk, "allowed": reason, **last})


def whole(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the risk of a whole plan: of each trait the worst; None where nothing was judged.

    ``open_class`` leaves out what scripts allow with a reason.
    """
    found = [risk for step in steps for risk in step.get("risks") or ()]
    if not found:
        return None
    return {
        "class": _worst(found),
        "open_class": _worst(risk for risk in found if not risk["allowed"]),
        "breaking": any(risk["breaking"] for risk in found),
        "reversible": max((risk["reversible"] for risk in found), key=_REVERSIBLE.index),
        "data_loss": any(risk["data_loss"] for risk in found),
    }


def _worst(risks: Any) -> str:
    levels: Iterator[str] = (risk["class"] for risk in risks)
    return max(levels, key=CLASSES.index, default=ZERO)
