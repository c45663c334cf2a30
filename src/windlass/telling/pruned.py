"""What was, or would be, deleted of the run records, and why old ones stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from windlass.records import pruning, record
from windlass.records.pruning import Kept
from windlass.telling import console

#: So many runs are named; --json has all.
MOST = 20


def prune(root: Path, keep: str, *, dry_run: bool = False, as_json: bool = False) -> None:
    """Delete old runs that nothing refers to, and print which.  Raises ``usage``, ``preflight_failed``."""
    days = pruning.days_of(keep)
    found = pruning.old(root, days, datetime.now(UTC))
    if not dry_run:
        pruning.remove(root, [item for item in found if not item.reason])
    if as_json:
        told = [{**asdict(item), "at": item.at.isoformat()} for item in found]
        print(record.dumps({"keep_days": days, "dry_run": dry_run, "runs": told}), end="")
        return
    for line in lines(found, days, dry_run):
        print(line)


def lines(found: Sequence[Kept], days: int, dry_run: bool) -> Iterator[str]:
    """Yield the runs that go, and a count for each reason for which others stay."""
    gone = [item for item in found if not item.reason]
    stay = Counter(item.reason for item in found if item.reason)
    rows = [
        (f"{item.at:%Y-%m-%d}", item.verb, item.environment, console.size(item.bytes), item.run_id) for item in gone
    ]
    yield from console.table(("BEGAN", "VERB", "ENVIRONMENT", "SIZE", "RUN"), rows[:MOST]) if rows else ()
    if len(rows) > MOST:
        yield f"and {len(rows) - MOST} more"
    size = console.size(sum(item.bytes for item in gone))
    what = f"{console.plural(len(gone), 'run')} of more than {console.plural(days, 'day')} ago, {size}"
    if gone:
        yield f"Would delete {what}." if dry_run else f"Deleted {what}."
    else:
        yield f"Nothing to delete: no run of more than {console.plural(days, 'day')} ago that nothing refers to."
    for reason, count in stay.most_common():
        yield f"  {console.plural(count, 'old run')} kept: {reason}"
