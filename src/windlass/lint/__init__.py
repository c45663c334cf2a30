"""Lint: what is risky in a system's migrations, before any server is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from windlass.lint import squawk
from windlass.lint.finding import ERROR, WARNING, Finding, Subject
from windlass.lint.rules import ALL
from windlass.project import load
from windlass_engine import dialects
from windlass_engine.errors import WindlassError

__all__ = ["ERROR", "WARNING", "Finding", "lint"]


def lint(root: Path, system: str, migration: str = "") -> list[Finding]:
    """Return the findings in a system's migrations (or one), by file and line.

    Raises WindlassError ``project_invalid`` for scripts that cannot be read, ``usage`` for an unknown migration.
    """
    project = load(root, system, parse="all")
    dialect = dialects.get(project.engine)
    subjects = [Subject(item, dialect) for item in project.migrations if migration in ("", item.name)]
    if migration and not subjects:
        known = ", ".join(item.name for item in project.migrations)
        raise WindlassError("usage", f"{system} has no migration {migration}", hint=f"there are: {known}")
    found = [finding for subject in subjects for finding in _own(subject)]
    if "squawk" in dialect.capabilities:
        found += squawk.findings(root, subjects)
    reasons = _reasons(subjects)
    allowed = (replace(item, allowed=reasons.get((item.path, _short(item.rule)), "")) for item in found)
    return sorted(allowed, key=lambda finding: (finding.path, finding.line, finding.rule))


def _own(subject: Subject) -> Iterator[Finding]:
    for rule in ALL:
        for script, line, message, hint in rule.check(subject):
            yield Finding(rule.NAME, rule.SEVERITY, script.path, line, message, hint)


def _short(rule: str) -> str:
    return rule.removeprefix("squawk/")


def _reasons(subjects: list[Subject]) -> dict[tuple[str, str], str]:
    """Return why scripts allow what rules find, by path and rule."""
    scripts = [part for s in subjects for part in (s.migration.up, s.migration.down, s.migration.verify) if part]
    return {(script.path, rule): reason for script in scripts for rule, reason in script.directives.allows}
