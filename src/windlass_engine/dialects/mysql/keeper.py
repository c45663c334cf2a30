"""The answers of MySQL and MariaDB to the contract for backups."""

from __future__ import annotations

from typing import Callable, Optional

from ...model import Target, Wire
from .. import backups
from ..link import Link
from . import exchange, lacking
from .address import connect_options
from .dumping import MySQLDumping
from .restoring import MySQLRestoring, maintenance
from .text import literal


class MySQLKeeper(backups.Keeper):
    """mariadb-dump or mysqldump, the client program, and RENAME TABLE."""

    engine = "mysql"
    name_limit = 64
    name_unit = "characters"
    restores_tables = True

    def name_length(self, name: str) -> int:
        """Count characters."""
        return len(name)

    def database_name(self, target: Target) -> str:
        """Read the URL."""
        return str(connect_options(target)["database"])

    def dumping(self, target: Target, link: Link, asked: backups.Asked) -> backups.Dumping:
        """Look for the dump program and a packer."""
        return MySQLDumping(target, link, asked)

    def restoring(self, target: Target, known: Wire, folder: str, name: str, asked: backups.Asked) -> backups.Restoring:
        """Look for the client program."""
        return MySQLRestoring(target, known, folder, name, asked)

    def lacking(self, target: Target, known: Wire, name: str, kept: str) -> list[str]:
        """Look at the login's rights, and at the room where it can be seen."""
        return lacking.obstacles(target, known, name, kept)

    def databases(self, target: Target, prefix: str) -> list[str]:
        """Look into SCHEMATA."""
        with maintenance(target) as admin:
            rows = admin.query(
                "SELECT schema_name FROM information_schema.SCHEMATA "
                f"WHERE LEFT(schema_name, {len(prefix)}) = {literal(prefix)} ORDER BY 1"
            )
        return [str(name) for (name,) in rows]

    def unfinished(self, target: Target) -> Optional[Callable[[], backups.Exchanged]]:
        """Look for an exchange whose journal says that it is under way."""
        return exchange.unfinished(target)

    def exchange(self, target: Target, incoming: str, kept: str, started: Callable[[str], None]) -> backups.Exchanged:
        """Exchange the tables in one statement, and make the code anew."""
        return exchange.exchange(target, incoming, kept, started)
