"""The contract for archives: what an undone migration would take away is kept in the same database first.

Each archive is a table of its own, and a manifest says what each holds.  Neither is part of the schema's fingerprint.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Optional, Protocol

from ..model import Archive, Loss, Losses, Options, Script
from .link import Link, ServerError

#: Rows that are copied, or put back, in one transaction.
BATCH = 10_000
#: Tables up to this size are counted, larger ones estimated (bytes).
COUNTED_BYTES = 64 << 20
#: The columns of the manifest, in the order of :class:`Archive`; lists are JSON texts.
MANIFEST = "name, run_id, migration, kind, object, columns_json, keys_json, state, row_count, kept_at, who"


class Holding(Protocol):
    """How writers are kept away where a schema change cannot share a transaction with the copying before it."""

    def taken_by(self, link: Link, sql: str) -> list[Loss]:
        """Return what a statement takes away, as its words say; nothing where they do not."""

    def top_up(self, link: Link, archive: Archive, loss: Loss, going: Collection[str]) -> tuple[str, ...]:
        """Return what adds to an archive the rows that came since a part of it was taken away.

        Of the rows that it has, only the columns ``going`` are what stands now.
        """

    def take(self, tables: Sequence[str], archives: Sequence[Archive]) -> tuple[str, ...]:
        """Return what keeps everybody else away from tables, also across a schema change, and archives writable."""

    def give(self) -> tuple[str, ...]:
        """Return what lets the others in again."""

    def has_rows(self, loss: Loss) -> str:
        """Return the query for whether there is something to lose: 0 or 1."""

    def steady(self) -> tuple[str, ...]:
        """Return what makes the next transaction keep writers away from all rows that it copies."""

    def is_beyond(self, error: ServerError) -> bool:
        """Return whether a statement changed nothing because it needs what is not held, or nothing may be held."""


class DryRun(Protocol):
    """How scripts are tried whose words say what they take away, where a schema change cannot be taken back."""

    def __call__(self, link: Link, trial: Link, downs: Sequence[Script]) -> tuple[str, str]:
        """Run scripts on empty copies of what they name, in the scratch database of ``trial``.

        ``link`` is a connection to the database itself, which is only read.  Return how the first script failed and
        why something was not tried, empty texts for neither.  Raise ServerError where the copies cannot be made.
        """


class Archives(Protocol):
    """SQL text and small answers; every name is full, so a script's session settings cannot touch it."""

    #: Whether copying and undoing share one transaction, so that nothing can be written in between.
    together: bool

    @property
    def dry_run(self) -> Optional[DryRun]:
        """What tries scripts that are only read, where copying and undoing are not ``together``."""

    @property
    def holding(self) -> Optional[Holding]:
        """What keeps writers away where copying and undoing are not ``together``."""

    def losses(self, link: Link, downs: Sequence[Script], original: str) -> Losses:
        """Run down scripts one after the other where that changes nothing, and say what each takes away.

        ``link`` is a connection for this purpose alone: to the database itself where the engine can take all of it
        back, else to a scratch database of the server that holds ``original``.  Raise ServerError.
        """

    def readable(self, link: Link, down: Script) -> Optional[list[Loss]]:
        """Return what a script's own text says that it takes away, None where it does not say all."""

    def exists(self, link: Link) -> bool:
        """Return whether this database has a manifest."""

    def create(self) -> tuple[str, ...]:
        """Return what makes the manifest."""

    def listing(self, condition: str = "") -> str:
        """Return the query for the manifest, oldest first; ``condition`` is SQL."""

    def size(self, name: str) -> str:
        """Return the query for an archive's bytes."""

    def open(self, archive: Archive, loss: Loss, options: Options) -> tuple[str, ...]:
        """Return what makes an archive's table, still empty, and its line in the manifest."""

    def copy_batch(self, link: Link, archive: Archive, loss: Loss, batch: int) -> int:
        """Copy the next rows by key; return how many.  Only for a loss with keys.  Raise ServerError."""

    def catch_up(self, archive: Archive, loss: Loss) -> tuple[str, ...]:
        """Return what makes an archive hold exactly what stands now, whatever was copied before."""

    def still_empty(self, loss: Loss) -> tuple[str, ...]:
        """Return what keeps writers away from a table that has nothing to lose, and fails like a lost lock if it has.

        Only where copying and undoing are ``together``.
        """

    def finish(self, migration: str, run_id: str) -> tuple[str, ...]:
        """Return what marks a migration's archives as the only copies, which this run has made so."""

    def put_back(self, link: Link, archive: Archive, first: int, last: int) -> int:
        """Put an archive's rows from number ``first`` to ``last`` back; return how many.  Raise ServerError."""

    def put_back_done(self, link: Link, archive: Archive, rows: int) -> None:
        """Mark an archive as put back, and let generated numbers go on behind its own.  Raise ServerError."""

    def highest(self, name: str) -> str:
        """Return the query for an archive's highest row number."""

    def page(self, archive: Archive, after: int, limit: int) -> tuple[tuple[str, ...], str]:
        """Return the headings, and the query for rows behind number ``after``: the number first, then texts."""

    def counted(self, name: str) -> tuple[str, ...]:
        """Return what notes in the manifest how many rows an archive has."""

    def purge(self, name: str, who: str) -> tuple[str, ...]:
        """Return what deletes an archive's rows; its line in the manifest stays and says who did it."""
