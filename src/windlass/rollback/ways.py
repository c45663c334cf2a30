"""The ways back: what each loses, how long it took in its last drill, and which to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from windlass.records import proofs
from windlass.telling import console
from windlass_engine.model import Journal, JournalEntry
from windlass_engine.project import script

WAYS = ("migration", "application", "restore")
_STANDING = ("applied", "partial", "reverting")
#: So many tables are named of those whose rows a restore loses.
_NAMED = 3


@dataclass(frozen=True)
class Facts:
    """What is known of one database: journal (with texts), log, losses of undoing, what stands, drills.

    ``error`` is why the journal could not be read; then an empty one says nothing.
    """

    journal: Journal
    history: tuple[Mapping[str, Any], ...]
    losses: Mapping[str, Any]
    seen: Mapping[str, Any]
    drills: Mapping[str, Any]
    has_application: bool
    error: str = ""


def newest(journal: Journal, count: int) -> tuple[str, ...]:
    """Return the names of the migrations that stand, newest first."""
    return tuple(entry.name for entry in _standing(journal)[:count])


def last_run_id(journal: Journal) -> str:
    """Return the run that applied the newest migration which stands, an empty text where none does."""
    standing = _standing(journal)
    return standing[0].run_id if standing else ""


def reversible(journal: Journal, count: int) -> int:
    """Return how many of the newest migrations can be undone one after the other, ``count`` at most."""
    number = 0
    for entry in _standing(journal)[:count]:
        if not entry.has_down:
            break
        number += 1
    return number


def _standing(journal: Journal) -> list[JournalEntry]:
    found = [entry for entry in journal.entries if entry.kind == "migration" and entry.state in _STANDING]
    return sorted(found, key=lambda entry: entry.ordinal, reverse=True)


def weigh(facts: Facts, root: Path, system: str, scope: str) -> dict[str, Any]:
    """Return the facts for people, the ways, and the one to take; ``scope`` is what names the database to a verb."""
    last = _last_run(facts)
    count = len(last)
    undoable = bool(last) and reversible(facts.journal, count) == count
    backup = _backup(facts, last)
    found = [
        _down_way("migration", "", facts, last, undoable, scope),
        _down_way("application", " --application", facts, last, undoable and facts.has_application, scope),
        _restore_way(facts, backup, scope),
        {
            "way": "forward", "possible": True, "why_not": "", "drilled": "",
            "loses": [f"nothing; write its scripts, then: invoke deploy {scope}"],
            "command": f"invoke new {system} mend",
        },
    ]  # fmt: skip
    recommended, reason = _recommend(facts, last, undoable, backup)
    if facts.seen.get("asked"):
        recommended, reason = "restore", f"as you asked for; this loses {'; '.join(found[2]['loses'])}"
    return {
        "version": facts.seen.get("schema_version", ""),
        "runs": _runs(facts)[:3],
        "migrations": [
            _migration(entry, facts, root, system, n) for n, entry in enumerate(_standing(facts.journal)[:5])
        ],
        "backup": backup,
        "ways": found,
        "recommended": recommended,
        "asked": bool(facts.seen.get("asked")),
        "reason": reason,
        "error": facts.error,
    }


def _runs(facts: Facts) -> list[dict[str, Any]]:
    """Return the last runs that changed something, newest first."""
    runs: dict[str, dict[str, Any]] = {}
    for event in facts.history:
        if event["event"] in ("applied", "reverted", "failed", "baselined"):
            known = runs.setdefault(
                event["run_id"], {"run_id": event["run_id"], "at": event["at"], "who": event["who"], "did": []}
            )
            known["did"].insert(0, f"{event['event']} {event['name']}")
    return list(runs.values())


def _last_run(facts: Facts) -> list[JournalEntry]:
    """Return the migrations of the last run that stand, newest first; half-done ones always count."""
    standing = _standing(facts.journal)
    if not standing:
        return []
    run_id = standing[0].run_id
    found = []
    for entry in standing:
        if entry.run_id != run_id:
            break
        found.append(entry)
    return found


def _migration(entry: JournalEntry, facts: Facts, root: Path, system: str, number: int) -> dict[str, Any]:
    losses = facts.losses.get("losses") or []
    return {
        "name": entry.name,
        "state": entry.state,
        "run_id": entry.run_id,
        "reversible": entry.has_down,
        "irreversible": entry.irreversible,
        "proved": _is_proved(entry, root, system),
        "losses": list(losses[number]) if number < len(losses) else [],
    }


def _is_proved(entry: JournalEntry, root: Path, system: str) -> bool:
    """Return whether exactly the texts that the journal keeps were proved."""
    parts = {"up": entry.up_text, "down": entry.down_text, "verify": entry.verify_text}
    sums = {name: script.checksum(text.encode()) for name, text in parts.items() if text}
    verdict = proofs.find(root, system, sums) if sums else None
    return bool(verdict and verdict["proved"])


def _backup(facts: Facts, last: Sequence[JournalEntry]) -> dict[str, Any] | None:
    """Return the backup to restore: the one asked for, that from before the last run where there is one, the newest."""
    backups, asked = facts.seen.get("backups") or [], facts.seen.get("asked")
    before = [item for item in backups if last and item["run_id"] == last[0].run_id]
    chosen = asked or (before or backups or [None])[0]
    if chosen is None:
        return None
    known = (facts.seen.get("backup_rows") or {}).get(chosen["id"])
    now = {table: count for table, count in (facts.seen.get("rows") or {}).items() if count is not None}
    changed = {t: now[t] - (known or {}).get(t, 0) for t in now if now[t] != (known or {}).get(t, 0)}
    age = datetime.now(UTC) - datetime.fromisoformat(chosen["started"])
    ref = asked["ref"] if asked else f"before:{last[0].run_id}" if before else "latest"
    return {
        "id": chosen["id"], "ref": ref, "started": chosen["started"], "age_s": int(age.total_seconds()),
        "bytes": chosen.get("bytes") or 0, "duration_ms": chosen.get("duration_ms") or 0,
        "compared": known is not None,
        "rows_since": sum(abs(count) for count in changed.values()), "tables_since": changed,
    }  # fmt: skip


def _down_way(
    way: str, words: str, facts: Facts, last: Sequence[JournalEntry], possible: bool, scope: str
) -> dict[str, Any]:
    """Return the way of undoing what the last run applied."""
    why = ""
    if facts.error:
        why = "the journal cannot be read"
    elif not last:
        why = "no migration is applied"
    elif not possible:
        gone = next((entry for entry in last if not entry.has_down), None)
        why = f"{gone.name} is irreversible: {gone.irreversible}" if gone else "the inventory has no group applications"
    loses = _loss_texts([loss for losses in (facts.losses.get("losses") or [])[: len(last)] for loss in losses])
    if facts.losses.get("error"):
        loses.append(f"not known: {facts.losses['error']['message']}")
    if facts.losses.get("failure"):
        loses.append(f"tried beforehand it fails: {facts.losses['failure']}")
    return {
        "way": way, "possible": not why, "why_not": why, "loses": loses or ["no rows"],
        "command": f"invoke rollback {scope}{words} --steps {max(len(last), 1)}", "drilled": _drilled(facts, way),
    }  # fmt: skip


def _restore_way(facts: Facts, backup: Mapping[str, Any] | None, scope: str) -> dict[str, Any]:
    """Return the way of bringing a backup back."""
    loses = []
    if backup:
        since = backup["started"][:19].replace("T", " ")
        loses.append(f"all that was written in the {console.age(backup['age_s'])} since {since} UTC")
        if backup["compared"]:
            loses.append(_rows_since(backup["tables_since"]))
    ref = backup["ref"] if backup else "latest"
    return {
        "way": "restore", "possible": bool(backup), "why_not": "" if backup else "there is no backup", "loses": loses,
        "command": f"invoke rollback {scope} --restore {ref}", "drilled": _drilled(facts, "restore"),
    }  # fmt: skip


def _rows_since(changed: Mapping[str, int]) -> str:
    """Return by how many rows tables differ from the backup, the most changed first."""
    most = sorted(changed.items(), key=lambda item: -abs(item[1]))
    if not most:
        return "by the counts no row is new or gone (changed rows are not counted)"
    named = ", ".join(f"{count:+} in {table}" for table, count in most[:_NAMED])
    more = f" and {console.plural(len(most) - _NAMED, 'more table')}" if len(most) > _NAMED else ""
    return f"by the counts {named}{more} (changed rows are not counted)"


def _loss_texts(losses: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what is lost, in words; what holds no row is only counted."""
    empty = [loss for loss in losses if loss["kind"] != "rows" and not loss["rows"]]
    texts = [_loss_text(loss) for loss in losses if loss not in empty]
    if empty:
        what = "more" if texts else "table or column" if len(empty) == 1 else "tables or columns"
        texts.append(f"{len(empty)} {what} without rows")
    return texts


def _loss_text(loss: Mapping[str, Any]) -> str:
    what = ", ".join(loss["columns"]) if loss["kind"] == "columns" else loss["kind"]
    rows = console.plural(loss["rows"], "row")
    count = f"{'about ' if loss['about'] else ''}{rows}" if loss["kind"] != "rows" else "changed rows"
    return f"{count} of {loss['table']} ({what}), archived first"


def _drilled(facts: Facts, way: str) -> str:
    drill = facts.drills.get(way)
    if not drill:
        return "never drilled"
    how = "" if drill["exit_code"] == 0 else ", which FAILED"
    return f"took {console.duration(drill['duration_ms'])} in the drill of {drill['finished'][:10]}{how}"


def _recommend(
    facts: Facts, last: Sequence[JournalEntry], undoable: bool, backup: Mapping[str, Any] | None
) -> tuple[str, str]:
    """Return the way to take and why; none where nothing is known."""
    if facts.error:
        return "", f"the journal cannot be read: {facts.error}"
    if not last:
        return "forward", "no migration is applied, so there is nothing to undo"
    half = next((entry.name for entry in last if entry.state == "reverting"), "")
    if undoable and half:
        mended = "say --down-from checkout where its down.sql had to be mended"
        reason = f"the undoing of {half} stopped half-way, and this goes on there; {mended}"
        return ("application" if facts.has_application else "migration"), reason
    if undoable:
        reason = "all that the last run applied can be undone, and what that takes away is archived"
        return ("application" if facts.has_application else "migration"), reason
    if backup:
        return "restore", "not all that the last run applied can be undone"
    return (
        "forward",
        "not all that the last run applied can be undone, and there is no backup: mend it with a migration",
    )
