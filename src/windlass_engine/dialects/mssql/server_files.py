"""The server's own files: where backups and databases go, how much room is there, and what is deleted again.

The server writes and reads them as its own user, on its own machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Optional

from ...errors import WindlassError
from ...model import Target
from ..link import Link, ServerError
from . import address, databases, driver
from .own import Own
from .text import literal

_LOGIN_S = 10
_DATA, _LOG, _BACKUP = "InstanceDefaultDataPath", "InstanceDefaultLogPath", "InstanceDefaultBackupPath"
#: Where servers before 2019, which have no such property, keep it.
_REGISTERED = Own(
    "EXEC master.dbo.xp_instance_regread N'HKEY_LOCAL_MACHINE', N'Software\\Microsoft\\MSSQLServer\\MSSQLServer', "
    "N'BackupDirectory'"
)
_VOLUMES = Own(
    "SELECT DISTINCT v.volume_mount_point, v.available_bytes FROM sys.master_files f "
    "CROSS APPLY sys.dm_os_volume_stats(f.database_id, f.file_id) v"
)
_DRIVES = Own("EXEC master.dbo.xp_fixeddrives")
#: sys.xp_delete_files came with 2019; xp_delete_file deletes only what has the header of a backup.
_DELETES_ANY = 150_000
#: The server cannot open a file; cannot find a stored procedure; may not run it.
CANNOT_OPEN = 3201
#: What to do about a folder that is of no use.
NAME_ANOTHER = "name another folder of the server: ?backup_folder=… in the database's URL"


@contextmanager
def maintenance(target: Target) -> Iterator[driver.SQLServerLink]:
    """Log in to `master` on the target's server.  Raise WindlassError."""
    link = driver.connect(replace(target, url=databases.url_of(target.url, "master")), "windlass backup", _LOGIN_S)
    try:
        yield link
    finally:
        link.close()


def backup_folder(link: Link, target: Target) -> str:
    """Return where backups go: as the URL says, else the server's own folder.  Raise WindlassError, ServerError."""
    found = address.of_target(target).backup_folder or _property(link, _BACKUP)
    if not found:
        with suppress(ServerError):
            found = "".join(str(value) for _, value in link.query(_REGISTERED))
    if not found:
        raise WindlassError(
            "backup_failed",
            "the server does not say where its backups go",
            hint="name a folder on the server in the database's URL: ?backup_folder=/var/opt/mssql/backup",
        )
    return found


def database_folders(link: Link) -> tuple[str, str]:
    """Return where new databases' data and logs go.  Raise ServerError."""
    data = _property(link, _DATA)
    return data, _property(link, _LOG) or data


def join(folder: str, name: str) -> str:
    """Return a path below a folder, as the server's system writes it."""
    mark = "\\" if "\\" in folder or (len(folder) > 1 and folder[1] == ":") else "/"
    return f"{folder.rstrip(mark)}{mark}{name}"


def free(link: Link, folder: str) -> Optional[int]:
    """Return the bytes that are free in a folder of the server, None where that cannot be seen."""
    with suppress(ServerError):
        place = folder.lower()
        points = {str(point).lower(): int(count) for point, count in link.query(_VOLUMES) if point}
        under = [point for point in points if place.startswith(point.rstrip("\\/")) and point.strip()]
        if under:
            return points[max(under, key=len)]
    with suppress(ServerError):
        drives = {str(letter).lower(): int(megabytes) << 20 for letter, megabytes in link.query(_DRIVES)}
        return drives.get(folder[:1].lower()) if folder[1:2] == ":" else None
    return None


def delete(link: driver.SQLServerLink, paths: Sequence[str]) -> dict[str, str]:
    """Delete files; return those that are still there, each with the reason."""
    left: dict[str, str] = {}
    for path in paths:
        reason = ""
        try:
            if not exists(link, path):
                continue
            link.run(_deleting(link, path))
            if exists(link, path):
                reason = "the server did not delete it: it is no whole backup, or the service may not"
        except ServerError as error:
            reason = error.message
        if reason:
            left[path] = reason
    return left


def exists(link: Link, path: str) -> bool:
    """Return whether the server sees a file.  Raise ServerError, also where it does not see the folder."""
    asked = "SELECT CAST(file_exists AS int), CAST(parent_directory_exists AS int) FROM sys.dm_os_file_exists({})"
    file, folder = link.query(Own(asked.format(literal(path))))[0]
    if not folder:  # a share that is away says nothing about what lies on it
        raise ServerError("the server does not see that folder now")
    return bool(file)


def sees_folder(link: Link, folder: str) -> Optional[bool]:
    """Return whether the server sees a folder, None where it does not tell."""
    asked = "SELECT CAST(file_is_a_directory AS int) FROM sys.dm_os_file_exists({})"
    try:
        return bool(link.query(Own(asked.format(literal(folder))))[0][0])
    except ServerError as error:
        if error.lost:
            raise
        return None


def server_name(link: Link) -> str:
    """Return the name of the server and its instance.  Raise ServerError."""
    return _property(link, "ServerName")


def shared(target: Target) -> str:
    """Return the folder of this host that is the server's folder for backups, or an empty string."""
    return address.of_target(target).backup_share


def on_share(target: Target, path: str) -> str:
    """Return where this host sees a file of the server's folder for backups."""
    return os.path.join(shared(target), path.replace("\\", "/").rpartition("/")[2])


def _deleting(link: Link, path: str) -> Own:
    if link.server_version >= _DELETES_ANY:
        return Own(f"EXEC master.sys.xp_delete_files {literal(path)}")
    return Own(f"EXEC master.dbo.xp_delete_file 0, {literal(path)}")


def _property(link: Link, name: str) -> str:
    value = link.query(Own(f"SELECT CAST(SERVERPROPERTY({literal(name)}) AS nvarchar(4000))"))[0][0]
    return str(value or "")
