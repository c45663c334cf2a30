"""Lint: what is risky in a system's migrations, before any server is asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from windlass.lint import squawk
from windlass.lint.finding import ERROR, WARNING, Finding, Subject
from windlass.lint.rules import ALL
from windlass.project import Project, load
from windlass_engine import dialects
from windlass_engine.dialects.base import Dialect
from windlass_engine.errors import WindlassError
from windlass_engine.project.view import Migration

__all__ = ["ERROR", "WARNING", "Finding", "findings_of", "lint"]


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
    return _findings(root, dialect, subjects)


def findings_of(root: Path, project: Project, names: Collection[str]) -> list[dict[str, Any]]:
    """Return the findings in some of a project's migrations as plain data; those of squawk only where it is there."""
    dialect = dialects.get(project.engine)
    whole = [_whole(project, item) for item in project.migrations if item.name in names]
    subjects = [Subject(item, dialect) for item in whole]
    try:
        found = _findings(root, dialect, subjects)
    except (WindlassError, OSError):
        found = _judged(subjects, [finding for subject in subjects for finding in _own(subject)])
    return [asdict(finding) for finding in found]


def _whole(project: Project, item: Migration) -> Migration:
    """Return a migration with the statements of its scripts."""
    down, verify = (project.full(part) if part else None for part in (item.down, item.verify))
    return Migration(item.name, project.full(item.up), down, verify)


def _findings(root: Path, dialect: Dialect, subjects: list[Subject]) -> list[Finding]:
    """Return what our own rules and squawk find."""
    found = [finding for subject in subjects for finding in _own(subject)]
    if "squawk" in dialect.capabilities:
        found += squawk.findings(root, subjects)
    return _judged(subjects, found)


def _judged(subjects: list[Subject], found: list[Finding]) -> list[Finding]:
    """Return findings in order, each with the reason for which its script allows it."""
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
