"""Findings of squawk, the linter for PostgreSQL's migrations, in Windlass' form."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from windlass import playbook
from windlass.lint.finding import WARNING, Finding, Subject
from windlass_engine.errors import WindlassError

#: What Windlass does by itself, so that a script need not.
_OURS = "require-lock-timeout,require-statement-timeout"
#: Matters of taste, and no risk to what stands.
_TASTE = "prefer-bigint-over-int,prefer-bigint-over-smallint,prefer-text-field,prefer-identity,prefer-timestamptz"


def findings(root: Path, subjects: Iterable[Subject]) -> Iterator[Finding]:
    """Yield what squawk finds in up scripts.  Raises ``preflight_failed`` where it cannot be run."""
    paths = {subject.up.path: subject.up.directives.transactional for subject in subjects}
    for whole in (True, False):
        chosen = [path for path, transactional in paths.items() if transactional is whole]
        if chosen:
            yield from _ask(root, chosen, ["--assume-in-transaction"] if whole else [])


def _ask(root: Path, paths: list[str], options: list[str]) -> Iterator[Finding]:
    program = str(Path(sys.executable).with_name("squawk"))
    files = {str(root / path): path for path in paths}
    output = playbook.output_of([program, "--reporter", "json", f"--exclude={_OURS},{_TASTE}", *options, *files])
    for item in _read(output):
        rule, path = f"squawk/{item['rule_name']}", files[item["file"]]
        yield Finding(rule, WARNING, path, item["line"] + 1, item["message"], item["help"] or "")  # it counts from 0


def _read(output: str) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = json.loads(output)
    except ValueError:
        message = f"squawk gave no answer that can be read: {output[:200]}"
        raise WindlassError("preflight_failed", message, hint="pip install squawk-cli") from None
    return found
