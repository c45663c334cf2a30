"""An ALTER TABLE that leaves it to the server whether the table is copied under a lock."""

from __future__ import annotations

from collections.abc import Iterator

from windlass.lint.finding import WARNING, Subject, changed_table
from windlass_engine.model import Script

NAME, SEVERITY = "implicit-algorithm", WARNING


def check(subject: Subject) -> Iterator[tuple[Script, int, str, str]]:
    """Yield ALTERs of tables that stand, without ALGORITHM or LOCK, on an engine that may copy in silence."""
    if "weighs" not in subject.dialect.capabilities:
        return
    made = subject.made_here()
    for statement, text in subject.statements():
        table = changed_table(text) if text.startswith("ALTER TABLE") else ""
        if table and table not in made and "ALGORITHM" not in text and "LOCK" not in text.split():
            message = f"the server may copy {table.lower()} and keep writers waiting"
            yield subject.up, statement.line, message, "demand the cheapest way: , ALGORITHM=INSTANT or LOCK=NONE"
