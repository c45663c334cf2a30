"""A schema change of a table that stands, and row changes in the same transaction."""

from __future__ import annotations

from collections.abc import Iterator

from windlass.lint.finding import WARNING, Subject, changed_table
from windlass_engine.model import Script

NAME, SEVERITY = "long-lock", WARNING


def check(subject: Subject) -> Iterator[tuple[Script, int, str, str]]:
    """Yield row changes that run while an ALTER TABLE's lock is held."""
    if "transactional_ddl" not in subject.dialect.capabilities or not subject.up.directives.transactional:
        return
    made, locked = subject.made_here(), ""
    for statement, text in subject.statements():
        table = changed_table(text)
        if text.startswith("ALTER TABLE") and table not in made:
            locked = table
        elif locked and text.startswith(("UPDATE ", "DELETE ", "INSERT INTO ")) and " VALUES" not in text:
            message = f"changes rows while the lock of the ALTER TABLE on {locked.lower()} keeps everybody out"
            yield subject.up, statement.line, message, "put the rows' change into a migration of its own"
