"""A migration that nothing verifies."""

from __future__ import annotations

from collections.abc import Iterator

from windlass.lint.finding import WARNING, Subject
from windlass_engine.model import Script

NAME, SEVERITY = "no-verify", WARNING


def check(subject: Subject) -> Iterator[tuple[Script, int, str, str]]:
    """Yield a migration without verify.sql: a deployment cannot tell whether it did its work, nor can a baseline."""
    if subject.migration.verify is None:
        yield subject.up, 0, "has no verify.sql", "write one that returns a row for each thing missing"
