"""An UPDATE or DELETE of a table that stands, all in one transaction."""

from __future__ import annotations

from collections.abc import Iterator

from windlass.lint.finding import WARNING, Subject, changed_table
from windlass_engine.model import Script

NAME, SEVERITY = "bulk-change", WARNING


def check(subject: Subject) -> Iterator[tuple[Script, int, str, str]]:
    """Yield each such statement: it holds the locks of all its rows until it ends."""
    made = subject.made_here()
    for statement, text in subject.statements():
        bounded = statement.backfill or text.startswith(("UPDATE TOP ", "DELETE TOP ", "UPDATE TOP(", "DELETE TOP("))
        if text.startswith(("UPDATE ", "DELETE ")) and not bounded and changed_table(text) not in made:
            message = f"changes rows of {changed_table(text).lower()} in one transaction, however many there are"
            yield subject.up, statement.line, message, "make it a backfill, or bound it"
