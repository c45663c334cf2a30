"""Retention carried out: the rules of :mod:`windlass_engine.retention` on what really lies there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Optional

from ..errors import WindlassError
from ..model import Wire, to_wire
from . import catalogue, marks, offsite, outside, retention, workplace


def prune(
    directory: str,
    database: str,
    policy: retention.Policy,
    repository: Optional[offsite.Repository] = None,
    check_mode: bool = False,
    server: Optional[outside.Server] = None,
) -> Wire:
    """Delete the backups that no rule keeps, here and off-site; return what went, what stays, and why.

    ``{held, decisions: [{id, keep, reasons, bytes, where}], deleted, in_use, offsite_deleted, freed_bytes,
    left_on_server}``.  Before anything goes, the newest backup's files are hashed again.  ``server`` looks after files
    that backups have there; ``left_on_server`` says which it did not delete.  Raises WindlassError (offsite_failed,
    backup_failed; what a login raises).
    """
    home = catalogue.home_of(directory, database)
    entries = catalogue.read(directory, [database])[database]
    verdict = _decided(entries, policy, home)
    if verdict.going and not verdict.held:
        verdict = _with_proof(verdict, entries, policy, home, server)
    result: Wire = {
        "held": verdict.held,
        "decisions": [_told(each, entries) for each in verdict.decisions],
        "deleted": [], "in_use": [], "offsite_deleted": [], "freed_bytes": 0, "left_on_server": [],
    }  # fmt: skip
    copies = _copies(repository, database, policy, verdict, entries)
    result["offsite_going"] = [each["id"] for each in copies]
    if not check_mode:
        _delete(home, verdict, entries, result)
        result["left_on_server"] = outside.tidy(home, server.clear) if server else []
        if repository and copies:
            offsite.forget(repository, [each["snapshot"] for each in copies])
            result["offsite_deleted"] = result["offsite_going"]
    return result


def _decided(entries: Sequence[Wire], policy: retention.Policy, home: str) -> retention.Verdict:
    """Return what the rules say of the local backups."""
    last = marks.last_attempt(home)
    return retention.decide(
        [_known(each) for each in entries], policy, datetime.now(timezone.utc),
        made=last.get("id", ""), last_failure=last.get("error", ""),
    )  # fmt: skip


def _with_proof(
    verdict: retention.Verdict, entries: Sequence[Wire], policy: retention.Policy, home: str,
    server: Optional[outside.Server],
) -> retention.Verdict:  # fmt: skip
    """Hash the newest backup before others go; decide again when it is not whole."""
    newest = next(each for each in verdict.decisions if "the newest" in each.reasons)
    path = next(each["path"] for each in entries if each["id"] == newest.id)
    try:
        catalogue.checked(path, server.recheck if server else lambda _: None)
    except WindlassError as error:
        if error.code != "backup_failed":
            raise
        damaged = [
            {**each, "failed": {"reason": error.message}} if each["id"] == newest.id else each for each in entries
        ]
        return _decided(damaged, policy, home)
    return verdict


def _known(entry: Wire) -> retention.Backup:
    return retention.Backup(
        id=entry["id"],
        taken=catalogue.taken_at(entry["id"]),
        complete=entry["state"] == catalogue.COMPLETE,
        verified=bool(entry.get("verified")),
        failed=str((entry.get("failed") or {}).get("reason", "")),
    )


def _told(decision: retention.Decision, entries: Sequence[Wire]) -> Wire:
    entry = next(each for each in entries if each["id"] == decision.id)
    return {**to_wire(decision), "bytes": entry.get("bytes"), "state": entry["state"], "path": entry["path"]}


def _delete(home: str, verdict: retention.Verdict, entries: Sequence[Wire], result: Wire) -> None:
    """Delete what goes, the oldest first."""
    known = {each["id"]: each for each in entries}
    for name in verdict.going:
        if workplace.remove(os.path.join(home, name)):
            marks.forget(home, name)
            result["deleted"].append(name)
            result["freed_bytes"] += known[name].get("bytes") or 0
        else:
            result["in_use"].append(name)


def _copies(
    repository: Optional[offsite.Repository], database: str, policy: retention.Policy, verdict: retention.Verdict,
    entries: Sequence[Wire],
) -> list[Wire]:  # fmt: skip
    """Return the off-site copies that no rule keeps: the same rules, over all that is there.

    A copy of a backup that stays here stays there.
    """
    if repository is None or verdict.held:
        return []
    copies = [each for each in offsite.snapshots(repository, database) if each["id"]]
    local = {each["id"]: each for each in entries}
    judged = [_known_copy(each, local.get(each["id"])) for each in {each["id"]: each for each in copies}.values()]
    going = set(retention.decide(judged, policy, datetime.now(timezone.utc)).going)
    staying = {each.id for each in verdict.decisions if each.keep}
    return [each for each in copies if each["id"] in going - staying]


def _known_copy(copy: Wire, entry: Optional[Wire]) -> retention.Backup:
    """Return what the rules look at of a copy; what is known of it locally counts."""
    plain = retention.Backup(copy["id"], catalogue.taken_at(copy["id"]))
    return replace(plain, verified=bool(entry and entry.get("verified")))
