"""SQL Server's answers to the contract for backups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Callable, Optional

from ...errors import WindlassError
from ...finding import Finding
from ...model import Target, Wire
from .. import backups
from ..link import Link, ServerError
from . import backup_examination, backup_sql, databases, exchange, server_files
from .dumping import SQLServerDumping
from .restoring import SQLServerRestoring
from .server_files import maintenance


class SQLServerKeeper(backups.Keeper):
    """BACKUP and RESTORE by the server itself, and ALTER DATABASE … MODIFY NAME."""

    engine = "mssql"
    name_limit = 128
    name_unit = "characters"
    restores_tables = True

    def name_length(self, name: str) -> int:
        """Count what the server counts: UTF-16 units."""
        return len(name.encode("utf-16-le")) // 2

    def database_name(self, target: Target) -> str:
        """Read the URL."""
        return databases.name_of(target.url)

    def dumping(self, target: Target, link: Link, asked: backups.Asked) -> backups.Dumping:
        """Look at the server's edition and the login's rights."""
        return SQLServerDumping(target, link, asked)

    def restoring(self, target: Target, known: Wire, folder: str, name: str, asked: backups.Asked) -> backups.Restoring:
        """Need no program."""
        return SQLServerRestoring(target, known, folder, name, asked)

    def recheck(self, target: Target, known: Wire) -> None:
        """Let the server read a file of its own again, and see that it is the one that the manifest means."""
        path = known.get("server_file")
        if not path:
            return
        with maintenance(target) as admin:
            try:
                heads = [backup_sql.known_header(row) for row in admin.named(backup_sql.header(path))]
                other = backup_sql.change(known["header"], heads[0]) if heads else "it holds no backup"
                if not other:
                    admin.run(backup_sql.verify(path))
            except ServerError as error:
                if error.lost:
                    raise
                raise _unreadable(known, error, server_files.server_name(admin)) from None
        if other:
            raise _bad(known, f"it is another backup than the manifest's: {other}")

    def clear(self, target: Target, paths: Sequence[str]) -> dict[str, str]:
        """Let the server delete its files."""
        with maintenance(target) as admin:
            return server_files.delete(admin, paths)

    def examine(self, target: Target, link: Link) -> Iterator[Finding]:
        """Look at edition, rights and folder."""
        return backup_examination.examine(target, link)

    def databases(self, target: Target, prefix: str) -> list[str]:
        """Look into sys.databases."""
        return exchange.names(target, prefix)

    def unfinished(self, target: Target) -> Optional[Callable[[], backups.Exchanged]]:
        """Look for an exchange that its databases tell of."""
        return exchange.unfinished(target)

    def exchange(self, target: Target, incoming: str, kept: str, started: Callable[[str], None]) -> backups.Exchanged:
        """Rename one after the other, with a way back."""
        return exchange.exchange(target, incoming, kept, started)


def _unreadable(known: Wire, error: ServerError, server: str) -> WindlassError:
    """Return what it means that the server cannot read a backup: on another server nothing about the backup."""
    if error.number == server_files.CANNOT_OPEN and server != known.get("server_name"):
        return WindlassError(
            "preflight_failed",
            f"the server {server} cannot open {known['server_file']}, a file of the server {known.get('server_name')}",
            hint="let both servers reach one folder, or share it with this host: "
            "?backup_folder=…&backup_share=… in the database's URL",
        )
    return _bad(known, error.message)


def _bad(known: Wire, why: str) -> WindlassError:
    return WindlassError(
        "backup_failed",
        f"the backup {known['id']} is damaged: {known['server_file']}: {why}",
        hint="choose another backup, and look at the disk that this one lies on",
        where={"database": known["database"]},
        detail={"path": known["server_file"], "damages": [why]},
    )
