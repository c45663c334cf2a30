"""A down script that drops what holds rows, and does not ask."""

from __future__ import annotations

import re
from collections.abc import Iterator

from windlass.lint.finding import WARNING, Subject
from windlass_engine.model import Script

NAME, SEVERITY = "silent-drop", WARNING
_DROPS = re.compile(r"\bDROP (?:TABLE|COLUMN)\b")


def check(subject: Subject) -> Iterator[tuple[Script, int, str, str]]:
    """Yield drops in a down script that never looks at the word for data loss."""
    down = subject.migration.down
    if down is None or "allow_data_loss" in down.text:
        return
    for statement, text in subject.statements(down):
        if _DROPS.search(text):
            hint = "refuse while there are rows, unless allow_data_loss is set (see docs/writing-migrations.md)"
            yield down, statement.line, "drops rows without asking", hint
