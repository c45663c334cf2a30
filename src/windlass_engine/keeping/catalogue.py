"""The catalogue: every backup of a database, with what is known of it, local and off-site."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Callable, Optional

from ..errors import WindlassError
from ..model import Wire
from . import backup_store as store
from . import manifest, marks, offsite, workplace

COMPLETE, BROKEN, OFFSITE = "complete", "broken", "off-site"


def read(directory: str, databases: Sequence[str]) -> dict[str, list[Wire]]:
    """Return the local backups of databases, newest first, without reading their data.

    Each has ``state`` (``complete``, or ``broken`` with a ``reason``), ``encrypted``, ``age_s`` (of its data) and,
    where they are known, the marks ``verified``, ``failed`` and ``offsite``.
    """
    return {name: [_entry(directory, each) for each in store.catalogue(directory, name)] for name in databases}


def with_offsite(local: Mapping[str, Sequence[Wire]], repository: offsite.Repository) -> dict[str, list[Wire]]:
    """Return a catalogue completed by what a repository has: one call for all databases.

    A backup that is only there has the state ``off-site``; a mark of a copy that is no longer there goes.  Raises
    WindlassError (offsite_failed).
    """
    copies = offsite.snapshots(repository)
    return {name: _joined(entries, copies, name, repository) for name, entries in local.items()}


def newest_verified(entries: Sequence[Wire]) -> Optional[Wire]:
    """Return the newest complete backup that a restore test has verified, or None."""
    return next((each for each in entries if each["state"] == COMPLETE and each.get("verified")), None)


def home_of(directory: str, database: str) -> str:
    """Return the folder of a database's backups."""
    return store.home_of(directory, database)


def checked(path: str, recheck: Callable[[Wire], None] = lambda _: None) -> Wire:
    """Hash a backup's files again, and look again at what lies on the server; return its manifest.

    Raises WindlassError: ``backup_failed``, and marks it then; another one where nothing could be learnt.
    """
    with workplace.in_use(path):
        try:
            store.check(path)
            known = manifest.load(path)
            recheck(known)
        except WindlassError as error:
            if error.code == "backup_failed":
                marks.failed(os.path.dirname(path), os.path.basename(path), error.message)
            raise
        return known


def taken_at(backup_id: str) -> datetime:
    """Return the time that an id begins with: when the backup's data was as it is."""
    return datetime.strptime(backup_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)


def age_s(backup_id: str) -> int:
    """Return the age of a backup's data in seconds."""
    return int((datetime.now(timezone.utc) - taken_at(backup_id)).total_seconds())


def _entry(directory: str, found: Wire) -> Wire:
    """Return an entry of the store with its marks."""
    home = os.path.dirname(found["path"])
    entry = {**found, "age_s": age_s(found["id"]), **marks.read(home, found["id"])}
    return entry if entry["state"] == COMPLETE else {**entry, "state": BROKEN, "encrypted": None}


def _joined(
    entries: Sequence[Wire], copies: Sequence[Wire], database: str, repository: offsite.Repository
) -> list[Wire]:
    """Return local entries and those that are only off-site, newest first."""
    there = {each["id"]: each for each in reversed(copies) if each["database"] == database and each["id"]}
    joined = [_confirmed(entry, there.get(entry["id"]), repository) for entry in entries]
    local = {entry["id"] for entry in entries}
    joined += [_only_there(each, repository) for each in there.values() if each["id"] not in local]
    return sorted(joined, key=lambda each: str(each["id"]), reverse=True)


def _confirmed(entry: Wire, copy: Optional[Wire], repository: offsite.Repository) -> Wire:
    """Return an entry whose off-site mark says what the repository says."""
    mark = entry.get("offsite")
    plain = {key: value for key, value in entry.items() if key != "offsite"}
    if copy is None:
        return plain
    if mark and mark.get("snapshot", "")[:8] == copy["snapshot"][:8]:
        return {**plain, "offsite": mark}
    # A copy whose data nobody has compared yet is there, and no more is said of it.
    return {**plain, "offsite": {"repository": repository.shown, "snapshot": copy["snapshot"], "at": copy["at"]}}


def _only_there(copy: Wire, repository: offsite.Repository) -> Wire:
    mark = {"repository": repository.shown, "snapshot": copy["snapshot"], "at": copy["at"]}
    return {
        "id": copy["id"], "database": copy["database"], "path": "", "state": OFFSITE, "age_s": age_s(copy["id"]),
        "encrypted": None, "offsite": mark,
    }  # fmt: skip
