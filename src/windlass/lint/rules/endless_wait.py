"""A script that waits for a lock without end."""

from __future__ import annotations

from collections.abc import Iterator

from windlass.lint.finding import ERROR, Subject
from windlass_engine.model import Script

NAME, SEVERITY = "endless-wait", ERROR


def check(subject: Subject) -> Iterator[tuple[Script, int, str, str]]:
    """Yield a script with `lock-timeout 0` and a change that needs more than a moment's lock."""
    for script in (subject.up, subject.migration.down):
        if script and script.directives.transactional and script.directives.lock_timeout_ms == 0:
            message = "waits for its locks without end, and everybody queues up behind it"
            yield script, 1, message, "give it a lock-timeout: what loses a lock is tried again"
