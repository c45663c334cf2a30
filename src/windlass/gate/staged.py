"""Whether the same scripts were deployed and verified in an earlier environment, and how long they stand there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from windlass.records import evidence
from windlass.telling import summary

#: (kind, name, checksum) of a script of one system.
Key = tuple[str, str, str]


def since(root: Path, environment: str, system: str) -> dict[Key, datetime]:
    """Return what stands verified in an environment's databases of a system, and since when.

    Where several of its databases have that system, a script counts from the first that took it.  What was undone
    since does not count, nor does what a run applied whose checks or sample-data tests failed.  Raises
    ``evidence_broken`` when the environment's evidence is not whole.
    """
    evidence.require_whole(root, environment)
    standing: dict[Key, datetime] = {}
    for kept in evidence.read(root, environment):
        bundle = kept.content or {}
        for part in evidence.databases(bundle):
            if part["system"] == system:
                _play(standing, part, evidence.finished(bundle), whole=bundle["status"] == "done")
    return standing


def _play(standing: dict[Key, datetime], part: Mapping[str, Any], at: datetime, *, whole: bool) -> None:
    """Let one run's part change what stands."""
    applied = set(part["run"].get("applied") or ())
    for step in part["plan"]["steps"]:
        key = (step["kind"], step["name"], step["checksum"])
        if step["name"] not in applied:
            continue
        _forget(standing, step["kind"], step["name"], but=None if step["action"] == "revert" else key)
        if (
            step["action"] in ("apply", "reapply", "resume")
            and whole
            and all(map(summary.check_passed, part["checks"]))
        ):
            standing.setdefault(key, at)


def _forget(standing: dict[Key, datetime], kind: str, name: str, but: Key | None) -> None:
    for key in [key for key in standing if key[:2] == (kind, name) and key != but]:
        del standing[key]
