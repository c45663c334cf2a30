"""What one check of the doctor says: what was found, what is needed and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARN, FAIL, SKIPPED = "ok", "warn", "fail", "skipped"


@dataclass(frozen=True)
class Finding:
    """One check's result; ``status`` is ``ok``, ``warn`` (work goes on), ``fail`` (it would not) or ``skipped``.

    ``mend`` says what to type or change; it is empty for ``ok``.
    """

    name: str
    status: str
    found: str
    needed: str = ""
    mend: str = ""


def good(name: str, found: str, needed: str = "") -> Finding:
    """Return a check that passed."""
    return Finding(name, OK, found, needed)


def warning(name: str, found: str, needed: str, mend: str) -> Finding:
    """Return a check that found something which can hurt."""
    return Finding(name, WARN, found, needed, mend)


def failure(name: str, found: str, needed: str, mend: str) -> Finding:
    """Return a check that found what stops a deployment."""
    return Finding(name, FAIL, found, needed, mend)


def skipped(name: str, why: str) -> Finding:
    """Return a check that could not be made."""
    return Finding(name, SKIPPED, why)
