"""Deployment windows: ``Mon-Thu 20:00-23:30 Europe/Berlin``.

Days are English abbreviations, one (``Sat``), a range (``Mon-Thu``), a list (``Tue,Thu``) or ``daily``.  A window that
ends before it begins goes past midnight, and belongs to the day on which it began.  Without a time zone it is UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from windlass.inventory_values import refuse

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FORM = re.compile(r"(?P<days>\S+)\s+(?P<begin>\d{1,2}:\d\d)-(?P<end>\d{1,2}:\d\d)(?:\s+(?P<zone>\S+))?")


def checked(text: str, **place: str) -> str:
    """Return a window's text.  Raises ``inventory_invalid`` for one that cannot be read."""
    try:
        _read(text)
    except (ValueError, KeyError, OSError) as error:  # an unknown zone is a KeyError, a strange one an OSError
        reason = f"{error}" if isinstance(error, ValueError) else "no such time zone here"
        refuse(f"policy gate.window {text!r}: {reason}; write it like Mon-Thu 20:00-23:30 Europe/Berlin", **place)
    return text


def is_open(windows: Iterable[str], moment: datetime) -> bool:
    """Return whether one of the windows holds a moment, which has a time zone."""
    return any(_holds(text, moment) for text in windows)


def opens(windows: Iterable[str], moment: datetime) -> datetime:
    """Return when the first of the windows opens after a moment, in UTC.

    Looks eight days ahead: each window opens at least once a week.
    """
    return min(_next(text, moment) for text in windows)


def _next(text: str, moment: datetime) -> datetime:
    days, begin, _, zone = _read(text)
    today = moment.astimezone(zone).date()
    starts = (datetime.combine(today + timedelta(days=ahead), begin, zone) for ahead in range(9))
    return next(start.astimezone(UTC) for start in starts if DAYS[start.weekday()] in days and start > moment)


def _holds(text: str, moment: datetime) -> bool:
    days, begin, end, zone = _read(text)
    local = moment.astimezone(zone)
    today, yesterday = DAYS[local.weekday()], DAYS[(local - timedelta(days=1)).weekday()]
    now = local.time()
    if begin < end:
        return today in days and begin <= now < end
    return (today in days and now >= begin) or (yesterday in days and now < end)


def _read(text: str) -> tuple[frozenset[str], time, time, tzinfo]:
    """Return days, begin, end and zone.  Raises ValueError or KeyError."""
    match = _FORM.fullmatch(text.strip())
    if not match:
        raise ValueError("it cannot be read")
    zone = ZoneInfo(match["zone"]) if match["zone"] else UTC
    begin, end = (time.fromisoformat(match[key].zfill(5)) for key in ("begin", "end"))
    return _days(match["days"]), begin, end, zone


def _days(text: str) -> frozenset[str]:
    if text.lower() == "daily":
        return frozenset(DAYS)
    return frozenset(day for part in text.split(",") for day in _range(part))


def _range(part: str) -> list[str]:
    first, _, last = part.partition("-")
    names = [day.title() for day in (first, last or first)]
    if not set(names) <= set(DAYS):
        raise ValueError(f"{part} is no day of the week")
    begin, end = map(DAYS.index, names)
    return [DAYS[number % 7] for number in range(begin, (end if end >= begin else end + 7) + 1)]
