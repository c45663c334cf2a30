"""Which backups may go.  Pure: a list of what there is and a policy become a decision about each, with its reasons.

Only complete backups that failed no check count, and only they are kept by a rule.  What is broken goes when a newer
whole one stands, and what failed a check when a newer verified one does.
Rules by the calendar go by UTC and keep the newest backup of each hour, day, ISO week, month or year that has one, so
a gap in the series costs nothing.  No rule looks at the clock of this moment, except that a backup from the future is
neither counted nor deleted: then a clock was wrong, and "newest" means nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Optional

from ..errors import WindlassError

#: By how much clocks of hosts may be apart.
SKEW = timedelta(minutes=10)


@dataclass(frozen=True)
class Policy:
    """How many backups each rule keeps; ``verified`` is how many restore-tested ones stay at least."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    verified: int = 1


@dataclass(frozen=True)
class Backup:
    """What the rules look at.  ``taken`` is the time of its data (aware); ``failed`` says how a check of it failed."""

    id: str
    taken: datetime
    complete: bool = True
    verified: bool = False
    failed: str = ""


@dataclass(frozen=True)
class Decision:
    """Whether a backup stays, and each rule that keeps it, or the one reason for which it goes."""

    id: str
    keep: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """The decisions, newest first.  ``held`` says why nothing is deleted at all; it is empty when the rules hold."""

    decisions: tuple[Decision, ...]
    held: str = ""

    @property
    def going(self) -> tuple[str, ...]:
        """Return the ids of what goes, the oldest first."""
        return tuple(decision.id for decision in reversed(self.decisions) if not decision.keep)


#: The rule's name -> the name of a time's slot.
_SLOTS: Mapping[str, Callable[[datetime], str]] = {
    "hourly": lambda at: at.strftime("%Y-%m-%d %H:00"),
    "daily": lambda at: at.strftime("%Y-%m-%d"),
    "weekly": lambda at: "{}-W{:02}".format(*at.isocalendar()[:2]),
    "monthly": lambda at: at.strftime("%Y-%m"),
    "yearly": lambda at: at.strftime("%Y"),
}


def policy_of(raw: Any) -> Optional[Policy]:
    """Read ``windlass_retention``; nothing given means no policy (None), and then nothing is ever deleted.

    Raises WindlassError (inventory_invalid) for an unknown rule, for what is no count, and for a policy of nothing.
    """
    if raw is None or raw == {} or raw == "":
        return None
    known = [item.name for item in fields(Policy)]
    if not isinstance(raw, Mapping):
        raise _invalid("windlass_retention is not a mapping", known)
    for key, value in raw.items():
        if key not in known:
            raise _invalid(f"windlass_retention has no rule {key}", known)
        if isinstance(value, bool) or not str(value).isascii() or not str(value).isdigit():
            raise _invalid(f"windlass_retention: {key} is a count, not {value!r}", known)
    policy = Policy(**{key: int(value) for key, value in raw.items()})
    if not any(getattr(policy, name) for name in known if name != "verified"):
        raise _invalid("windlass_retention keeps nothing by number or calendar", known)
    return policy


def decide(backups: Iterable[Backup], policy: Policy, now: datetime, made: str = "", last_failure: str = "") -> Verdict:
    """Decide about every backup of one database.

    ``made`` is the backup that was made last, where that is known: it stays, and counts as the newest, whatever the
    clocks say.  ``last_failure`` says why the attempt after it made none.
    """
    ordered = sorted(backups, key=lambda each: (each.id == made, each.taken, each.id), reverse=True)
    present = [each for each in ordered if each.id == made or not _from_the_future(each, now)]
    sound = [each for each in present if each.complete and not each.failed]
    held = f"the last backup failed: {last_failure}" if last_failure else _held(present, sound)
    kept = _kept(sound, policy)
    decisions = [_decision(each, kept.get(each.id, ()), present, sound) for each in ordered]
    if held:
        decisions = [each if each.keep else Decision(each.id, True, (held,)) for each in decisions]
    return Verdict(tuple(decisions), held)


def _from_the_future(each: Backup, now: datetime) -> bool:
    return each.taken > now + SKEW


def _held(present: Sequence[Backup], sound: Sequence[Backup]) -> str:
    """Return why nothing may be deleted now, or an empty string."""
    if not sound:
        return "there is no complete backup"
    newest = present[0]
    return "" if newest is sound[0] else f"the newest backup {newest.id} {_fault(newest)}"


def _kept(sound: Sequence[Backup], policy: Policy) -> dict[str, list[str]]:
    """Return the rules that keep each backup, by its id."""
    kept: dict[str, list[str]] = {}

    def keep(each: Backup, rule: str) -> None:
        kept.setdefault(each.id, []).append(rule)

    if sound:
        keep(sound[0], "the newest")
    for number, each in enumerate(sound[: policy.last], start=1):
        keep(each, f"last {number} of {policy.last}")
    for rule, slot in _SLOTS.items():
        for each, name in _newest_of_slots(sound, slot)[: getattr(policy, rule)]:
            keep(each, f"{rule} {name}")
    verified = [each for each in sound if each.verified]
    for number, each in enumerate(verified[: max(policy.verified, 1)], start=1):
        keep(each, "the last verified" if number == 1 else f"verified {number} of {policy.verified}")
    return kept


def _newest_of_slots(sound: Sequence[Backup], slot: Callable[[datetime], str]) -> list[tuple[Backup, str]]:
    """Return the newest backup of each slot that has one, with the slot's name, newest first."""
    found: dict[str, Backup] = {}
    for each in sound:
        found.setdefault(slot(each.taken.astimezone(timezone.utc)), each)
    return [(each, name) for name, each in found.items()]


def _decision(each: Backup, rules: Sequence[str], present: Sequence[Backup], sound: Sequence[Backup]) -> Decision:
    """Return what becomes of one backup."""
    if rules:
        return Decision(each.id, True, tuple(rules))
    if each not in present:
        return Decision(each.id, True, ("its time lies in the future: a clock was wrong",))
    if each in sound:
        return Decision(each.id, False, ("no rule keeps it",))
    # A failed test may be the fault of the server that it ran on: only a newer one that passed makes up for it.
    needed = "verified" if each.complete else "whole"
    better = next((good for good in sound if good.verified or not each.complete), None)
    if better and present.index(better) < present.index(each):
        return Decision(each.id, False, (f"{_fault(each)}, and {better.id} is newer and {needed}",))
    return Decision(each.id, True, (f"{_fault(each)}, but nothing newer is {needed}",))


def _fault(each: Backup) -> str:
    return f"failed its check ({each.failed})" if each.failed and each.complete else "is broken"


def _invalid(message: str, known: Sequence[str]) -> WindlassError:
    """Return the refusal of a policy that cannot be meant."""
    return WindlassError("inventory_invalid", message, hint=f"its rules are counts: {', '.join(known)}")
