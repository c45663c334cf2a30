"""Whether a backup looks like those before it.  One that does not may be right all the same, so it is only said."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from ..model import Wire

#: So many earlier backups are compared with.
COMPARED = 5
#: Below this size, bytes mean nothing.
_SMALL = 1 << 20
_NAMED = 10
#: How the names of the journal's own tables begin, on one engine or another: an undone migration takes its marks along.
_JOURNAL = ("windlass.", "windlass_")


def warnings(known: Wire, earlier: Sequence[Wire], percent: int) -> list[str]:
    """Return what is strange about a backup (its manifest) beside earlier ones, newest first.

    Its size is strange when it is below ``percent`` of the middle of the last ones, or as many times above it; with 0
    the size is not looked at.
    """
    return _size(known, earlier[:COMPARED], percent) + (_emptied(known, earlier[0]) if earlier else [])


def _size(known: Wire, earlier: Sequence[Wire], percent: int) -> list[str]:
    """Compare the size with those of backups that were made in the same way."""
    way = ("compression", "method", "encryption")
    like = [int(each["bytes"]) for each in earlier if all(each.get(key) == known.get(key) for key in way)]
    if not like or not percent:
        return []
    usual, size = median(like), int(known["bytes"])
    if max(usual, size) < _SMALL or (percent * usual <= 100 * size and percent * size <= 100 * usual):
        return []
    word = "smaller" if size < usual else "larger"
    ones = "the one before" if len(like) == 1 else f"the last {len(like)}"
    return [f"much {word} than {ones}: {size} bytes instead of about {usual:.0f} ({100 * size / usual:.0f} %)"]


def _emptied(known: Wire, last: Wire) -> list[str]:
    """Name the tables that had rows in the last backup and have none."""
    rows = known["rows"]
    gone = {name: count for name, count in last["rows"].items() if count and rows.get(name) == 0}
    empty = [f"{name} ({count} before)" for name, count in gone.items() if not name.startswith(_JOURNAL)]
    if not empty:
        return []
    more = f" and {len(empty) - _NAMED} more" if len(empty) > _NAMED else ""
    which = "a table that had rows has" if len(empty) == 1 else f"{len(empty)} tables that had rows have"
    return [f"{which} none now: {', '.join(empty[:_NAMED])}{more}"]
