"""PostgreSQL's answers to the contract for backups."""

from __future__ import annotations

from typing import Callable, Optional

from ...model import Target, Wire
from .. import backups
from ..link import Link
from . import dump, exchange
from .dumping import PostgresDumping
from .restoring import PostgresRestoring


class PostgresKeeper(backups.Keeper):
    """pg_dump and pg_restore, and ALTER DATABASE … RENAME."""

    engine = "postgresql"
    name_limit = 63
    name_unit = "bytes"
    restores_tables = True

    def name_length(self, name: str) -> int:
        """Count bytes."""
        return len(name.encode("utf-8"))

    def database_name(self, target: Target) -> str:
        """Ask libpq's own parser."""
        return dump.database_name(target)

    def dumping(self, target: Target, link: Link, asked: backups.Asked) -> backups.Dumping:
        """Look for pg_dump."""
        return PostgresDumping(target, link, asked)

    def restoring(self, target: Target, known: Wire, folder: str, name: str, asked: backups.Asked) -> backups.Restoring:
        """Look for pg_restore."""
        return PostgresRestoring(target, known, folder, name, asked)

    def lacking(self, target: Target, known: Wire, name: str, kept: str) -> list[str]:
        """Look at the login's rights and at prepared transactions; the room is looked at with the backup."""
        return exchange.lacking(target)

    def databases(self, target: Target, prefix: str) -> list[str]:
        """Look into pg_database."""
        return exchange.databases(target, prefix)

    def unfinished(self, target: Target) -> Optional[Callable[[], backups.Exchanged]]:
        """Return None: the renames are one transaction."""
        return None

    def exchange(self, target: Target, incoming: str, kept: str, started: Callable[[str], None]) -> backups.Exchanged:
        """Rename both in one transaction."""
        return exchange.exchange(target, incoming, kept, started)
