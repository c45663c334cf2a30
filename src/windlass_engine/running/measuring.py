"""What a run lets be measured between its statements, where somebody asks for that: a rehearsal does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional, Protocol

from ..model import Step
from ..session import Session


class Measure(Protocol):
    """Measures what each statement leaves behind.  It keeps the time that it takes out of the statements' own.

    None of its calls raises WindlassError; a ServerError is the session's, as any other.
    """

    def start(self, session: Session) -> None:
        """Begin on the session of a run, before its first statement."""

    def again(self) -> None:
        """Make what was set in the session anew: a script may have left other settings, and they were put back."""

    def undone(self) -> None:
        """Take what was measured since the last commit for void: a transaction failed, and may be tried again."""

    def begin(self) -> None:
        """Look where things stand, if that is not known: a statement begins."""

    def take(self, step: Step, number: int, sql: str, inside: bool) -> None:
        """Measure what a statement has left, ``inside`` a transaction that is still open or after it."""

    def settled(self) -> None:
        """Look at what is known only when a transaction is over."""

    @property
    def spent_s(self) -> float:
        """Return the seconds that measuring took so far."""


class Measuring:
    """A run's hold on whoever measures; every call does nothing where nobody does."""

    def __init__(self, measure: Optional[Measure]) -> None:
        """Measure nothing yet."""
        self._measure = measure
        self._taken = False
        self._before_s = 0.0

    def __bool__(self) -> bool:
        """Return whether somebody measures."""
        return self._measure is not None

    def again(self) -> None:
        """The session was put back to what it was."""
        if self._measure:
            self._measure.again()

    def begin(self) -> None:
        """A statement begins."""
        self._taken = False
        if self._measure:
            self._measure.begin()
            self._before_s = self._measure.spent_s

    def inside(self, step: Step, number: int, sql: str) -> None:
        """A statement has ended, and its transaction has not."""
        if self._measure:
            self._taken = True
            self._measure.take(step, number, sql, inside=True)

    def end(self, step: Step, number: int, sql: str) -> None:
        """A statement has ended, and where it was not measured inside of it, its transaction has ended, too."""
        if self._measure:
            if not self._taken:
                self._measure.take(step, number, sql, inside=False)
            self._measure.settled()

    @property
    def spent_s(self) -> float:
        """Return the seconds that measuring took since the statement began."""
        return self._measure.spent_s - self._before_s if self._measure else 0.0

    @contextmanager
    def sending(self) -> Iterator[None]:
        """A statement is sent; what was measured is void where it fails."""
        try:
            yield
        except Exception:
            if self._measure:
                self._measure.undone()
            raise
