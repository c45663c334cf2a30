"""Plans and records of runs, as tests of the gate, of approvals and of evidence need them."""

from __future__ import annotations

from datetime import UTC, datetime

from windlass.environment import Database, merge_policy
from windlass.gate import points
from windlass.records import evidence, record

NOW = datetime(2026, 3, 4, 21, 30, tzinfo=UTC)  # a Wednesday
DIGEST = "ab" * 32
BLOCK = {"table": "t", "blocks": "writes", "mode": "X", "held_ms": 400, "longest_ms": 300}


def step(name="001_a", checksum="v1:1", action="apply", **more):
    return {"action": action, "kind": "migration", "name": name, "checksum": checksum, "proved": True, **more}


def plan(*steps, direction="up", **more):
    return {"digest": DIGEST, "system": "tried", "direction": direction, "steps": list(steps or [step()]), **more}


def run_of(*steps, verb="deploy", environment="staging", applied=None, status="done", failures=(), run_id="r1"):
    """A closed record of one run on one database."""
    run = record.new(verb, environment, run_id)
    names = [item["name"] for item in steps] if applied is None else applied
    checks = [{"name": "stands", "failures": list(failures), "error": ""}]
    data = {"plan": plan(*steps), "run": {"status": "done", "applied": names}, "checks": checks}
    run["hosts"]["db1"] = {"status": "done", "databases": {"d": data}, "error": None, "notes": []}
    return {**run, "digest": DIGEST, "status": status, "finished": NOW.isoformat()}


def keep(root, *steps, **more):
    return evidence.keep(root, run_of(*steps, **more), "the record\n")


def judged(root, gate, steps=(), info=None, now=NOW, whole=None, drift=None):
    policy = merge_policy({"gate": gate})
    database = Database("d", "tried", "postgresql://", policy=policy)
    more = {key: value for key, value in (("risk", whole), ("drift", drift)) if value}
    subject = points.Subject(root, "prod", database, plan(*steps, **more), info or {}, now)
    return {point["point"]: point for point in points.judged(subject)}
