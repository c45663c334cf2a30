"""A look at whether a SQL Server can write its own backups, and delete them again.  Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ...errors import WindlassError
from ...finding import Finding, good, skipped, warning
from ...model import Target
from ..link import Link, ServerError
from . import dumping, server_files
from .own import Own

_DELETES = Own("SELECT COALESCE(IS_SRVROLEMEMBER('sysadmin'), 0)")


def examine(target: Target, link: Link) -> Iterator[Finding]:
    """Look at edition and rights, at the folder on the server and, where this host shares it, from here."""
    yield _rights(link)
    yield _folder(target, link)
    share = server_files.shared(target)
    if share:
        yield _share(share)
    yield _deleting(link)


def _rights(link: Link) -> Finding:
    name, needed = "rights for backups", "BACKUP DATABASE, and CREATE ANY DATABASE to look into a backup"
    try:
        dumping.require_able(link)
    except WindlassError as error:
        return warning(name, error.message, needed, error.hint)
    return good(name, "all that backups and restores need", needed)


def _folder(target: Target, link: Link) -> Finding:
    name, needed = "folder for backups", "a folder that the server sees and its service may write to"
    try:
        folder = server_files.backup_folder(link, target)
        seen, free = server_files.sees_folder(link, folder), server_files.free(link, folder)
    except WindlassError as error:
        return warning(name, error.message, needed, error.hint)
    if seen is None:
        return skipped(name, f"{folder}: the server does not tell whether it sees it")
    if not seen:
        return warning(name, f"the server does not see {folder}", needed, server_files.NAME_ANOTHER)
    return good(name, folder if free is None else f"{folder} on the server, {free >> 20} MB free", needed)


def _share(path: str) -> Finding:
    name, needed = "shared folder for backups", f"{path} on this host, to be read and written"
    if not os.path.isdir(path):
        return warning(name, f"there is no folder {path} on this host", needed, "mount it, or mend backup_share")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        mend = "put the login user and the server's service into the folder's group"
        return warning(name, f"{path} cannot be read and written by this user", needed, mend)
    return good(name, path, needed)


def _deleting(link: Link) -> Finding:
    name, needed = "deleting backups", "sysadmin: files of backups that go are deleted by the server"
    try:
        if int(link.query(_DELETES)[0][0]):
            return good(name, "sysadmin", needed)
    except ServerError as error:
        if error.lost:
            raise
        return skipped(name, f"the server does not tell: {error.message}")
    mend = "ALTER SERVER ROLE sysadmin ADD MEMBER the login, or delete the files that runs name by hand"
    return warning(name, "the login is no sysadmin", needed, mend)
