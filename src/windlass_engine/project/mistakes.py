"""Mistakes in scripts and layout, gathered so that a person sees all of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from ..errors import WindlassError


@dataclass(frozen=True)
class Mistake:
    """One thing to mend: ``line`` is 1-based, 0 when the file or folder as a whole is meant."""

    file: str
    line: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """Return ``file:line: message (hint)``."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


def invalid(mistakes: Sequence[Mistake]) -> WindlassError:
    """Return the one ``project_invalid`` that tells of all ``mistakes`` (at least one)."""
    detail = {"mistakes": [asdict(mistake) for mistake in mistakes]}
    first = mistakes[0]
    if len(mistakes) == 1:
        where = {"file": first.file, "line": first.line}
        return WindlassError("project_invalid", first.message, hint=first.hint, where=where, detail=detail)
    listed = "".join(f"\n  {mistake}" for mistake in mistakes)
    return WindlassError("project_invalid", f"{len(mistakes)} mistakes in the project:{listed}", detail=detail)


def refuse(file: str, line: int, message: str, hint: str = "") -> WindlassError:
    """Return the ``project_invalid`` of a single mistake."""
    return invalid([Mistake(file, line, message, hint)])


def told_by(error: WindlassError) -> list[Mistake]:
    """Return the mistakes inside an error made by :func:`invalid`."""
    return [Mistake(**item) for item in error.detail["mistakes"]]


def raise_any(mistakes: Iterable[Mistake]) -> None:
    """Raise :func:`invalid` unless there is nothing to tell."""
    found = list(mistakes)
    if found:
        raise invalid(found)
