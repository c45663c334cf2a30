"""Findings as lines for people, as JSON, and as SARIF 2.1.0 for editors and code hosts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from windlass.lint.finding import ERROR, Finding
from windlass.telling import console

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def text(findings: Sequence[Finding]) -> str:
    """Return a line for each finding, with the hint or the reason below it, and a count."""
    lines = [line for finding in findings for line in _lines(finding)]
    open_ones = [finding for finding in findings if not finding.allowed]
    allowed = f", {len(findings) - len(open_ones)} allowed" if len(open_ones) < len(findings) else ""
    return "\n".join([*lines, f"{console.plural(len(open_ones), 'finding')}{allowed}"])


def as_json(findings: Sequence[Finding]) -> str:
    """Return the findings as plain data."""
    return json.dumps([asdict(finding) for finding in findings], indent=1, ensure_ascii=False)


def sarif(findings: Sequence[Finding]) -> str:
    """Return a SARIF log."""
    rules = [{"id": name} for name in sorted({finding.rule for finding in findings})]
    driver = {"name": "windlass", "rules": rules}
    run = {"tool": {"driver": driver}, "results": [_result(finding) for finding in findings]}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1, ensure_ascii=False)


def _lines(finding: Finding) -> list[str]:
    place = f"{finding.path}:{finding.line}" if finding.line else finding.path
    word = "allowed" if finding.allowed else finding.severity
    below = f"  because {finding.allowed}" if finding.allowed else f"  -> {finding.hint}" if finding.hint else ""
    first = f"{place}: {word}: {finding.message} [{finding.rule}]"
    return [console.printable(line) for line in (first, below) if line]


def _result(finding: Finding) -> dict[str, Any]:
    region = {"region": {"startLine": finding.line}} if finding.line else {}
    location = {"artifactLocation": {"uri": quote(finding.path)}, **region}
    found: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": "error" if finding.severity == ERROR else "warning",
        "message": {"text": f"{finding.message.rstrip('.')}. {finding.hint}".strip()},
        "locations": [{"physicalLocation": location}],
    }
    if finding.allowed:
        found["suppressions"] = [{"kind": "inSource", "justification": finding.allowed}]
    return found
