"""Words that several verbs share, and what they mean to the playbooks."""

from __future__ import annotations

from typing import Any

from windlass_engine.errors import WindlassError

ATOMIC = "all pending migrations in one transaction"
SETTLE = "of an interrupted statement that the catalogue cannot judge: done (it took effect) or again (run it again)"
DOWN_FROM = "checkout: undo with this checkout's down.sql, mended since, not with the ones that the journal keeps"
BREAK_GLASS = "in an emergency: the reason, in a sentence, for passing a closed gate or drift; it is recorded"


def one(names: tuple[str, ...]) -> str | None:
    """Return the only name, or None.  Raises ``usage`` for several."""
    if len(names) > 1:
        raise WindlassError("usage", "a tunnel leads to one database", hint="give --database once")
    return names[0] if names else None


def settled(word: str) -> dict[str, Any]:
    """Return the operator's word on an interrupted statement as a variable.  Raises ``usage`` for another word."""
    if word not in ("", "done", "again"):
        raise WindlassError("usage", f"--settle {word}: no such word", hint="--settle done, or --settle again")
    return {"windlass_settle": word}


def downs_from(word: str) -> dict[str, Any]:
    """Return whose down scripts are to be used as a variable.  Raises ``usage`` for another word."""
    if word not in ("", "journal", "checkout"):
        raise WindlassError("usage", f"--down-from {word}: no such word", hint="--down-from checkout, or leave it out")
    return {"windlass_down_from": word}


def period(word: str) -> dict[str, Any]:
    """Return the schedule whose jobs are meant as a variable.  Raises ``usage`` for another word."""
    if word not in ("", "hourly", "daily", "monthly"):
        raise WindlassError("usage", f"--schedule {word}: no such schedule", hint="one of: hourly, daily, monthly")
    return {"windlass_period": word}


def backwards(steps: int, to: str) -> dict[str, Any]:
    """Return the variables of a way back.  Raises ``usage`` unless exactly one end is given."""
    if bool(steps) == bool(to):
        raise WindlassError("usage", "how far back?", hint="give either --steps N or --to NAME (which stays)")
    return {"windlass_direction": "down", "windlass_steps": steps or "", "windlass_to": to}


def refuse_mixed_plans(rollback: bool, baseline: bool, steps: int) -> None:
    """Refuse words of which one would be passed over.  Raises ``usage``."""
    if rollback and baseline:
        raise WindlassError("usage", "which plan: --rollback or --baseline?", hint="give one of them")
    if steps and not rollback:
        hint = "add --rollback, or give --to NAME for a deployment"
        raise WindlassError("usage", "--steps says how far back a rollback goes", hint=hint)


def refuse_several(**words: str) -> None:
    """Refuse options that each ask for another work.  Raises ``usage``."""
    given = [f"--{name.replace('_', '-')}" for name, value in words.items() if value]
    if len(given) > 1:
        raise WindlassError("usage", f"{' and '.join(given)} are not one work", hint="give one of them")


def refuse_two_ways(steps: int) -> None:
    """Refuse a number of migrations beside a backup, which nobody would undo.  Raises ``usage``."""
    if steps:
        hint = "give --restore alone, or with --to NAME for the migration that is to be the last one afterwards"
        raise WindlassError("usage", "--steps and --restore are two ways back", hint=hint)


def refuse_without_a_way(*ways: bool) -> None:
    """Refuse words that need one that says how far.  Raises ``usage``."""
    if any(ways):
        hint = "give --steps N, --to NAME (which stays), or --restore latest"
        raise WindlassError("usage", "how far back?", hint=hint)
