"""The contract for the journal: the SQL text that writes and reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Protocol

from ..model import Options, Plan, Step


class JournalWriter(Protocol):
    """SQL text for the journal; every name is full, so a script's session settings cannot touch it."""

    def create(self) -> Sequence[str]:
        """Return DDL that makes the journal where it is missing."""

    def read(self, texts_of: Sequence[str]) -> str:
        """Return the query whose columns are the fields of JournalEntry in order."""

    def prepare(self) -> tuple[str, ...]:
        """Return what lets the server parse :meth:`applied` once a session instead of once a step."""

    def applied(
        self, plan: Plan, step: Step, options: Options, prepared: bool = False, duration_ms: Optional[int] = None
    ) -> tuple[str, ...]:
        """Return what records a whole step; ``prepared`` says that the session has seen :meth:`prepare`.

        ``duration_ms`` is the step's duration, None: the age of the transaction.
        """

    def applied_together(self, plan: Plan, done: Sequence[tuple[Step, int]], options: Options) -> tuple[str, ...]:
        """Return what records steps of one transaction, each with its duration in milliseconds."""

    def reverted(self, plan: Plan, step: Step, options: Options, duration_ms: Optional[int] = None) -> tuple[str, ...]:
        """Return what records an undone step; ``duration_ms`` as for :meth:`applied`."""

    def opened(self, plan: Plan, step: Step, options: Options) -> tuple[str, ...]:
        """Return what records that a statement-by-statement step begins or goes on."""

    def statement_started(self, step: Step, number: int, digest: str) -> str:
        """Return the mark before a statement that cannot share a transaction with its journal row."""

    def statement_failed(self, step: Step, number: int) -> str:
        """Return what takes the mark before a statement back: the server refused it, and it left nothing."""

    def statement_done(self, step: Step, number: int, digest: str, rows: int) -> str:
        """Return the mark after a statement."""

    def position(self, step: Step, number: int, key: str, rows: int) -> str:
        """Return the mark after a batch of a backfill; ``rows`` is added to those counted before."""

    def read_position(self, step: Step, number: int) -> str:
        """Return the query for (last key, rows) of a backfill."""

    def event(
        self, event: str, plan: Plan, step: Optional[Step], options: Options, detail: str,
        duration_ms: Optional[int] = None,
    ) -> str:  # fmt: skip
        """Return the row of the append-only event log."""

    def last_events(self, event: str) -> str:
        """Return the query for (name, seconds since the last such event of that name)."""

    def events(self, limit: int) -> str:
        """Return the query for the newest events, newest first."""
