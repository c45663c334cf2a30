"""What a plan will meet: risk, table sizes and rows in the way, asked of the target where something is pending."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from windlass import planning
from windlass.environment import Database
from windlass.lint import findings_of
from windlass.project import Project
from windlass.risk import Assessment, assess, probes
from windlass.telling import drifting
from windlass_engine import dialects
from windlass_engine.errors import WindlassError
from windlass_engine.model import Plan, to_wire
from windlass_engine.rehearsal.weigh import can_weigh


class Outlook:
    """The outlook of one database's plan; ``shown`` is the plan as people see it, which this fills in."""

    def __init__(
        self, database: Database, project: Project, plan: Plan, shown: dict[str, Any], forced: bool = False
    ) -> None:
        """Judge the statements by their texts; ``forced``: the glass is broken, so drift does not stop the plan."""
        self.database = database
        self._forced = forced
        self.shown = shown
        self._plan = plan
        self._dialect = dialects.get(project.engine)
        self._statements = planning.statements(plan)
        self._assessment = Assessment(self._dialect.grammar, self._statements)

    def question(self) -> dict[str, Any]:
        """Return what is to be asked of the database, as it travels to the target."""
        policy = self.database.policy
        weighs = can_weigh(self.database.url, policy.scratch == "allow")
        probing = policy.probes != "false" and "probes" in self._dialect.capabilities
        return {
            "tables": to_wire(self._assessment.tables),
            "probes": to_wire(self._assessment.probes) if probing else [],
            "timeout_ms": policy.probe_timeout,
            "drift": policy.drift != "ignore" and self._plan.direction == "up",
            "statements": [item.sql for item in self._statements] if weighs else None,
        }

    def fill(self, answer: Mapping[str, Any]) -> WindlassError | None:
        """Put risks, warnings and what the probes found into the plan; return what speaks against running it."""
        allows = [dict(step.script.directives.allows) for step in self._plan.steps]
        assess.attach(self.shown["steps"], self._assessment.risks(answer["tables"], answer["ways"]), allows)
        self.shown["risk"] = assess.whole(self.shown["steps"])
        self._attach_ways(answer["ways"])
        self.shown["warnings"] += answer["unknown"]
        found = list(self._found(answer["probes"]))
        self.shown["probes"] = found
        bad = [item for item in found if item["fails"]]
        self.shown["warnings"] += [_told(item) for item in found if item not in bad]
        if bad and self.database.policy.probes == "warn":
            self.shown["warnings"] += [f"would fail: {_told(item)}" for item in bad]
        refusal = self._drifted(answer["drift"])
        return self._refusal(bad) if bad and self.database.policy.probes == "true" else refusal

    def _drifted(self, drift: Mapping[str, Any] | None) -> WindlassError | None:
        """Tell of drift; return the refusal to go on over it where the policy wants that."""
        if drift is None:
            return None
        stops = bool(drift["changes"]) and self.database.policy.drift == "stop"
        self.shown["drift"] = {**drift, "forced": stops and self._forced}
        if stops and not self._forced:
            return drifting.in_the_way(self.database.name, drift)
        if drift["changes"]:
            why = "the policy says drift: stop, and the glass is broken: " if stops else ""
            hint = f"{why}a deployment goes on over it, and takes it for known; see invoke drift"
            self.shown["warnings"].append(f"the schema was {drifting.headline(drift)} ({hint})")
        return None

    def _attach_ways(self, ways: Sequence[Sequence[Mapping[str, Any]]] | None) -> None:
        """Keep what the server said of each statement beside its step."""
        for statement, told in zip(self._statements, ways or (), strict=False):
            facts = self.shown["steps"][statement.step].setdefault("facts", [])
            facts += [{"line": statement.line, **fact} for fact in told]

    def _found(self, answers: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield what each probe found or could not find out; a probe that found nothing is no news."""
        for asked, answer in zip(self._assessment.asked, answers, strict=False):
            text = probes.words(asked.probe, answer)
            if answer.get("absent") or not (text or answer["unknown"]):
                continue  # what does not stand yet is made by a statement before
            statement = self._statements[asked.statement]
            step = self._plan.steps[statement.step]
            yield {
                "migration": step.name,
                "path": step.script.path,
                "line": statement.line,
                "kind": asked.probe.kind,
                "table": ".".join(asked.probe.table),
                "columns": list(asked.probe.columns),
                "found": answer["found"],
                "examples": list(answer["examples"]),
                "text": text or f"{asked.probe.kind} in {'.'.join(asked.probe.table)}: {answer['unknown']}",
                "changed_before": asked.changed_before,
                "fails": bool(text) and not asked.changed_before,
            }

    def _refusal(self, bad: Sequence[Mapping[str, Any]]) -> WindlassError:
        """Return the refusal of a plan that would fail on rows of today."""
        listed = "".join(f"\n  {_told(item)}" for item in bad)
        return WindlassError(
            "would_fail",
            f"{len(bad)} of the pending statements would fail on rows that are there today:{listed}",
            hint="mend the rows, by hand or by a migration before; or let the policy say probes: warn",
            where={"database": self.database.name, "file": bad[0]["path"], "line": bad[0]["line"]},
            detail={"probes": [dict(item) for item in bad]},
        )


def _told(item: Mapping[str, Any]) -> str:
    before = " (statements before it change rows of that table)" if item["changed_before"] and item["found"] else ""
    return f"{item['migration']}, line {item['line']}: {item['text']}{before}"


def add_findings(root: Path, project: Project, plan: Plan, shown: Mapping[str, Any]) -> None:
    """Put what lint finds in the pending migrations to their steps; scripts out of the journal have no file."""
    names = [step.name for step in plan.steps if step.kind == "migration" and step.action in ("apply", "resume")]
    if not names:
        return
    found = findings_of(root, project, names)
    for step, data in zip(plan.steps, shown["steps"], strict=True):
        data["findings"] = [item for item in found if item["path"] == step.script.path]
