"""What `invoke offsite` does on a host: everything that is not off-site yet goes there, or one backup comes back."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Callable

from ..errors import WindlassError
from ..model import Wire
from . import catalogue, manifest, offsite, outside


@dataclass(frozen=True)
class Wish:
    """What is asked for: make the repository, read all its data, or fetch one backup by its id."""

    create: bool = False
    check: bool = False
    fetch: str = ""


def carry_out(
    repository: offsite.Repository,
    directory: str,
    database: str,
    wish: Wish,
    check_mode: bool,
    emit: Callable[[Wire], None],
) -> Wire:
    """Copy, or fetch, and check; return ``{repository, created, copied, fetched, here, checked, intended}``.

    ``here`` is the backup that was to be fetched, where the local one is whole; ``intended`` is set in check mode.

    Emits ``offsite_copied`` and ``offsite_fetched``.  Raises WindlassError (offsite_failed, backup_failed).
    """
    done: Wire = {
        "repository": repository.shown,
        "created": False,
        "copied": [],
        "fetched": "",
        "here": "",
        "checked": False,
        "intended": check_mode,
    }
    if wish.create and not check_mode:
        done["created"] = offsite.create(repository)
    if wish.fetch:
        done["fetched"] = _fetch(repository, directory, database, wish.fetch, check_mode)
        if done["fetched"]:
            emit({"event": "offsite_fetched", "database": database, "id": wish.fetch})
        else:
            done["here"] = wish.fetch
        return done
    for entry in _missing(repository, directory, database):
        if not _copied(repository, entry["path"], check_mode):
            continue
        done["copied"].append(entry["id"])
        emit({"event": "offsite_copied", "database": database, "id": entry["id"]})
    if wish.check and not check_mode:
        offsite.check(repository, full=True)
        done["checked"] = True
    return done


def _copied(repository: offsite.Repository, path: str, check_mode: bool) -> bool:
    """Copy a backup; return False where its retention deleted it since the look at what there is."""
    try:
        known = manifest.load(path)
        outside.require_here(known, "copied off-site", "offsite_failed")
        if not check_mode:
            offsite.copy(repository, path, known)
    except WindlassError as error:
        if error.code != "backup_failed" or os.path.isdir(path):
            raise
        return False
    return True


def _missing(repository: offsite.Repository, directory: str, database: str) -> list[Wire]:
    """Return the complete backups without a compared copy, the oldest first."""
    joined = catalogue.with_offsite(catalogue.read(directory, [database]), repository)[database]
    whole = [each for each in joined if each["state"] == catalogue.COMPLETE and not each.get("failed")]
    return [each for each in reversed(whole) if not (each.get("offsite") or {}).get("checked_at")]


def _fetch(repository: offsite.Repository, directory: str, database: str, wanted: str, check_mode: bool) -> str:
    """Bring one backup back; a local one that is whole stays, one that is broken or damaged makes room."""
    if _is_whole_here(directory, database, wanted):
        return ""
    found = offsite.find(repository, database, wanted)
    if not check_mode:
        offsite.fetch(repository, found, catalogue.home_of(directory, database))
    return wanted


def _is_whole_here(directory: str, database: str, wanted: str) -> bool:
    """Return whether a backup is here, and every file of it is what the manifest says."""
    found = [each for each in catalogue.read(directory, [database])[database] if each["id"] == wanted]
    if not found or found[0]["state"] != catalogue.COMPLETE:
        return False
    return not manifest.damages(found[0]["path"], manifest.load(found[0]["path"]))


def is_only_there(repository: offsite.Repository, directory: str, database: str, wanted: str) -> bool:
    """Return whether a backup is off-site and not here.  Raise WindlassError (offsite_failed)."""
    joined = catalogue.with_offsite(catalogue.read(directory, [database]), repository)[database]
    return any(each["id"] == wanted and each["state"] == catalogue.OFFSITE for each in joined)
